# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the tests of the real world share: a program without io_uring or without locked memory, as another user, with
failing system calls, on small file systems; and one walk through every verb that must end alike everywhere.

CAMBIUM_WORLD=N makes everything N times as large."""

import ctypes
import errno
import json
import os
import platform
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

from cli_case import CliCase, OK, NOT_FOUND, RESULT_CLASS, run_program

SCALE = int(os.environ.get('CAMBIUM_WORLD', '1'))
PAGE = 4096
NOBODY = 65534
MIB = 1 << 20

# ---- seccomp --------------------------------------------------------------------------------------------------------

IO_URING_SETUP = 425  # the same number on every architecture
AUDIT_ARCH = {'x86_64': 0xC000003E, 'aarch64': 0xC00000B7}


def forbid_io_uring(error):
    """For preexec_fn: io_uring_setup answers `error`, as container profiles (EPERM, and so kernel.io_uring_disabled)
    and kernels without it (ENOSYS) do."""
    load, equal, answer = 0x20, 0x15, 0x06
    allow, fail = 0x7FFF0000, 0x00050000 | error
    program = b''.join(struct.pack('HBBI', *instruction) for instruction in (
        (load, 0, 0, 4), (equal, 0, 3, AUDIT_ARCH[platform.machine()]),
        (load, 0, 0, 0), (equal, 0, 1, IO_URING_SETUP), (answer, 0, 0, fail), (answer, 0, 0, allow)))
    code = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(program) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)

    def install():
        if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, header, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), 'seccomp')
    install.filter = code  # the header points to it
    return install


def needs_seccomp(test):
    if platform.machine() not in AUDIT_ARCH:
        test.skipTest(f'no seccomp filter for {platform.machine()} here')
    try:
        subprocess.run(['true'], preexec_fn=forbid_io_uring(errno.EPERM), check=True)
    except (OSError, subprocess.SubprocessError) as refused:
        test.skipTest(f'seccomp is refused: {refused}')


def needs_io_uring(test):
    if b'uring' not in test.cambium('doctor', test.dir, '--json', code=None).out:
        test.skipTest('no io_uring')
    test.cambium('create', test.file)
    backend = subprocess.run([run_program.path, 'stat', test.file], capture_output=True).stdout
    os.remove(test.file)
    if b'uring' not in backend:
        test.skipTest('io_uring is refused here')


# ---- users and limits -----------------------------------------------------------------------------------------------

def as_nobody(memlock=None):
    def become():
        if memlock is not None:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (memlock, memlock))
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    return become


# ---- strace ---------------------------------------------------------------------------------------------------------

def strace(injection, path=None, log='/dev/null'):
    """The words before a program whose system calls are to fail: 'fdatasync:error=EIO:when=2'; only those on `path`,
    if given. Each thread counts its own."""
    words = ['strace', '-f', '-qq', '-o', log, '-e', 'trace=' + injection.split(':')[0], '-e', 'inject=' + injection]
    return words if path is None else words + ['-P', path]


def needs_strace(test):
    if shutil.which('strace') is None:
        test.skipTest('strace is not installed')
    done = subprocess.run(strace('getppid:error=EPERM') + ['true'], capture_output=True)
    if done.returncode != 0:
        test.skipTest('strace is refused: ' + done.stderr.decode(errors='replace').strip())


# ---- file systems ---------------------------------------------------------------------------------------------------

IN_NAMESPACE = 'CAMBIUM_WORLD_NAMESPACE'


def enter_mount_namespace():
    """Starts the test program anew where its mounts are its own and end with it; where that is refused, mount tests
    are skipped."""
    if IN_NAMESPACE in os.environ or os.geteuid() != 0 or shutil.which('unshare') is None:
        return
    words = ['unshare', '--mount', '--propagation', 'private']
    if subprocess.run([*words, 'true'], capture_output=True).returncode == 0:
        os.environ[IN_NAMESPACE] = '1'
        os.execvp('unshare', [*words, sys.executable, '-B', *sys.argv])


class Mounted:
    """A file system for one test. `where` is its folder."""

    def __init__(self, test, *options, source='none'):
        if IN_NAMESPACE not in os.environ:
            test.skipTest('mounting needs root and unshare')
        self.where = tempfile.mkdtemp(prefix='cambium-mount-')
        done = subprocess.run(['mount', *options, source, self.where], capture_output=True)
        if done.returncode != 0:
            os.rmdir(self.where)
            test.skipTest('no mount here: ' + done.stderr.decode(errors='replace').strip())
        test.addCleanup(self.end)
        os.chmod(self.where, 0o777)

    def end(self):
        subprocess.run(['umount', '--lazy', self.where], capture_output=True)
        os.rmdir(self.where)


def tmpfs(test, size):
    return Mounted(test, '-t', 'tmpfs', '-o', f'size={size}').where


def loop_device(test, path):
    if shutil.which('losetup') is None:
        test.skipTest('losetup is not installed')
    done = subprocess.run(['losetup', '--find', '--show', path], capture_output=True, text=True)
    if done.returncode != 0:
        test.skipTest('no loop device here: ' + done.stderr.strip())
    device = done.stdout.strip()
    test.addCleanup(subprocess.run, ['losetup', '--detach', device], capture_output=True)
    return device


def ext4(test, path, size):
    """A new ext4 in the file `path`, mounted through a loop device."""
    if shutil.which('mkfs.ext4') is None:
        test.skipTest('mkfs.ext4 is not installed')
    with open(path, 'wb') as image:
        image.truncate(size)
    device = loop_device(test, path)
    subprocess.run(['mkfs.ext4', '-q', '-E', 'lazy_itable_init=0', device], check=True, capture_output=True)
    return Mounted(test, '-t', 'ext4', source=device)


# ---- bytes of a partition -------------------------------------------------------------------------------------------

def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = _crc_table()


def seal(page):
    """The page with its checksum put right."""
    crc = 0xFFFFFFFF
    for byte in page[4:]:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return struct.pack('<I', crc ^ 0xFFFFFFFF) + bytes(page[4:])


def records(count, seed=0):
    """[(key, value)] in order, plain text; every tenth value is longer than a page."""
    return [(b'key%06d' % i, b'value %d of %d %s' % (i, seed, b'x' * (6000 if i % 10 == 5 else i % 90)))
            for i in range(count)]


def tsv(pairs):
    return b''.join(key + b'\t' + value + b'\n' for key, value in pairs)


# ---- every verb -----------------------------------------------------------------------------------------------------

class WorldCase(CliCase):
    def setUp(self):
        super().setUp()
        os.chmod(self.dir, 0o777)

    def cambium(self, *words, code=OK, **more):
        """`code` None: any of the documented ones."""
        answer = run_program(*words, **more)
        allowed = range(9) if code is None else code if isinstance(code, (tuple, range)) else (code,)
        self.assertIn(answer.code, allowed,
                      f'cambium {" ".join(map(str, words))}\n{answer.err.decode(errors="replace")[-2000:]}')
        return answer

    def program_for_everybody(self):
        """Runs a copy from here on, in a folder that other users may enter."""
        program = os.path.join(self.dir, 'program')
        shutil.copy(run_program.path, program)
        os.chmod(program, 0o755)
        self.addCleanup(setattr, run_program, 'path', run_program.path)
        run_program.path = program

    def every_verb(self, folder=None, **how):
        """Walks through all verbs; what they must say does not depend on `how` they are run."""
        folder = folder or tempfile.mkdtemp(dir=self.dir)
        os.chmod(folder, 0o777)
        file, copy = os.path.join(folder, 'a.cambium'), os.path.join(folder, 'b.cambium')
        pairs = records(300)
        text = tsv(pairs)
        run = lambda *words, **more: self.cambium(*words, **more, **how).out
        run('create', file)
        run('put', file, 'hello', 'world')
        self.assertEqual(run('get', file, 'hello'), b'world\n')
        run('get', file, 'absent', code=NOT_FOUND)
        run('del', file, 'hello')
        run('get', file, 'hello', code=NOT_FOUND)
        run('load', file, '-q', stdin=text)
        self.assertEqual(run('dump', file), text)
        self.assertEqual(run('scan', file, '--reverse'), tsv(pairs[::-1]))
        self.assertEqual(run('batch', file, stdin=b'put b 1\nput c 2\n\nget b\ndel b\nflush\n'), b'b\t1\nflushed 3\n')
        run('del', file, 'c')
        run('table', 'create', file, 'levels', '--kind', 'levels')
        run('put', file, 'k', 'v', '--table', 'levels')
        inside, = json.loads(run('levels', file, '--json'))['tables']
        number = inside['levels'][0]['runs'][0]['sstables'][0]['id']
        self.assertTrue(run('sstable', file, '--table', 'levels', '--id', str(number)).endswith(b'\nk\tvalue\t1\nk\tvalue\t1\n'))
        run('check', file)
        run('stat', file, '--json')
        run('compact', file)
        run('salvage', file, copy)
        self.assertEqual(run('dump', copy), text)
        stress = ('stress', os.path.join(folder, 's'), '--ops', '300', '--seed', '3')
        acks = os.path.join(folder, 'acks')
        with open(acks, 'wb') as lines:
            lines.write(run(*stress, '--ack-fd', '1', '-q'))
        os.chmod(acks, 0o666)
        run(*stress, '--verify', '--ack-file', acks)
        run('bench', os.path.join(folder, 't'), '--records', '100')
        run('doctor', folder, code=(0, 7))
        return file


def main():
    enter_mount_namespace()
    run_program.path = os.path.abspath(sys.argv.pop(1))
    unittest.main(testRunner=unittest.TextTestRunner(resultclass=RESULT_CLASS, verbosity=1))
