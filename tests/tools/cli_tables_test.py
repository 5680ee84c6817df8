#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tables from outside: `cambium table ...`, and --table on what reads and writes. The first argument is the program."""

import json
import os
import sys
import unittest

from cli_case import CliCase, NOT_FOUND, USAGE
from cli_case import RESULT_CLASS, run_program


class Tables(CliCase):
    def names(self):
        return [line.split(b'\t')[0] for line in self.cambium('table', 'list', self.file).out.splitlines()]

    def test_tables_are_made_listed_renamed_and_dropped(self):
        self.cambium('create', self.file)
        self.assertEqual(self.names(), [b'default'])
        self.cambium('table', 'create', self.file, 'events')
        self.cambium('table', 'create', self.file, 'Übersicht 1')
        self.assertEqual(self.names(), [b'default', b'events', 'Übersicht 1'.encode()])
        self.cambium('table', 'rename', self.file, 'events', 'old')
        self.cambium('table', 'drop', self.file, 'Übersicht 1')
        self.assertEqual(self.names(), [b'default', b'old'])
        self.cambium('check', self.file)

    def test_what_cannot_be_is_answered_with_its_exit_code_and_changes_nothing(self):
        self.cambium('create', self.file)
        self.cambium('table', 'create', self.file, 't')
        for words, code in ((['create', self.file, 't'], USAGE), (['create', self.file, 'default'], USAGE),
                            (['create', self.file, 'a/b'], USAGE), (['create', self.file, ''], USAGE),
                            (['create', self.file, 'l', '--kind', 'heap'], USAGE), (['drop', self.file, 'u'], NOT_FOUND),
                            (['drop', self.file, 'default'], USAGE), (['rename', self.file, 'u', 'v'], NOT_FOUND),
                            (['rename', self.file, 't', 'default'], USAGE), (['rename', self.file, 't'], USAGE),
                            (['rename', self.file, 'default', 'v'], USAGE), ([], USAGE), (['erase', self.file, 't'], USAGE),
                            (['list', self.file + '.absent'], NOT_FOUND)):
            answer = self.cambium('table', *words, code=code)
            self.assertEqual(answer.out, b'', words)
        self.assertEqual(self.names(), [b'default', b't'])

    def test_every_data_command_is_of_the_table_it_names(self):
        for kind in ('tree', 'levels'):
            with self.subTest(kind=kind):
                self.every_data_command(kind)
                os.remove(self.file)

    def every_data_command(self, kind):
        self.cambium('create', self.file)
        self.cambium('table', 'create', self.file, 'a', '--kind', kind)
        self.cambium('put', self.file, 'key', 'of default')
        self.cambium('put', self.file, 'key', 'of a', '--table', 'a')
        self.assertEqual(self.cambium('get', self.file, 'key').out, b'of default\n')
        self.assertEqual(self.cambium('get', self.file, 'key', '--table', 'a').out, b'of a\n')
        self.assertEqual(self.cambium('get', self.file, 'key', '--table', 'default').out, b'of default\n')
        self.assertEqual(self.cambium('scan', self.file, '--table', 'a').out, b'key\tof a\n')
        self.assertEqual(self.cambium('dump', self.file, '--table', 'a').out, b'key\tof a\n')
        self.cambium('del', self.file, 'key', '--table', 'a')
        self.cambium('get', self.file, 'key', '--table', 'a', code=NOT_FOUND)
        self.assertEqual(self.cambium('get', self.file, 'key').out, b'of default\n')
        self.cambium('stress', self.file, '--ops', '500', '--table', 'stressed')
        self.assertEqual(self.names(), [b'a', b'default', b'stressed'])

    def test_a_table_keeps_the_index_that_it_was_made_with(self):
        self.cambium('create', self.file)
        for index in ('auto', 'plain', 'learned'):
            self.cambium('table', 'create', self.file, index, '--kind', 'levels', '--index', index)
        made = json.loads(self.cambium('table', 'create', self.file, 'e', '--kind', 'levels', '--json').out)
        self.assertEqual(made['index'], 'auto')
        listed = json.loads(self.cambium('table', 'list', self.file, '--json').out)['tables']
        self.assertEqual({t['name']: t.get('index') for t in listed},
                         {'default': None, 'auto': 'auto', 'plain': 'plain', 'learned': 'learned', 'e': 'auto'})
        self.cambium('table', 'create', self.file, 'f', '--index', 'learned', code=USAGE)  # a tree
        self.cambium('table', 'create', self.file, 'f', '--kind', 'levels', '--index', 'best', code=USAGE)

    def test_a_table_that_is_not_there_is_made_only_by_what_also_makes_files(self):
        self.cambium('create', self.file)
        for words in (['put', self.file, 'k', 'v'], ['get', self.file, 'k'], ['del', self.file, 'k'], ['scan', self.file],
                      ['dump', self.file], ['stat', self.file]):
            answer = self.cambium(*words, '--table', 'none', code=NOT_FOUND)
            self.assertIn(b'no table "none"', answer.err)
        self.cambium('load', self.file, '--table', 'loaded', stdin=b'a\t1\nb\t2\n')
        self.cambium('load', self.file, '--table', 'sorted', '--sorted', stdin=b'a\t1\nb\t2\nc\t3\n')
        self.cambium('batch', self.file, '--table', 'batched', stdin=b'put a 1\n')
        self.assertEqual(self.names(), [b'batched', b'default', b'loaded', b'sorted'])
        self.assertEqual(self.cambium('dump', self.file, '--table', 'sorted').out, b'a\t1\nb\t2\nc\t3\n')

    def test_a_batch_is_of_several_tables(self):
        operations = b'put k default\ntable a\nput k a\ntable b\nput k b\ndel x\ncommit\nget k\ntable default\nget k\n'
        self.assertEqual(self.cambium('batch', self.file, stdin=operations).out, b'k\tb\nk\tdefault\n')
        self.assertEqual(self.cambium('get', self.file, 'k', '--table', 'a').out, b'a\n')
        answer = self.cambium('batch', self.file, stdin=b'put k 2\ntable a/b\nput k 3\n', code=USAGE)
        self.assertIn(b'line 2', answer.err)
        self.assertEqual(self.cambium('get', self.file, 'k').out, b'default\n')  # the open group was dropped

    def test_answers_in_json(self):
        self.cambium('create', self.file)
        made = json.loads(self.cambium('table', 'create', self.file, 't', '--json').out)
        self.assertEqual((made['verb'], made['action'], made['table'], made['kind'], made['durable']),
                         ('table', 'create', 't', 'tree', True))
        self.cambium('put', self.file, 'k', 'v', '--table', 't')
        listed = json.loads(self.cambium('table', 'list', self.file, '--json').out)
        self.assertEqual([(t['name'], t['kind'], t['entries']) for t in listed['tables']],
                         [('default', 'tree', 0), ('t', 'tree', 1)])
        self.assertEqual(listed['tables'][1]['number'], made['number'])
        one = json.loads(self.cambium('stat', self.file, '--table', 't', '--json').out)
        self.assertEqual((one['table'], one['entries'], one['pages']), ('t', 1, 1))
        self.assertEqual(json.loads(self.cambium('stat', self.file, '--json').out)['tables'], 2)
        renamed = json.loads(self.cambium('table', 'rename', self.file, 't', 'u', '--json').out)
        self.assertEqual((renamed['table'], renamed['new_name']), ('t', 'u'))
        self.assertEqual(json.loads(self.cambium('table', 'drop', self.file, 'u', '--json').out)['action'], 'drop')

    def test_check_and_salvage_take_all_tables(self):
        self.cambium('create', self.file)
        for name, kind in (('a', 'tree'), ('b', 'levels'), ('empty', 'levels'), ('dropped', 'levels')):
            self.cambium('table', 'create', self.file, name, '--kind', kind)
        self.cambium('put', self.file, 'k', 'of a', '--table', 'a')
        self.cambium('put', self.file, 'k', 'v' * 9000, '--table', 'b')
        self.cambium('put', self.file, 'k', 'v', '--table', 'dropped')
        self.cambium('table', 'drop', self.file, 'dropped')
        checked = json.loads(self.cambium('check', self.file, '--json').out)
        self.assertEqual((checked['tables'], checked['entries']), (4, 2))
        rescued = self.file + '.rescued'
        self.cambium('salvage', self.file, rescued)
        self.assertEqual(self.cambium('get', rescued, 'k', '--table', 'a').out, b'of a\n')
        self.assertEqual(len(self.cambium('get', rescued, 'k', '--table', 'b').out), 9001)
        self.assertEqual(self.cambium('table', 'list', rescued).out.count(b'\n'), 4)
        self.cambium('table', 'create', rescued, 'after')  # its number is its own
        self.assertEqual(self.cambium('scan', rescued, '--table', 'after').out, b'')


if __name__ == '__main__':
    run_program.path = os.path.abspath(sys.argv.pop(1))
    unittest.main(testRunner=unittest.TextTestRunner(resultclass=RESULT_CLASS, verbosity=1))
