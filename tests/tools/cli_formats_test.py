#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""load, dump, batch and stress of the command line, from outside. The first argument is the program."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from cli_case import CliCase, OK, USAGE, CORRUPTION, UNSUPPORTED, INTERRUPTED
from cli_case import RESULT_CLASS, binary_records, run_program

SEED = 20240117


def hex_lines(records):
    return b''.join(key.hex().encode() + b'\t' + value.hex().encode() + b'\n' for key, value in records.items())


class Formats(CliCase):
    def setUp(self):
        super().setUp()
        self.records = binary_records(SEED, 800)
        self.cambium('load', self.file, '--hex', stdin=hex_lines(self.records))

    def assert_same(self, file):
        dumped = self.cambium('dump', file, '--hex').out
        self.assertEqual(dumped, hex_lines(self.records), f'seed {SEED}')

    def test_every_format_brings_every_byte_back(self):
        self.assert_same(self.file)
        for name, options in (('tsv', []), ('tsv', ['--hex']), ('tsv', ['--base64']), ('jsonl', []), ('jsonl', ['--hex']),
                              ('mdb', []), ('mdb-print', [])):
            copy = os.path.join(self.dir, 'copy')
            text = self.cambium('dump', self.file, '--format', name, *options)
            self.assertEqual(text.err, b'')
            fields = options if name == 'tsv' else []
            self.cambium('load', copy, '--format', name, *fields, stdin=text.out)
            self.assert_same(copy)
            os.remove(copy)
            if fields:
                continue
            self.cambium('load', copy, '--sorted', stdin=text.out)  # the format by its content
            self.assert_same(copy)
            os.remove(copy)

    def test_escaped_text_is_clean_utf8(self):
        text = self.cambium('dump', self.file).out.decode()  # throws if it is not UTF-8
        self.assertEqual({c for c in text if ord(c) < 32 or 127 <= ord(c) < 160}, {'\t', '\n'})

    def test_json_lines_are_json(self):
        for line in self.cambium('dump', self.file, '--format', 'jsonl').out.splitlines():
            record = json.loads(line)
            key = base64.b64decode(record['k']) if 'enc' in record else record['k'].encode()
            self.assertIn(key, self.records)

    def test_lmdb_reads_our_dumps_and_we_read_its(self):
        if not (shutil.which('mdb_load') and shutil.which('mdb_dump')):
            self.skipTest('mdb_load and mdb_dump are not installed (lmdb-utils)')
        # LMDB's keys end at 511 bytes; older mdb_dump -p leave a backslash as it is.
        self.records = {k: v for k, v in self.records.items() if len(k) <= 511}
        short = os.path.join(self.dir, 'short')
        self.cambium('load', short, '--hex', stdin=hex_lines(self.records))
        for name, print_option in (('mdb', []), ('mdb-print', [])):
            lmdb = os.path.join(self.dir, name)
            text = self.cambium('dump', short, '--format', name).out
            subprocess.run(['mdb_load', '-n', lmdb], input=text, check=True)
            theirs = subprocess.run(['mdb_dump', '-n', *print_option, lmdb], capture_output=True, check=True).stdout
            copy = os.path.join(self.dir, 'copy')
            self.cambium('load', copy, stdin=theirs)
            self.assert_same(copy)
            os.remove(copy)

    def test_lmdb_print_dumps_without_backslashes_are_read(self):
        if not (shutil.which('mdb_load') and shutil.which('mdb_dump')):
            self.skipTest('mdb_load and mdb_dump are not installed (lmdb-utils)')
        self.records = {k: v for k, v in self.records.items() if len(k) <= 511 and b'\\' not in k + v}
        short, lmdb, copy = (os.path.join(self.dir, name) for name in ('short', 'lmdb', 'copy'))
        self.cambium('load', short, '--hex', stdin=hex_lines(self.records))
        subprocess.run(['mdb_load', '-n', lmdb], input=self.cambium('dump', short, '--format', 'mdb').out, check=True)
        theirs = subprocess.run(['mdb_dump', '-n', '-p', lmdb], capture_output=True, check=True).stdout
        self.cambium('load', copy, stdin=theirs)
        self.assert_same(copy)


