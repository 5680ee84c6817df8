#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads llvm-cov's JSON summary from stdin; prints line and branch percentages of each folder of code, and of all."""

import json
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def folder_of(filename):
    parts = Path(filename).resolve().relative_to(ROOT).parts
    return '/'.join(parts[:2])


def percent(part, whole):
    return f'{100 * part / whole:6.1f} %' if whole else '      -  '


def main():
    counts = {}
    for file in json.load(sys.stdin)['data'][0]['files']:
        for row in (folder_of(file['filename']), 'all'):
            total = counts.setdefault(row, Counter())
            for kind in ('lines', 'branches'):
                total[kind] += file['summary'][kind]['count']
                total[kind + ' covered'] += file['summary'][kind]['covered']
    print(f'{"folder":<20} {"lines":>8} {"branches":>12}')
    for row in sorted(counts, key=lambda name: (name == 'all', name)):
        total = counts[row]
        print(f'{row:<20} {percent(total["lines covered"], total["lines"])}'
              f'     {percent(total["branches covered"], total["branches"])}')


if __name__ == '__main__':
    main()
