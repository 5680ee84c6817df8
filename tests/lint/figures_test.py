#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""tools/figures.py: sums of what was proved, held against the goals."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / 'tools'))
from figures import GOALS, sum_up, table  # noqa: E402

CI, RELEASE = 0, 1


def rows_of(lines, column):
    rows, reached = table(sum_up(lines), column)
    return {name: (goal, count, remark) for name, goal, count, remark in rows[1:]}, reached


class FiguresTest(unittest.TestCase):
    def test_lines_of_one_name_add_up(self):
        sums = sum_up(['crash states\t400000\n', 'kills\t300\n', 'crash states\t100000\n'])
        self.assertEqual(sums, {'crash states': 500_000, 'kills': 300})

    def test_a_goal_that_nobody_worked_for_is_not_reached(self):
        rows, reached = rows_of(['crash states\t500000\n'], CI)
        self.assertEqual(rows['crash states'], ('500,000', '500,000', ''))
        self.assertEqual(rows['kills'], ('300', '0', 'NOT REACHED'))
        self.assertFalse(reached)

    def test_every_goal_reached_is_enough(self):
        lines = [f'{name}\t{goal[CI]}\n' for name, goal in GOALS.items() if goal[CI]]
        self.assertTrue(rows_of(lines, CI)[1])
        self.assertFalse(rows_of(lines, RELEASE)[1])

    def test_what_has_no_goal_is_shown_when_it_was_counted(self):
        rows, reached = rows_of(['something new\t7\n'], None)
        self.assertEqual(rows, {'something new': ('', '7', '')})
        self.assertTrue(reached)


if __name__ == '__main__':
    unittest.main()
