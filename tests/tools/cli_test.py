#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Drives the command line from outside: every verb, every exit code, every format. The first argument is the program."""

import json
import os
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from cli_case import CliCase, OK, NOT_FOUND, USAGE, CORRUPTION, BUSY, UNSUPPORTED, NO_SPACE, RESOURCE, IO_ERROR, INTERRUPTED
from cli_case import RESULT_CLASS, binary_records, run_program

VERBS = ('create', 'put', 'get', 'del', 'scan', 'load', 'dump', 'batch', 'table', 'levels', 'sstable', 'stat', 'check', 'salvage',
         'compact', 'stress', 'bench', 'doctor')


class Usage(CliCase):
    def test_help_leads_with_examples_for_every_verb(self):
        for words in [[]] + [[verb] for verb in VERBS]:
            answer = self.cambium(*words, '--help')
            self.assertTrue(answer.out.startswith(b'Examples\n  '), words)
            self.assertEqual(answer.err, b'')
        self.assertIn(b'130 interrupted', self.cambium('--help').out)

    def test_version_is_one_line(self):
        self.assertRegex(self.cambium('--version').out, rb'\Acambium \d+\.\d+\.\d+\n\Z')

    def test_misspelt_commands_and_options_name_what_was_meant(self):
        for words, meant in ((['gte', 'f', 'k'], 'get'), (['--jsno', 'get', 'f', 'k'], '--json'),
                             (['get', 'f', 'k', '--jsno'], '--json'), (['scan', 'f', '--prefx=a'], '--prefix'),
                             (['load', 'f', '--format', 'jsnol'], 'jsonl')):
            answer = self.cambium(*words, code=USAGE)
            self.assertIn(f'did you mean {meant}?'.encode(), answer.err)
            self.assertEqual(answer.out, b'')

    def test_what_is_missing_or_malformed_is_a_usage_error(self):
        for words in ([], ['get'], ['get', self.file], ['put', self.file], ['scan', self.file, '--limit', 'many'],
                      ['get', self.file, 'k', '--memory', '12x'], ['get', self.file, 'zz', '--hex'],
                      ['get', self.file, 'A', '--base64'], ['get', self.file, 'k', '--hex', '--base64'],
                      ['scan', self.file, '--prefix', 'a', '--from', 'b'], ['stress', self.file, '--wal', 'perhaps'],
                      ['stress', self.file, '--verify'], ['get', self.file, 'k', 'more']):
            self.assertEqual(self.cambium(*words, code=USAGE).out, b'', words)
        self.assertFalse(os.path.exists(self.file))

    def test_an_error_has_four_parts_and_no_colour_outside_of_a_terminal(self):
        answer = self.cambium('get', self.file, 'k', code=NOT_FOUND)
        lines = answer.err.decode().splitlines()
        self.assertEqual([line[:8] for line in lines], ['error: c', '  in:  c', '  why: t', '  try: c'])
        self.assertNotIn(b'\033', answer.err)

    def test_an_error_in_json_is_one_object_on_standard_error(self):
        for words, code, name in ((['get', self.file, 'k'], NOT_FOUND, 'not_found'), (['gte'], USAGE, 'invalid_argument'),
                                  (['get', self.file], USAGE, 'invalid_argument')):
            answer = self.cambium(*words, '--json', code=code)
            self.assertEqual(answer.out, b'')
            error = json.loads(answer.err)
            self.assertEqual(error['schema'], 1)
            self.assertEqual((error['error']['code'], error['error']['exit']), (name, code))
            self.assertTrue(error['error']['message'] and error['error']['hint'])


