#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Looking inside tables of kind levels: `cambium levels` and `cambium sstable`. The first argument is the program."""

import base64
import json
import os
import sys
import unittest
from pathlib import Path

from cli_case import CliCase, CORRUPTION, NOT_FOUND, UNSUPPORTED, USAGE
from cli_case import RESULT_CLASS, run_program


class Levels(CliCase):
    def setUp(self):
        super().setUp()
        self.cambium('create', self.file)
        self.cambium('table', 'create', self.file, 'events', '--kind', 'levels')

    def fill(self, first, last, value='value'):
        lines = ''.join(f'key{i:06d}\t{value}{i}\n' for i in range(first, last))
        self.cambium('load', self.file, '--table', 'events', '-q', stdin=lines.encode())

    def levels(self, *words):
        return json.loads(self.cambium('levels', self.file, '--json', *words).out)['tables']

    def sstables(self):
        """Those of the only table, in the order of the list."""
        return [one for level in self.levels()[0]['levels'] for run in level['runs'] for one in run['sstables']]

    def sstable(self, number, *words, **more):
        return self.cambium('sstable', self.file, '--table', 'events', '--id', str(number), *words, **more)

    def test_runs_are_listed_newest_first_with_their_totals(self):
        self.fill(0, 2000)
        self.fill(1000, 1500)
        self.cambium('del', self.file, 'key000007', '--table', 'events')
        table, = self.levels()
        self.assertEqual((table['table'], table['kind'], table['sstables'], table['runs'], table['level_count']),
                         ('events', 'levels', 3, 3, 1))
        self.assertEqual((table['entries'], table['tombstones']), (2501, 1))
        level, = table['levels']
        self.assertEqual(level['level'], 0)
        runs = [run['run'] for run in level['runs']]
        self.assertEqual(runs, sorted(runs, reverse=True))
        sstables = self.sstables()
        self.assertEqual([(one['entries'], one['min_key'], one['max_key']) for one in sstables],
                         [(1, 'key000007', 'key000007'), (500, 'key001000', 'key001499'), (2000, 'key000000', 'key001999')])
        self.assertEqual(sum(one['pages'] for one in sstables) + table['manifest_pages'], table['pages'])
        self.assertEqual(sum(one['content_bytes'] for one in sstables), table['content_bytes'])
        self.assertAlmostEqual(table['space_amplification'], table['bytes'] / table['content_bytes'])
        for one in sstables:
            self.assertGreaterEqual(one['filter_bits_per_key'], 10)
            self.assertFalse(one['trimmed'])
            self.assertEqual(one['bytes'], one['pages'] * 4096)
        self.assertEqual(table['compaction']['flush_runs'], 8)
        self.assertIn('read-only', table['compaction']['reason'])

        lines = self.cambium('levels', self.file).out.decode().splitlines()
        self.assertEqual(len([line for line in lines if '\tkey' in line]), 3)
        self.assertTrue(lines[-1].endswith('\tkey000000\tkey001999'))
        self.assertEqual(self.cambium('levels', self.file, '--table', 'events').out.decode().splitlines(), lines)

    def test_compaction_moves_runs_down(self):
        # One process that flushes often: sooner or later its flushes wait for compaction.
        rounds = [''.join(f'put key{i:06d} {j}\n' for i in range(j * 10, j * 10 + 40)) + 'flush\n' for j in range(60)]
        self.cambium('batch', self.file, '--table', 'events', stdin=''.join(rounds).encode())
        levels = self.levels()[0]['levels']
        self.assertGreater(levels[-1]['level'], 0)
        self.assertEqual(len(levels[-1]['runs']), 1)
        self.assertEqual([level['level'] for level in levels], sorted(level['level'] for level in levels))
        self.assertEqual(self.cambium('scan', self.file, '--table', 'events', '--keys').out.count(b'\n'), 630)

    def test_one_sstable_shows_its_row_its_extents_and_its_keys(self):
        self.fill(0, 1500)
        self.cambium('put', self.file, 'long', 'x' * 9000, '--table', 'events')
        self.cambium('del', self.file, 'key000007', '--table', 'events')
        deleted, long, first = self.sstables()
        one = json.loads(self.sstable(first['id'], '--json').out)
        for field, value in first.items():
            self.assertEqual(one[field], value)
        self.assertEqual((one['table'], one['overflow_pages']), ('events', 0))
        self.assertEqual(sum(extent['pages'] for extent in one['extents']), one['node_pages'] + one['filter_pages'])
        self.assertGreaterEqual(one['height'], 2)
        self.assertEqual(one['first'], {'k': 'key000000', 'kind': 'value', 'value_bytes': 6})
        self.assertEqual(one['last'], {'k': 'key001499', 'kind': 'value', 'value_bytes': 9})
        self.assertEqual(json.loads(self.sstable(long['id'], '--json').out)['first'],
                         {'k': 'long', 'kind': 'long value', 'value_bytes': 9000})

        text = self.sstable(first['id']).out.decode()
        self.assertTrue(text.endswith('\n\nkey000000\tvalue\t6\nkey001499\tvalue\t9\n'), text)
        keys = self.sstable(first['id'], '--keys').out.split(b'\n\n')[1].splitlines()
        self.assertEqual([line.split(b'\t')[0] for line in keys], [b'key%06d' % i for i in range(1500)])
        lines = [json.loads(line) for line in self.sstable(first['id'], '--keys', '--json').out.splitlines()]
        self.assertEqual(lines[0]['entries'], 1500)
        self.assertEqual([line['k'] for line in lines[1:]], [f'key{i:06d}' for i in range(1500)])
        self.assertIn(b'key000007\ttombstone\t0\n', self.sstable(deleted['id'], '--keys').out)

    def test_keys_of_any_bytes_are_shown_as_elsewhere(self):
        self.cambium('put', self.file, '--hex', '00ff0a', '01', '--table', 'events')
        one, = self.sstables()
        self.assertEqual((one['enc'], base64.b64decode(one['min_key'])), ('base64', b'\x00\xff\n'))
        self.assertIn(b'\t\\x00\\xff\\n\t', self.cambium('levels', self.file).out)
        self.assertIn(b'\t00ff0a\t', self.cambium('levels', self.file, '--hex').out)
        self.assertEqual(self.levels('--hex')[0]['levels'][0]['runs'][0]['sstables'][0]['min_key'], '00ff0a')
        self.assertIn(b'\n00ff0a\tvalue\t1\n', self.sstable(one['id'], '--hex').out)
        self.assertIn(b'\n\\x00\\xff\\n\tvalue\t1\n', self.sstable(one['id'], '--keys').out)
        first = json.loads(self.sstable(one['id'], '--json').out)['first']
        self.assertEqual((base64.b64decode(first['k']), first['enc']), (b'\x00\xff\n', 'base64'))

    def test_what_cannot_be_is_answered_with_its_exit_code(self):
        answer = self.cambium('levels', self.file, '--table', 'default', code=USAGE)
        self.assertEqual(answer.out, b'')
        self.assertIn(b'is a tree', answer.err)
        self.assertIn(b'try: name a table of kind levels', answer.err)
        self.assertIn(b'is a tree', self.cambium('sstable', self.file, '--table', 'default', '--id', '1', code=USAGE).err)
        self.cambium('levels', self.file, '--table', 'none', code=NOT_FOUND)
        self.cambium('levels', self.file + '.absent', code=NOT_FOUND)
        self.sstable(1, code=NOT_FOUND)
        self.cambium('sstable', self.file, '--table', 'events', code=USAGE)
        self.cambium('sstable', self.file, '--id', '1', code=USAGE)
        self.cambium('sstable', self.file, '--table', 'events', '--id', 'x', code=USAGE)
        error = json.loads(self.cambium('levels', self.file, '--table', 'default', '--json', code=USAGE).err)['error']
        self.assertEqual((error['code'], error['exit']), ('invalid_argument', USAGE))

    def test_a_file_without_level_stores_has_nothing_to_list(self):
        self.cambium('table', 'drop', self.file, 'events')
        answer = self.cambium('levels', self.file)
        self.assertEqual((answer.out, answer.err), (b'', b'no table of kind levels\n'))
        self.assertEqual(self.levels(), [])

    def test_the_file_is_left_alone(self):
        self.fill(0, 500)
        number = self.sstables()[0]['id']
        before = (Path(self.file).read_bytes(), os.stat(self.file).st_mtime_ns, os.listdir(self.dir))
        self.cambium('levels', self.file)
        self.levels()
        self.sstable(number)
        self.sstable(number, '--keys')
        self.assertEqual((Path(self.file).read_bytes(), os.stat(self.file).st_mtime_ns, os.listdir(self.dir)), before)

    def test_damage_in_an_sstable_is_corruption(self):
        self.fill(0, 500)
        one = json.loads(self.sstable(self.sstables()[0]['id'], '--json').out)
        with open(self.file, 'r+b') as file:
            for extent in one['extents']:
                for page in range(extent['first_page'], extent['first_page'] + extent['pages']):
                    file.seek(page * 4096 + 2000)
                    byte = file.read(1)
                    file.seek(-1, os.SEEK_CUR)
                    file.write(bytes([byte[0] ^ 1]))
        self.levels()  # the manifest is whole
        self.sstable(one['id'], '--keys', code=CORRUPTION)
        self.sstable(one['id'], code=CORRUPTION)

    def test_statistics_of_tables(self):
        self.fill(0, 1000)
        self.cambium('put', self.file, 'a', 'b')
        one = json.loads(self.cambium('stat', self.file, '--table', 'events', '--json').out)
        self.assertEqual((one['kind'], one['entries'], one['sstables'], one['runs']), ('levels', 1000, 1, 1))
        self.assertEqual((one['gets'], one['bytes_put'], one['write_amplification'], one['read_amplification']),
                         (0, 0, None, None))
        self.assertGreater(one['space_amplification'], 1)
        self.assertIn('reason', one['compaction'])
        text = self.cambium('stat', self.file, '--table', 'events').out
        for name in (b'space_amplification', b'read_amplification', b'write_amplification', b'filter_negatives', b'policy'):
            self.assertIn(name, text)
        tree = json.loads(self.cambium('stat', self.file, '--table', 'default', '--json').out)
        self.assertEqual((tree['kind'], tree['height'], tree['read_amplification']), ('tree', 1, 1))
        self.assertNotIn('sstables', tree)
        whole = json.loads(self.cambium('stat', self.file, '--json').out)
        self.assertEqual(whole['stats']['entries'], 1001)
        self.assertEqual([store['table'] for store in whole['level_stores']], ['events'])
        self.assertIn(b'events\tlevels\t1000\t', self.cambium('table', 'list', self.file).out)

    def test_a_compressed_table_says_what_it_saves(self):
        codecs = []
        for codec in ('lz4', 'zstd'):
            made = run_program('table', 'create', self.file, codec, '--kind', 'levels', '--compression', codec, '--json')
            if made.code == UNSUPPORTED:
                self.assertIn(f'lib{codec}', made.err.decode())
                continue
            self.assertEqual((made.code, json.loads(made.out)['compression']), (0, codec))
            codecs.append(codec)
        if not codecs:
            self.skipTest('this build has no codec')
        self.cambium('table', 'create', self.file, 'tree', '--compression', codecs[0], code=USAGE)
        self.cambium('table', 'create', self.file, 'other', '--kind', 'levels', '--compression', 'gzip', code=USAGE)
        lines = ''.join(f'key{i:06d}\tthe value of {i}, which is like the others\n' for i in range(5000)).encode()
        for table in (*codecs, 'events'):
            self.cambium('load', self.file, '--table', table, '-q', stdin=lines)
        listed = json.loads(self.cambium('table', 'list', self.file, '--json').out)['tables']
        self.assertEqual({t['name']: t.get('compression') for t in listed},
                         {'default': None, 'events': 'none', **{codec: codec for codec in codecs}})
        tables = {table['table']: table for table in self.levels()}
        plain = tables['events']
        self.assertEqual((plain['compression_ratio'], plain['unpacked_bytes']), (1, plain['node_bytes']))
        for codec in codecs:
            table = tables[codec]
            self.assertGreater(table['compression_ratio'], 2)
            self.assertAlmostEqual(table['compression_ratio'], table['unpacked_bytes'] / table['node_bytes'])
            self.assertLess(table['bytes'] * 2, plain['bytes'])
            one, = table['levels'][0]['runs'][0]['sstables']
            self.assertEqual(one['compression'], codec)
            shown = json.loads(self.cambium('sstable', self.file, '--table', codec, '--id', str(one['id']), '--json').out)
            self.assertGreater(shown['packed_pages'], 0)
            self.assertGreater(shown['unpacked_pages'], 2 * shown['node_pages'])
            self.assertEqual((shown['first']['k'], shown['last']['k']), ('key000000', 'key004999'))
            text = self.cambium('sstable', self.file, '--table', codec, '--id', str(one['id'])).out
            self.assertIn(codec.encode(), text)
            self.assertIn(b'compression_ratio', self.cambium('levels', self.file, '--table', codec).out)
            stat = json.loads(self.cambium('stat', self.file, '--table', codec, '--json').out)
            self.assertGreater(stat['compression_ratio'], 2)
            self.assertEqual(self.cambium('scan', self.file, '--table', codec, '--from', 'key004999').out,
                             b'key004999\tthe value of 4999, which is like the others\n')
        self.assertNotIn(b'compression_ratio', self.cambium('levels', self.file, '--table', 'events').out)
        self.cambium('check', self.file)


if __name__ == '__main__':
    run_program.path = os.path.abspath(sys.argv.pop(1))
    unittest.main(testRunner=unittest.TextTestRunner(resultclass=RESULT_CLASS, verbosity=1))