class Loads(CliCase):
    def test_a_load_says_how_much_and_nothing_on_standard_output(self):
        answer = self.cambium('load', self.file, stdin=b'a\t1\n\nb\t2')  # blank lines and a missing last newline are fine
        self.assertEqual(answer.out, b'')
        self.assertIn(b'loaded 2 records', answer.err)
        self.assertEqual(self.cambium('load', self.file, '-q', stdin=b'c\t3\n').err, b'')
        self.assertEqual(json.loads(self.cambium('load', self.file, '--json', stdin=b'd\t4\n').out)['records'], 1)
        self.assertEqual(self.cambium('dump', self.file).out, b'a\t1\nb\t2\nc\t3\nd\t4\n')

    def test_an_empty_input_is_an_empty_load(self):
        self.cambium('load', self.file, '/dev/null')
        self.assertEqual(self.cambium('dump', self.file).out, b'')

    def test_a_bad_line_is_named_and_what_came_before_stays(self):
        for text, line in ((b'a\t1\nb\n', 2), (b'a\t1\nb\t\\q\n', 2), (b'{"k":"a","v":"1"}\n\n{"k":1,"v":"x"}\n', 3),
                           (b'{"k":"a","v":"1"}\n{"k":"b"\n', 2), (b'{"k":"a","v":"1"}\n{"k":"b","v":"c","enc":"rot13"}\n', 2),
                           (b'VERSION=3\nHEADER=END\n 61\n 31\n 6\n', 5), (b'a\t1\n\t2\n', 2),
                           (b'a\t1\n' + b'k' * 1025 + b'\t2\n', 2)):
            answer = self.cambium('load', self.file, code=USAGE, stdin=text)
            self.assertIn(f'line {line} of standard input'.encode(), answer.err)
            self.assertEqual(self.cambium('dump', self.file).out, b'a\t1\n', text)
            os.remove(self.file)

    # The message showed a bad "enc" by a function that recurses: 300,000 brackets ended the program by a signal.
    def test_json_nested_without_end_is_a_bad_line(self):
        nested = b'[' * 300_000 + b']' * 300_000
        for line in (nested, b'{"k":"a","v":"b","enc":' + nested + b'}', b'{"k":"a","v":' + nested + b'}'):
            answer = self.cambium('load', self.file, '--format', 'jsonl', stdin=line + b'\n', code=USAGE)
            self.assertLess(len(answer.err), 1000)
        self.cambium('load', self.file, '--format', 'jsonl', stdin=b'{"k":"a","v":"b","x":' + nested + b'}\n')

    def test_a_dump_that_is_cut_off_is_an_error(self):
        answer = self.cambium('load', self.file, code=USAGE, stdin=b'VERSION=3\nHEADER=END\n 61\n 31\n')
        self.assertIn(b'DATA=END', answer.err)

    def test_dumps_with_several_databases_or_values_are_unsupported(self):
        one = b'VERSION=3\nformat=bytevalue\nHEADER=END\n 61\n 31\nDATA=END\n'
        self.cambium('load', self.file, code=UNSUPPORTED, stdin=one + one)
        self.cambium('load', self.file, code=UNSUPPORTED, stdin=b'VERSION=3\ndupsort=1\nHEADER=END\nDATA=END\n')

    def test_a_sorted_load_takes_ascending_keys_into_an_empty_partition_or_nothing(self):
        answer = self.cambium('load', self.file, '--sorted', code=USAGE, stdin=b'a\t1\nc\t2\nb\t3\n')
        self.assertIn(b'line 3', answer.err)
        self.assertEqual(self.cambium('dump', self.file).out, b'')
        self.cambium('load', self.file, '--sorted', stdin=b'a\t1\nb\t2\n')
        self.cambium('load', self.file, '--sorted', code=USAGE, stdin=b'x\t1\n')
        self.assertEqual(self.cambium('dump', self.file).out, b'a\t1\nb\t2\n')

    def test_large_values(self):
        records = {b'a': os.urandom(1 << 20), b'b': os.urandom(5_000_000)}
        self.cambium('load', self.file, '--hex', stdin=hex_lines(records))
        self.assertEqual(self.cambium('dump', self.file, '--hex').out, hex_lines(records))

    def test_an_interrupt_says_what_is_durable(self):
        for options in ([], ['--sorted']):
            with subprocess.Popen([run_program.path, 'load', self.file, *options], stdin=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as load:
                load.stdin.write(b''.join(b'%08d\tv\n' % i for i in range(50_000)) + b'half a li')
                load.stdin.flush()
                time.sleep(0.5)
                load.send_signal(signal.SIGINT)
                said = load.stderr.read()
                self.assertEqual(load.wait(20), INTERRUPTED)
            self.assertIn(b'interrupted: 50000 records', said)
            self.assertIn(b'durable, all up to line 50000', said)
            self.assertEqual(self.cambium('dump', self.file).out.count(b'\n'), 50_000)
            os.remove(self.file)

    def test_progress_is_lines_outside_of_a_terminal(self):
        with subprocess.Popen([run_program.path, 'load', self.file], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as load:
            for i in range(60):
                load.stdin.write(b'%d\tv\n' % i)
                load.stdin.flush()
                time.sleep(0.1)
            load.stdin.close()
            said = load.stderr.read()
            self.assertEqual(load.wait(20), OK)
        self.assertRegex(said, rb'(?m)^load: \d+ records, .* records/s, .*/s$')


class Batches(CliCase):
    def test_groups_are_atomic_and_gets_see_what_was_committed(self):
        answer = self.cambium('batch', self.file, stdin=b'# two groups\nput a 1\nget a\nput b two words\ncommit\nget a\nget b\n'
                                                        b'del a\nput \\x20 \\t\n\nget a\nget \\x20\nput c 3\nflush\nput d 4\n')
        self.assertEqual(answer.out, b'a\na\t1\nb\ttwo words\na\n \t\\t\nflushed 5\n')
        self.assertEqual(self.cambium('dump', self.file).out, b' \t\\t\nb\ttwo words\nc\t3\nd\t4\n')

    def test_a_bad_line_drops_its_group_and_keeps_those_before(self):
        for line in (b'putt b 2', b'put', b'del', b'commit now', b'put b \\q', b'get ' + b'k' * 1025):
            answer = self.cambium('batch', self.file, code=USAGE, stdin=b'put a 1\ncommit\nput b 2\n' + line + b'\n')
            self.assertIn(b'line 4 of standard input', answer.err)
            self.assertEqual(self.cambium('dump', self.file).out, b'a\t1\n')

    def test_answers_in_json(self):
        answer = self.cambium('batch', self.file, '--json', stdin=b'put a 1\ncommit\nget a\nget b\nflush\n')
        lines = [json.loads(line) for line in answer.out.splitlines()]
        self.assertEqual(lines[:3], [{'k': 'a', 'found': True, 'v': '1'}, {'k': 'b', 'found': False}, {'flushed': 1}])
        self.assertEqual((lines[3]['schema'], lines[3]['writes']), (1, 1))

    def test_answers_come_at_once(self):
        with subprocess.Popen([run_program.path, 'batch', self.file], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as batch:
            for i in range(3):
                batch.stdin.write(b'put k %d\nflush\nget k\n' % i)
                batch.stdin.flush()
                self.assertEqual(batch.stdout.readline(), b'flushed %d\n' % (i + 1))
                self.assertEqual(batch.stdout.readline(), b'k\t%d\n' % i)
            batch.kill()  # what was flushed survives
            batch.wait(20)
        self.assertEqual(self.cambium('dump', self.file).out, b'k\t2\n')


class Stress(CliCase):
    def setUp(self):
        super().setUp()
        self.acks = os.path.join(self.dir, 'acks')

    def command(self, *options, seed=7, ops=60000):
        return [run_program.path, 'stress', self.file, '--seed', str(seed), '--ops', str(ops), '--keys', '500',
                '--flush-every', '50', *options]

    def verify(self, code=OK, seed=7, ops=3000):
        return self.cambium(*self.command('--verify', '--ack-file', self.acks, seed=seed, ops=ops)[1:], code=code)

    def test_acknowledged_lines_are_the_stream_and_verify_agrees(self):
        with open(self.acks, 'wb') as acks:
            subprocess.run(self.command('-q', '--ack-fd', str(acks.fileno()), ops=3000), pass_fds=[acks.fileno()], check=True)
        lines = Path(self.acks).read_text().splitlines()
        self.assertEqual([int(line.split()[0]) for line in lines], list(range(1, 3001)))
        for line in lines:
            self.assertRegex(line, r'^\d+ key\d{12} ([0-9a-f]{8}|-)$')
        self.verify()

    def test_verify_finds_what_is_missing_old_or_foreign(self):
        self.test_acknowledged_lines_are_the_stream_and_verify_agrees()
        last = {}
        for line in Path(self.acks).read_text().splitlines():
            last[line.split()[1]] = line.split()
        key = next(key for key, (_, _, crc) in last.items() if crc != '-')
        value = self.cambium('get', self.file, key, '--raw').out
        self.cambium('put', self.file, key, stdin=value[:-1] + b'?')
        self.assertIn(key.encode(), self.verify(CORRUPTION).err)
        self.cambium('put', self.file, key, stdin=b'7/1/')
        self.assertIn(b'older write 1', self.verify(CORRUPTION).err)
        self.cambium('put', self.file, key, stdin=value)
        self.verify()
        self.assertIn(b'none of this seed', self.verify(CORRUPTION, seed=8).err)

    def test_acknowledged_writes_survive_kill(self):
        survived = 0
        for delay in (0.02, 0.05, 0.1, 0.2, 0.4):
            with open(self.acks, 'wb') as acks, \
                 subprocess.Popen(self.command('-q', '--ack-fd', str(acks.fileno())), pass_fds=[acks.fileno()]) as stress:
                time.sleep(delay)
                stress.kill()
                stress.wait(20)
            if not os.path.exists(self.file):
                continue
            answer = run_program(*self.command('--verify', '--ack-file', self.acks, '--json')[1:])
            if answer.code == UNSUPPORTED and os.path.getsize(self.acks) == 0:
                os.remove(self.file)  # killed while the file was being made
                continue
            self.assertEqual(answer.code, OK, answer.err)
            survived += json.loads(answer.out)['last_acked']
            self.cambium('check', self.file)
            os.remove(self.file)
        self.assertGreater(survived, 0)

    def test_a_descriptor_that_is_not_open_is_a_usage_error(self):
        self.cambium(*self.command('--ack-fd', '77')[1:], code=USAGE)


if __name__ == '__main__':
    run_program.path = os.path.abspath(sys.argv.pop(1))
    unittest.main(testRunner=unittest.TextTestRunner(resultclass=RESULT_CLASS, verbosity=1))