class PointOperations(CliCase):
    def setUp(self):
        super().setUp()
        self.cambium('create', self.file)

    def test_what_was_put_is_got_and_what_was_deleted_is_gone(self):
        self.assertEqual(self.cambium('put', self.file, 'hello', 'world').out, b'')
        self.assertEqual(self.cambium('get', self.file, 'hello').out, b'world\n')
        self.cambium('put', self.file, 'hello', '')
        self.assertEqual(self.cambium('get', self.file, 'hello').out, b'\n')
        self.cambium('del', self.file, 'hello')
        gone = self.cambium('get', self.file, 'hello', code=NOT_FOUND)
        self.assertEqual((gone.out, gone.err), (b'', b'not found: "hello"\n'))
        self.cambium('del', self.file, 'hello')  # twice is no error

    def test_keys_may_look_like_commands_and_options(self):
        for key in ('get', 'put', '--', '-k', '--json', 'a b', '\N{SNOWMAN}'):
            self.cambium('put', self.file, '--', key, 'v' + key)
            self.assertEqual(self.cambium('get', self.file, '--', key).out.decode(), f'v{key}\n')

    def test_binary_values_come_from_standard_input_and_leave_raw(self):
        value = bytes(range(256)) * 20 + b'\n'
        self.cambium('put', self.file, 'k', stdin=value)
        self.assertEqual(self.cambium('get', self.file, 'k', '--raw').out, value)
        self.assertEqual(self.cambium('get', self.file, '6b', '--hex').out.decode(), value.hex() + '\n')

    def test_binary_keys_are_written_in_hexadecimal_and_base64(self):
        self.cambium('put', self.file, '--hex', '00ff0a', '0102')
        self.assertEqual(self.cambium('get', self.file, 'AP8K', '--base64').out, b'AQI=\n')
        self.assertEqual(self.cambium('scan', self.file).out, b'\\x00\\xff\\n\t\\x01\\x02\n')

    def test_answers_in_json(self):
        self.assertTrue(json.loads(self.cambium('put', self.file, 'k', 'v', '--json').out)['durable'])
        got = json.loads(self.cambium('--json', 'get', self.file, 'k').out)
        self.assertEqual((got['schema'], got['found'], got['k'], got['v']), (1, True, 'k', 'v'))
        self.cambium('put', self.file, 'b', stdin=b'\xff')
        got = json.loads(self.cambium('get', self.file, 'b', '--json').out)
        self.assertEqual((got['v'], got['enc']), ('/w==', 'base64'))
        self.assertFalse(json.loads(self.cambium('get', self.file, 'x', '--json', code=NOT_FOUND).out)['found'])
        self.assertTrue(json.loads(self.cambium('del', self.file, 'k', '--json').out)['existed'])
        self.assertFalse(json.loads(self.cambium('del', self.file, 'k', '--json').out)['existed'])

    def test_keys_have_limits(self):
        longest = 'k' * 1024
        self.cambium('put', self.file, longest, 'v')
        self.assertEqual(self.cambium('get', self.file, longest).out, b'v\n')
        for key in ('', longest + 'k'):
            self.cambium('put', self.file, key, 'v', code=USAGE)


