#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The lint rules against two small trees: fixtures/good breaks none, fixtures/bad says where it breaks which.

A line of fixtures/bad that must be reported ends in "// expect: rule, rule"; nothing else may be reported.
"""

import re
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / 'tools'))
import lint  # noqa: E402

EXPECT = re.compile(r'(?://|#) expect: ([\w-]+(?:, [\w-]+)*)')


def everything_in(root):
    return [*lint.files_under(root), *lint.scripts_under(root)]


def reported(root):
    return {(finding.path, finding.line, finding.rule)
            for path in everything_in(root) for finding in lint.findings_in(root, path)}


def expected(root):
    wanted = set()
    for path in everything_in(root):
        for number, line in enumerate((root / path).read_text().splitlines(), 1):
            match = EXPECT.search(line)
            if match:
                wanted.update((path, number, rule) for rule in match.group(1).split(', '))
    return wanted


class LintTest(unittest.TestCase):
    maxDiff = None

    def test_the_good_tree_has_no_finding(self):
        self.assertEqual(reported(HERE / 'fixtures/good'), set())

    def test_the_bad_tree_has_exactly_the_expected_findings(self):
        bad = HERE / 'fixtures/bad'
        self.assertEqual(reported(bad), expected(bad))

    def test_every_rule_fires_somewhere(self):
        fired = {rule for _, _, rule in expected(HERE / 'fixtures/bad')} | {'length'}
        named = set(re.findall(r'^  ([a-z-]+(?:, [a-z-]+)*)  ', lint.__doc__, re.M))
        self.assertEqual({rule for names in named for rule in names.split(', ')}, fired)

    def test_a_file_may_have_600_lines_and_not_601(self):
        for lines, rules in ((600, set()), (601, {'length'})):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / 'lib/node/long.h'
                path.parent.mkdir(parents=True)
                header = '// SPDX-License-Identifier: MIT OR Apache-2.0\n#pragma once\n'
                path.write_text(header + '// line\n' * (lines - 2))
                self.assertEqual({rule for _, _, rule in reported(Path(folder))}, rules)

    def test_a_tree_without_sources_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(lint.main([folder]), 2)


if __name__ == '__main__':
    unittest.main()
