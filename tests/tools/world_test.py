#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The program in a world that refuses, interrupts and shares: system calls that fail, no io_uring, no locked memory,
other openers, paths that are no files; and every exit code of every verb. The first argument is the program."""

import errno
import json
import os
import resource
import socket
import subprocess
import time
from pathlib import Path

from cli_case import OK, NOT_FOUND, USAGE, CORRUPTION, BUSY, UNSUPPORTED, RESOURCE, IO_ERROR, run_program
from world_case import (SCALE, WorldCase, as_nobody, forbid_io_uring, main, needs_io_uring, needs_seccomp, needs_strace,
                        records, strace, tsv)

# How each verb is called on a file; those that read leave it alone.
READS = {'get': ['get', 'FILE', 'key000001'], 'scan': ['scan', 'FILE'], 'dump': ['dump', 'FILE'], 'stat': ['stat', 'FILE'],
         'levels': ['levels', 'FILE'], 'check': ['check', 'FILE'], 'salvage': ['salvage', 'FILE', 'OTHER']}
WRITES = {'put': ['put', 'FILE', 'k', 'v'], 'del': ['del', 'FILE', 'key000001'], 'compact': ['compact', 'FILE'],
          'load': ['load', 'FILE'], 'batch': ['batch', 'FILE'], 'stress': ['stress', 'FILE', '--ops', '10']}
MAKES = {'create': ['create', 'FILE'], 'bench': ['bench', 'FILE', '--records', '10']}
ON_A_FILE = {**READS, **WRITES}
VERBS = {**ON_A_FILE, **MAKES, 'doctor': ['doctor', 'FOLDER']}


class Interruptions(WorldCase):
    """io_uring_enter fails now and then, as the kernel says it may."""

    def setUp(self):
        super().setUp()
        needs_strace(self)
        needs_io_uring(self)

    def test_every_verb_ends_right(self):
        for error in ('EINTR', 'EAGAIN', 'EBUSY'):
            for when in ('1+2', '2+3') if SCALE > 1 else ('1+2',):
                with self.subTest(error=error, when=when):
                    self.every_verb(prefix=strace(f'io_uring_enter:error={error}:when={when}'))

    def test_a_read_and_a_write_survive_a_failure_of_each_call_alone(self):
        self.cambium('create', self.file)
        for error in ('EINTR', 'EAGAIN', 'EBUSY'):
            for call in range(1, 9):
                with self.subTest(error=error, call=call):
                    prefix = strace(f'io_uring_enter:error={error}:when={call}')
                    self.cambium('put', self.file, 'k', f'{error}{call}', prefix=prefix)
                    self.assertEqual(self.cambium('get', self.file, 'k', prefix=prefix).out,
                                     f'{error}{call}\n'.encode())


class WithoutIoUring(WorldCase):
    def setUp(self):
        super().setUp()
        needs_seccomp(self)

    def test_threads_take_over_with_the_same_answers(self):
        for error in (errno.EPERM, errno.ENOSYS):
            with self.subTest(error=errno.errorcode[error]):
                self.every_verb(preexec_fn=forbid_io_uring(error))

    def test_the_reason_is_logged_once_and_shown_by_stat_and_doctor(self):
        self.cambium('load', self.file, stdin=tsv(records(500)))
        for error, reason in ((errno.EPERM, b'not permitted'), (errno.ENOSYS, b'not implemented')):
            how = {'preexec_fn': forbid_io_uring(error), 'env': {**os.environ, 'CAMBIUM_LOG': 'warn'}}
            answer = self.cambium('scan', self.file, **how)
            lines = [line for line in answer.err.splitlines() if b'io_uring' in line]
            self.assertEqual(len(lines), 1, answer.err)
            self.assertRegex(lines[0], b'(?i)' + reason)
            shown = json.loads(self.cambium('stat', self.file, '--json', preexec_fn=how['preexec_fn']).out)
            self.assertEqual(shown['backend'], 'threads')
            self.assertRegex(shown['backend_note'].encode(), b'(?i)' + reason)
            self.assertIn(b'io_uring', self.cambium('doctor', self.dir, code=(OK, RESOURCE), preexec_fn=how['preexec_fn']).out)

    def test_failing_system_calls_of_the_pool_are_told_or_survived(self):
        """Those of io_uring cannot be reached by strace; the engine above does not know which it is on."""
        needs_strace(self)
        self.cambium('load', self.file, '-q', stdin=tsv(records(50)))
        for call in ('pread64', 'pwrite64', 'fdatasync'):
            for number in range(1, 7):
                for error, codes in (('EINTR', (OK,)), ('EAGAIN', (OK,)), ('EIO', (OK, IO_ERROR))):
                    if error != 'EIO' and call == 'fdatasync':
                        continue
                    with self.subTest(call=call, number=number, error=error):
                        self.cambium('put', self.file, 'k', f'{call}{number}{error}', code=codes,
                                     prefix=strace(f'{call}:error={error}:when={number}', self.file),
                                     preexec_fn=forbid_io_uring(errno.EPERM))
                        self.cambium('check', self.file)

    def test_a_failed_sync_is_never_retried(self):
        needs_strace(self)
        self.cambium('load', self.file, '-q', stdin=tsv(records(50)))
        log = os.path.join(self.dir, 'log')
        struck = 0
        for number in range(1, 4):
            answer = run_program('put', self.file, f'new{number}', 'v', preexec_fn=forbid_io_uring(errno.EPERM),
                                 prefix=strace(f'fdatasync:error=EIO:when={number}', log=log))
            _, injected, after = Path(log).read_text().partition('(INJECTED)')
            self.assertEqual(answer.code, IO_ERROR if injected else OK, answer.err)
            self.assertNotIn('fdatasync(', after)
            struck += injected != ''
        self.assertGreaterEqual(struck, 1)
        self.cambium('check', self.file)

    def test_a_limit_of_the_file_size_is_no_space_and_no_signal(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        refuse = forbid_io_uring(errno.EPERM)

        def both():
            limit()
            refuse()
        for name, preexec in (('threads', both), ('default', limit)):
            file = os.path.join(self.dir, name)
            self.cambium('create', file)
            self.cambium('put', file, 'k', 'v')
            self.cambium('load', file, '-q', stdin=tsv(records(5000)), code=6, preexec_fn=preexec)
            self.assertEqual(self.cambium('get', file, 'k').out, b'v\n')
            self.cambium('check', file)


class LockedMemory(WorldCase):
    def setUp(self):
        super().setUp()
        needs_io_uring(self)
        self.program_for_everybody()

    def shown(self, file, memlock):
        return json.loads(self.cambium('stat', file, '--json', preexec_fn=as_nobody(memlock)).out)

    def warnings(self, file, memlock):
        """Of a run that reads and one that writes, each of which makes one core."""
        how = {'preexec_fn': as_nobody(memlock), 'env': {**os.environ, 'CAMBIUM_LOG': 'warn'}}
        return [self.cambium('scan', file, **how).err, self.cambium('put', file, 'k', 'v', **how).err]

    def test_an_ordinary_user_without_locked_memory_works_and_is_told_once(self):
        file = self.every_verb(preexec_fn=as_nobody(0))
        # A kernel that counts the ring itself refuses it; others refuse the buffers.
        stat = self.shown(file, 0)
        self.assertIn('ulimit -l', stat['backend_note'])
        self.assertEqual(stat['stats']['device_reads_fixed'], 0)
        for text in self.warnings(file, 0):
            self.assertEqual(text.count(b'ulimit -l'), 1, text)

    def test_with_too_little_of_it_the_ring_works_with_unregistered_buffers(self):
        little = 256 << 10
        file = self.every_verb(preexec_fn=as_nobody(little))
        stat = self.shown(file, little)
        if stat['backend'] != 'uring':
            self.skipTest('no ring within 256 KiB of locked memory: ' + stat['backend_note'])
        self.assertIn('registered buffers', stat['backend_note'])
        self.assertGreater(stat['stats']['device_reads'], 0)
        self.assertEqual(stat['stats']['device_reads_fixed'], 0)
        for text in self.warnings(file, little):
            self.assertEqual(text.count(b'registered buffers'), 1, text)


class Sharing(WorldCase):
    def test_a_second_opener_is_told_busy_within_about_the_time_it_waits_whatever_name_it_uses(self):
        self.cambium('load', self.file, stdin=tsv(records(20)))
        os.link(self.file, self.file + '.hard')
        os.symlink(self.file, self.file + '.soft')
        before = Path(self.file).read_bytes()
        with subprocess.Popen([run_program.path, 'batch', self.file], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdin.write(b'put a b\nflush\n')
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline(), b'flushed 1\n')  # it has the lock
            held = Path(self.file).read_bytes()
            for name in (self.file, self.file + '.hard', self.file + '.soft'):
                for words in (['get', name, 'key000001'], ['put', name, 'k', 'v']):
                    began = time.monotonic()
                    answer = self.cambium(*words, code=BUSY)
                    took = time.monotonic() - began
                    self.assertTrue(0.7 < took < 4, took)
                    self.assertIn(str(holder.pid).encode(), answer.err)
                    self.assertEqual(answer.out, b'')
            self.assertEqual(Path(self.file).read_bytes(), held)
            self.assertNotEqual(held, before)
            holder.stdin.close()
            self.assertEqual(holder.wait(20), OK)
        self.assertEqual(self.cambium('get', self.file + '.hard', 'a').out, b'b\n')
        self.assertEqual(self.cambium('get', self.file + '.soft', 'a').out, b'b\n')

    def test_readers_share(self):
        self.cambium('load', self.file, stdin=tsv(records(5000)))
        with subprocess.Popen([run_program.path, 'dump', self.file], stdout=subprocess.PIPE) as reader:
            reader.stdout.read(100)
            self.cambium('get', self.file, 'key000001')
            reader.stdout.read()
            self.assertEqual(reader.wait(20), OK)


class Paths(WorldCase):
    def refused(self, path, code, verbs=ON_A_FILE):
        for verb, words in verbs.items():
            with self.subTest(verb=verb, path=path):
                other = os.path.join(self.dir, 'other')
                answer = self.cambium(*[{'FILE': path, 'OTHER': other}.get(word, word) for word in words], code=code)
                self.assertEqual(answer.out, b'')
                self.assertFalse(os.path.exists(other))

    def test_what_is_no_file_is_unsupported_and_hangs_nobody(self):
        pipe, listener = os.path.join(self.dir, 'pipe'), os.path.join(self.dir, 'socket')
        os.mkfifo(pipe)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(listener)
            listening.listen()
            for path in (pipe, listener, self.dir, '/dev/null', '/dev/zero', '/dev/full'):
                self.refused(path, UNSUPPORTED)

    def test_loops_and_dangling_names(self):
        os.symlink('loop', os.path.join(self.dir, 'loop'))
        self.refused(os.path.join(self.dir, 'loop'), USAGE)
        os.symlink('nowhere', os.path.join(self.dir, 'dangling'))
        self.refused(os.path.join(self.dir, 'dangling'), NOT_FOUND, READS)
        self.refused(os.path.join(self.dir, 'n' * 300), USAGE)

    def test_a_file_without_permission_is_an_io_error_and_one_to_read_can_be_read(self):
        if os.geteuid() != 0:
            self.skipTest('becoming another user needs root')
        self.program_for_everybody()
        self.cambium('load', self.file, stdin=tsv(records(20)))
        before = Path(self.file).read_bytes()
        other = os.path.join(self.dir, 'other')
        for mode, verbs, code in ((0o600, ON_A_FILE, IO_ERROR), (0o644, WRITES, IO_ERROR), (0o644, READS, OK)):
            os.chmod(self.file, mode)
            for verb, words in verbs.items():
                with self.subTest(verb=verb, mode=oct(mode)):
                    self.cambium(*[{'FILE': self.file, 'OTHER': other}.get(word, word) for word in words], code=code,
                                 preexec_fn=as_nobody())
                    self.assertEqual(Path(self.file).read_bytes(), before)


class Contract(WorldCase):
    """Every exit code of every verb, and that --help tells them."""

    def words(self, verb):
        return [{'FILE': self.file, 'FOLDER': self.dir, 'OTHER': self.file + '.other'}.get(word, word) for word in VERBS[verb]]

    def every(self, verbs, code, **more):
        for verb in verbs:
            with self.subTest(verb=verb, code=code):
                self.cambium(*self.words(verb), code=code, **more)
                Path(self.file + '.other').unlink(missing_ok=True)

    def test_help_of_every_verb_lists_the_exit_codes(self):
        for words in [[]] + [[verb] for verb in VERBS]:
            text = ' '.join(self.cambium(*words, '--help').out.decode().split())
            for line in ('0 ok', '1 not found', '2 usage', '3 corruption', '4 busy', '5 unsupported', '6 no space',
                         '7 io_uring', '8 I/O error', '130 interrupted'):
                self.assertIn(line, text, words)

    def test_ok(self):
        for verb in VERBS:
            self.cambium('load', self.file, '-q', stdin=tsv(records(5)))
            if verb in MAKES:
                os.remove(self.file)
            self.every([verb], (OK, RESOURCE) if verb == 'doctor' else OK)
            Path(self.file).unlink(missing_ok=True)

    def test_not_found(self):
        self.every([*READS, 'put', 'del', 'compact'], NOT_FOUND)
        self.file = os.path.join(self.dir, 'no', 'folder')
        self.every([*ON_A_FILE, *MAKES], NOT_FOUND)
        self.cambium('doctor', os.path.join(self.dir, 'no'), code=RESOURCE)

    def test_usage(self):
        for verb in VERBS:
            with self.subTest(verb=verb):
                self.cambium(*self.words(verb), '--no-such-option', code=USAGE)
        Path(self.file).write_bytes(b'mine')
        self.every(MAKES, USAGE)

    def test_corruption(self):
        self.cambium('load', self.file, stdin=tsv(records(2000)))
        content = bytearray(Path(self.file).read_bytes())
        for page in range(4, len(content) // 4096):
            content[page * 4096 + 2000] ^= 1
        Path(self.file).write_bytes(content)
        self.every(ON_A_FILE, CORRUPTION)
        self.assertEqual(Path(self.file).read_bytes(), content)

    def test_busy(self):
        self.cambium('create', self.file)
        with subprocess.Popen([run_program.path, 'batch', self.file], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdin.write(b'put a b\nflush\n')
            holder.stdin.flush()
            holder.stdout.readline()
            waiting = [(verb, subprocess.Popen([run_program.path, *self.words(verb)], stdin=subprocess.DEVNULL,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)) for verb in ON_A_FILE]
            for verb, process in waiting:
                self.assertEqual((verb, process.wait(20)), (verb, BUSY))
            holder.stdin.close()

    def test_unsupported(self):
        Path(self.file).write_bytes(os.urandom(300_000))
        self.every(ON_A_FILE, UNSUPPORTED)

    def test_refused_resources(self):
        self.cambium('create', self.file)
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
        self.every([*READS, *WRITES], RESOURCE, preexec_fn=limit)

    def test_no_space_for_the_answer(self):
        self.cambium('load', self.file, stdin=tsv(records(5)))
        with open('/dev/full', 'wb') as full:
            self.every(['get', 'scan', 'dump', 'stat', 'check'], 6, stdout=full)

    def test_an_unreadable_input(self):
        self.cambium('create', self.file)
        for verb in ('put', 'load', 'batch'):
            with self.subTest(verb=verb):
                folder = os.open(self.dir, os.O_RDONLY)
                self.addCleanup(os.close, folder)
                done = subprocess.run([run_program.path, verb, self.file, *(['k'] if verb == 'put' else [])], stdin=folder,
                                      capture_output=True, timeout=20)
                self.assertEqual(done.returncode, IO_ERROR, done.stderr)


if __name__ == '__main__':
    main()
