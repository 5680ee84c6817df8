#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""tools/tally.py: what a run of tests amounts to."""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / 'tools'))
from tally import Tally  # noqa: E402

RULE = '=' * 79 + '\n'


def counts(*runs):
    tally = Tally()
    tally.add_testlog(json.dumps({'name': 'program', 'result': result, 'stdout': output}) for result, output in runs)
    return tally.passed, tally.failed, tally.skipped


class TallyTest(unittest.TestCase):
    def test_a_catch2_program_counts_as_its_test_cases(self):
        self.assertEqual(counts(('OK', RULE + 'All tests passed (12 assertions in 3 test cases)\n')), (3, 0, 0))
        self.assertEqual(counts(('OK', RULE + 'All tests passed (1 assertion in 1 test case)\n')), (1, 0, 0))

    def test_failed_cases_are_counted_beside_the_passed_ones(self):
        output = RULE + 'test cases:  7 |  5 passed | 2 failed\nassertions: 20 | 18 passed | 2 failed\n'
        self.assertEqual(counts(('FAIL', output)), (5, 2, 0))

    def test_a_program_in_which_everything_fails(self):
        self.assertEqual(counts(('FAIL', RULE + 'test cases: 2 | 2 failed\nassertions: 2 | 2 failed\n')), (0, 2, 0))

    def test_a_skipped_case_does_not_count_as_passed(self):
        output = 'SKIPPED uring: needs a kernel with it: no io_uring\n' + RULE + \
            'All tests passed (4 assertions in 3 test cases)\n'
        self.assertEqual(counts(('OK', output)), (2, 0, 1))

    def test_a_program_that_dies_or_hangs_is_one_failure(self):
        self.assertEqual(counts(('FAIL', 'half a line'), ('TIMEOUT', '')), (0, 2, 0))

    def test_a_sanitizer_report_after_the_summary_is_a_failure(self):
        self.assertEqual(counts(('FAIL', 'All tests passed (1 assertion in 1 test case)\nleak')), (1, 1, 0))

    def test_a_plain_program_counts_as_one(self):
        self.assertEqual(counts(('OK', 'right: a named task\n'), ('SKIP', 'no cmake here\n')), (1, 0, 1))

    def test_a_filter_that_matches_nothing_counts_as_nothing(self):
        self.assertEqual(counts(('OK', RULE + 'No tests ran\n')), (0, 0, 0))


if __name__ == '__main__':
    unittest.main()