class ExitCodes(CliCase):
    """Those that need a damaged, foreign, locked or full something; usage errors are above."""

    def fill(self, count=2000):
        self.cambium('load', self.file, stdin=b''.join(b'key%06d\tvalue%d\n' % (i, i) for i in range(count)))

    def refused(self, code, *words):
        """The command ends with the code, and the file is what it was."""
        before = Path(self.file).read_bytes()
        answer = self.cambium(*words, code=code)
        self.assertEqual(answer.out, b'')
        self.assertEqual(Path(self.file).read_bytes(), before)
        return answer

    def test_a_missing_file_is_not_found_and_is_not_made(self):
        for words in (['get', 'k'], ['put', 'k', 'v'], ['del', 'k'], ['scan'], ['dump'], ['stat'], ['levels'], ['check'],
                      ['compact']):
            self.cambium(words[0], self.file, *words[1:], code=NOT_FOUND)
        self.assertFalse(os.path.exists(self.file))

    def test_create_refuses_a_file_that_is_there(self):
        Path(self.file).write_bytes(b'mine')
        self.refused(USAGE, 'create', self.file)
        self.refused(USAGE, 'bench', self.file)

    def test_foreign_files_are_unsupported(self):
        for content in (b'text\n', os.urandom(300_000), bytes(65536) + b'x'):
            Path(self.file).write_bytes(content)
            for words in (['get', self.file, 'k'], ['put', self.file, 'k', 'v'], ['check', self.file]):
                self.assertRegex(self.refused(UNSUPPORTED, *words).err, rb'not a Cambium partition|too short to be')

    def test_what_an_interrupted_creation_left_is_unsupported_until_it_is_made_anew(self):
        for content in (b'', bytes(65536)):
            Path(self.file).write_bytes(content)
            for words in (['get', self.file, 'k'], ['put', self.file, 'k', 'v'], ['check', self.file]):
                self.assertRegex(self.refused(UNSUPPORTED, *words).err, rb'interrupted[^$]*cambium create')
            self.cambium('create', self.file)
            self.cambium('put', self.file, 'k', 'v')

    def test_a_directory_is_unsupported(self):
        self.cambium('get', self.dir, 'k', code=UNSUPPORTED)

    def test_a_truncated_file_is_corrupt(self):
        self.fill()
        os.truncate(self.file, os.path.getsize(self.file) // 2 // 4096 * 4096)
        self.refused(CORRUPTION, 'get', self.file, 'key000001')
        self.refused(CORRUPTION, 'put', self.file, 'k', 'v')

    def test_check_finds_a_flipped_bit_in_every_page_in_use(self):
        self.fill(300)
        whole = Path(self.file).read_bytes()
        pages = json.loads(self.cambium('check', self.file, '--json').out)['reachable_pages']
        found = 0
        for page in range(4, len(whole) // 4096):
            damaged = bytearray(whole)
            damaged[page * 4096 + 1000] ^= 0x10
            Path(self.file).write_bytes(damaged)
            answer = run_program('check', self.file)
            self.assertIn(answer.code, (OK, CORRUPTION))
            if answer.code == CORRUPTION:
                found += 1
                self.assertIn(b'checksum', answer.err)
        # The superblocks and the spare copies of the space map are in use too, and damage there is survived.
        self.assertGreaterEqual(found, 3)
        self.assertLess(found, pages)

    def test_check_lists_every_damaged_place_and_salvage_copies_the_rest(self):
        self.fill(3000)
        whole = self.cambium('dump', self.file).out
        rescued = os.path.join(self.dir, 'rescued.cambium')
        answer = json.loads(self.cambium('salvage', self.file, rescued, '--json').out)
        self.assertEqual((answer['complete'], answer['entries'], answer['lost']), (True, 3000, []))
        self.assertEqual(self.cambium('dump', rescued).out, whole)
        self.cambium('salvage', self.file, rescued, code=USAGE)  # it is there already
        os.remove(rescued)

        content = bytearray(Path(self.file).read_bytes())
        used = json.loads(self.cambium('stat', self.file, '--json').out)['stats']['used_pages']
        broken = 0
        for page in range(8, len(content) // 4096):  # every tenth leaf, or what was one
            if content[page * 4096 + 4] == 4 and page % 10 == 0:
                content[page * 4096 + 1000] ^= 0x10
                broken += 1
        self.assertGreater(used, broken)
        Path(self.file).write_bytes(content)
        found = self.cambium('check', self.file, code=CORRUPTION)
        lines = [line for line in found.out.decode().splitlines() if line.startswith('damaged: page ')]
        self.assertTrue(lines)
        self.assertIn('table default, keys from ', lines[0])
        object = json.loads(self.cambium('check', self.file, '--json', code=CORRUPTION).out)
        self.assertEqual((object['whole'], object['damaged_places'], len(object['damages'])),
                         (False, len(lines), len(lines)))

        lost = self.cambium('salvage', self.file, rescued, code=CORRUPTION)
        self.assertIn(b'lost: table default, from ', lost.out)
        self.assertEqual(Path(self.file).read_bytes(), content)
        self.cambium('check', rescued)
        copied = self.cambium('dump', rescued).out.splitlines()
        self.assertGreater(len(copied), 1000)
        self.assertLessEqual(set(copied), set(whole.splitlines()))

    def log_groups(self, content):
        """{first write: file offset} of the groups of the log."""
        newest = max((0, 2 * 4096), key=lambda at: int.from_bytes(content[at + 16:at + 24], 'little'))
        field = lambda at, size: int.from_bytes(content[at:at + size], 'little')
        log_id, count, pages = field(newest + 104, 8), field(newest + 120, 4), field(newest + 124, 4)
        groups = {}
        for segment in range(count):
            first = field(newest + 1056 + 4 * segment, 4)
            for at in range((first + 1) * 4096, (first + pages) * 4096, 4096):
                if field(at + 8, 8) == log_id and field(at + 32, 8) != 0:
                    groups[field(at + 32, 8)] = at
        return groups

    def test_a_log_that_is_damaged_in_the_middle_is_refused_described_and_salvaged(self):
        stress = [run_program.path, 'stress', self.file, '--seed', '1', '--ops', '10000000', '--keys', '20000',
                  '--flush-every', '10000000', '--wal', 'sync', '-q', '--ack-fd', '1']
        with subprocess.Popen(stress, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            for _ in range(200):
                process.stdout.readline()
            process.kill()
        whole = self.cambium('check', self.file)
        self.assertIn(b' records', whole.out)
        content = bytearray(Path(self.file).read_bytes())
        groups = sorted(self.log_groups(content).items())
        self.assertGreater(len(groups), 10)
        write, at = groups[len(groups) // 2]
        content[at + 70] ^= 1
        Path(self.file).write_bytes(content)

        self.cambium('get', self.file, 'k', code=CORRUPTION)
        found = self.cambium('check', self.file, code=CORRUPTION)
        self.assertRegex(found.out.decode(), f'damaged: page {at // 4096}, the log at position \\d+, writes {write} to')
        damage, = json.loads(self.cambium('check', self.file, '--json', code=CORRUPTION).out)['damages']
        self.assertEqual((damage['page'], damage['first_write']), (at // 4096, write))

        rescued = os.path.join(self.dir, 'rescued.cambium')
        answer = json.loads(self.cambium('salvage', self.file, rescued, '--json', code=CORRUPTION).out)
        self.assertEqual((answer['complete'], answer['log_lost_from'], answer['log_writes']), (False, write, write - 1))
        self.cambium('check', rescued)
        os.remove(rescued)
        text = self.cambium('salvage', self.file, rescued, code=CORRUPTION).out
        self.assertIn(f'lost: of the log, the writes from {write} to '.encode(), text)
        self.assertEqual(Path(self.file).read_bytes(), content)

    def test_salvage_refuses_what_is_no_partition_and_makes_nothing(self):
        Path(self.file).write_bytes(b'x' * 40960)
        rescued = os.path.join(self.dir, 'rescued.cambium')
        self.cambium('salvage', self.file, rescued, code=UNSUPPORTED)
        self.assertFalse(os.path.exists(rescued))
        self.cambium('salvage', os.path.join(self.dir, 'absent'), rescued, code=NOT_FOUND)

    def test_one_damaged_superblock_is_reported_and_survived(self):
        self.fill(10)
        content = bytearray(Path(self.file).read_bytes())
        content[100] ^= 1
        Path(self.file).write_bytes(content)
        answer = self.cambium('check', self.file)
        self.assertIn(b'superblock', answer.err)
        for page in range(4):
            content[page * 4096 + 100] ^= 2
        Path(self.file).write_bytes(content)
        self.refused(CORRUPTION, 'check', self.file)

    def test_a_file_in_use_is_busy_for_writers_and_shared_by_readers(self):
        self.fill(10)
        with open(self.file, 'rb') as file:
            import fcntl
            fcntl.flock(file, fcntl.LOCK_SH)
            self.cambium('get', self.file, 'key000001')
            self.assertIn(b'is locked by', self.refused(BUSY, 'put', self.file, 'k', 'v').err)
            fcntl.flock(file, fcntl.LOCK_EX)
            self.refused(BUSY, 'get', self.file, 'key000001')

    def test_a_write_ahead_log_stays_in_the_file_until_it_is_opened_without_one(self):
        for wal in ('batched', 'sync'):
            self.cambium('stress', self.file, '--ops', '200', '--wal', wal, '-q')
            self.assertGreaterEqual(self.stat()['wal_segments'], 2)
            self.cambium('put', self.file, '--wal', wal, 'a key', 'a value')
            self.cambium('check', self.file)
        self.cambium('put', self.file, 'a key', 'another value')
        self.assertEqual(self.stat()['wal_segments'], 0)
        self.cambium('check', self.file)

    def stat(self):
        return json.loads(self.cambium('stat', self.file, '--json').out)['stats']

    def test_a_full_output_is_no_space(self):
        self.fill(10)
        with open('/dev/full', 'wb') as full:
            self.cambium('dump', self.file, code=NO_SPACE, stdout=full)

    def test_a_full_file_system_is_no_space_and_keeps_what_was_durable(self):
        if os.geteuid() != 0 or not shutil.which('unshare'):
            self.skipTest('mounting a small file system needs root and unshare')
        program = os.path.abspath(run_program.path)
        script = (f'mount -t tmpfs -o size=3m none {self.dir} || exit 99; cd {self.dir}; {program} create f && '
                  f'{program} put f k v && base64 /dev/urandom | head -c 9000000 | nl -w 1 | {program} load f -q; code=$?; '
                  f'{program} get f k && {program} check f -q >&2 && exit $code; exit 98')
        done = subprocess.run(['unshare', '-m', 'sh', '-c', script], capture_output=True, timeout=60)
        if done.returncode in (1, 99):
            self.skipTest('no mount here: ' + done.stderr.decode(errors='replace').strip())
        self.assertEqual((done.returncode, done.stdout), (NO_SPACE, b'v\n'), done.stderr)

    def test_too_few_descriptors_are_a_refused_resource(self):
        self.fill(10)
        import resource
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
        self.cambium('get', self.file, 'key000001', code=RESOURCE, preexec_fn=limit)

    def test_an_unreadable_input_is_an_io_error(self):
        self.cambium('load', self.file, self.dir, code=IO_ERROR)
        self.cambium('load', self.file, self.dir + '/nothing', code=NOT_FOUND)


class ReadOnly(CliCase):
    def test_verbs_that_read_leave_the_file_alone(self):
        self.cambium('load', self.file, stdin=b''.join(b'k%d\tv\n' % i for i in range(5000)))
        os.chmod(self.file, 0o444)
        before = (Path(self.file).read_bytes(), os.stat(self.file).st_mtime_ns, os.listdir(self.dir))
        for words in (['get', 'k1'], ['scan', '--limit', '3'], ['scan'], ['dump'], ['stat'], ['check']):
            answer = self.cambium(words[0], self.file, *words[1:])
            self.assertNotEqual(answer.out, b'')
            self.assertEqual(answer.err, b'')
        self.assertEqual((Path(self.file).read_bytes(), os.stat(self.file).st_mtime_ns, os.listdir(self.dir)), before)


class Scans(CliCase):
    def setUp(self):
        super().setUp()
        self.keys = [b'a%d' % i for i in range(1000)] + [b'b%d' % i for i in range(1000)]
        self.cambium('load', self.file, stdin=b''.join(key + b'\tv\n' for key in self.keys))
        self.keys.sort()

    def scan(self, *options):
        return self.cambium('scan', self.file, '--keys', *options).out.split(b'\n')[:-1]

    def test_ranges_prefixes_limits_and_directions(self):
        self.assertEqual(self.scan(), self.keys)
        self.assertEqual(self.scan('--reverse'), self.keys[::-1])
        self.assertEqual(self.scan('--from', 'a5', '--to', 'b3'), [key for key in self.keys if b'a5' <= key < b'b3'])
        self.assertEqual(self.scan('--prefix', 'a99'), [b'a99'] + [b'a99%d' % i for i in range(10)])
        self.assertEqual(self.scan('--prefix', 'b', '--limit', '7'), [key for key in self.keys if key[:1] == b'b'][:7])
        self.assertEqual(self.scan('--to', 'b', '--reverse', '--limit', '2'), [b'a999', b'a998'])
        self.assertEqual(self.scan('--hex', '--prefix', '6139', '--limit', '1'), [b'a9'.hex().encode()])

    def test_json_lines(self):
        lines = self.cambium('scan', self.file, '--json', '--limit', '2').out.splitlines()
        self.assertEqual([json.loads(line) for line in lines], [{'k': 'a0', 'v': 'v'}, {'k': 'a1', 'v': 'v'}])

    def test_a_reader_that_goes_away_ends_the_scan_quietly(self):
        self.cambium('load', self.file, stdin=b''.join(b'%d\t%s\n' % (i, b'x' * 500) for i in range(20000)))
        with subprocess.Popen([run_program.path, 'scan', self.file], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as scan:
            scan.stdout.read(10)
            scan.stdout.close()
            self.assertEqual((scan.stderr.read(), scan.wait(20)), (b'', OK))


class Upkeep(CliCase):
    def test_stat_shows_every_figure_as_text_and_json(self):
        self.cambium('load', self.file, stdin=b'k\tv\nl\tw\n')
        answer = json.loads(self.cambium('stat', self.file, '--json').out)
        self.assertEqual((answer['schema'], answer['verb']), (1, 'stat'))
        self.assertEqual(answer['facts']['size_bytes'], os.path.getsize(self.file))
        self.assertEqual(answer['stats']['entries'], 2)
        text = self.cambium('stat', self.file).out.decode()
        for name in answer['stats']:
            self.assertRegex(text, rf'(?m)^{name} ')

    def test_check_counts_what_is_there(self):
        self.cambium('load', self.file, stdin=b'k\tv\nl\tw\n')
        self.assertEqual(json.loads(self.cambium('check', self.file, '--json').out)['entries'], 2)
        self.assertIn(b'whole', self.cambium('check', self.file).out)

    def test_compact_gives_space_back(self):
        self.cambium('load', self.file, stdin=b''.join(b'%06d\t%s\n' % (i, b'x' * 900) for i in range(10000)))
        self.cambium('batch', self.file, stdin=b''.join(b'del %06d\n' % i for i in range(9900)))
        self.cambium('compact', self.file, '--json')
        self.assertLess(os.path.getsize(self.file), 2_000_000)
        self.assertEqual(json.loads(self.cambium('check', self.file, '--json').out)['entries'], 100)
        self.assertEqual(len(self.cambium('dump', self.file).out.splitlines()), 100)

    def test_bench_prints_four_lines_and_removes_its_file(self):
        lines = self.cambium('bench', self.file, '--records', '2000').out.decode().splitlines()
        self.assertEqual([line.split()[0] for line in lines], ['load', 'get', 'multi_get', 'scan'])
        for line in lines:
            self.assertRegex(line, r'^\S+ +: +[\d.]+ micros/op \d+ ops/sec [\d.]+ seconds 2\d{3} operations; .* p99 ')
        self.assertFalse(os.path.exists(self.file))
        answer = json.loads(self.cambium('bench', self.file, '--records', '100', '--keep', '--json').out)
        self.assertEqual(len(answer['results']), 4)
        self.assertEqual(json.loads(self.cambium('check', self.file, '--json').out)['entries'], 100)

    def test_doctor_names_a_remedy_for_every_complaint(self):
        answer = json.loads(self.cambium('doctor', self.dir, '--json').out)
        names = [finding['name'] for finding in answer['findings']]
        self.assertEqual(names, ['kernel', 'io_uring', 'ring features', 'memlock', 'cgroup memory', 'huge pages',
                                 'cpu governor', 'file system', 'file lock', 'direct I/O', 'fsync'])
        for finding in answer['findings']:
            self.assertEqual(finding['level'] != 'ok', 'fix' in finding, finding)
        self.assertEqual(os.listdir(self.dir), [])
        self.assertIn(b'fail  directory', self.cambium('doctor', self.dir + '/nothing', code=RESOURCE).out)


if __name__ == '__main__':
    run_program.path = os.path.abspath(sys.argv.pop(1))
    unittest.main(testRunner=unittest.TextTestRunner(resultclass=RESULT_CLASS, verbosity=1))
