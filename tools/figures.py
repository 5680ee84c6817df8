#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a run has proved: sums up the figures that tests leave behind, and holds them against the goals.

    tools/figures.py <file> [--goals ci | release]

The file is the one that CAMBIUM_FIGURES named: lines "name<TAB>count", see tests/support/figures.h. Prints a table of
goal and reached; with --goals, exit code 1 when one was not reached.
"""

import argparse
import sys
from collections import Counter

# name: (in each run of continuous integration, before a release); None: counted, and no goal set.
GOALS = {
    'crash states': (500_000, 200_000_000),
    'kills': (300, 100_000),
    'bit flips': (262_144, 262_144),
    'lost or misdirected writes': (10_000, 10_000),
    'planted bugs killed': (30, None),
    'failed requests': (None, None),
    'linearized operations': (None, None),
    'model operations': (None, None),
    'fuzz inputs replayed': (None, None),
    'fuzz executions': (None, 1_000_000_000),
}


def sum_up(lines):
    sums = Counter()
    for line in lines:
        name, _, count = line.rstrip('\n').partition('\t')
        sums[name] += int(count)
    return sums


def table(sums, column):
    """The rows, and whether every goal was reached. Column None: no goals."""
    rows = [('proved', 'goal', 'reached', '')]
    reached = True
    for name in dict.fromkeys([*GOALS, *sums]):
        goal = None if column is None else GOALS.get(name, (None, None))[column]
        if goal is None and name not in sums:
            continue
        short = goal is not None and sums[name] < goal
        reached = reached and not short
        rows.append((name, '' if goal is None else f'{goal:,}', f'{sums[name]:,}', 'NOT REACHED' if short else ''))
    return rows, reached


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('file')
    parser.add_argument('--goals', choices=('ci', 'release'))
    arguments = parser.parse_args()
    with open(arguments.file, encoding='utf-8') as file:
        sums = sum_up(file)
    rows, reached = table(sums, {None: None, 'ci': 0, 'release': 1}[arguments.goals])
    for name, goal, count, remark in rows:
        print(f'{name:28} {goal:>15} {count:>15} {remark}'.rstrip())
    return 0 if reached else 1


if __name__ == '__main__':
    sys.exit(main())
