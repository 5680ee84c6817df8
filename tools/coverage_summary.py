#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads llvm-cov's JSON summary from stdin; prints line and branch percentages of each folder of code, and the files
that lack most.

    tools/coverage_summary.py [--lines PERCENT] [--branches PERCENT]

Exit code: 0, or 1 when lib/ and runtime/ together are below one of the thresholds.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COUNTED = ('lib', 'runtime')  # headers in include/ are shown, but half of them is instantiated by users only
WORST = 10


def percent(total, kind):
    return 100 * total[kind + ' covered'] / total[kind] if total[kind] else 100.0


def row(name, total):
    return f'{name:<36} {percent(total, "lines"):7.1f} % {percent(total, "branches"):9.1f} %'


def totals(data):
    """Counters by file, by folder, and of all that counts."""
    files, folders = {}, {}
    for file in data['data'][0]['files']:
        path = Path(file['filename']).resolve().relative_to(ROOT)
        one = Counter()
        for kind in ('lines', 'branches'):
            one[kind] = file['summary'][kind]['count']
            one[kind + ' covered'] = file['summary'][kind]['covered']
        counted = path.parts[0] in COUNTED
        if counted:
            files[path.as_posix()] = one
        for name in ['/'.join(path.parts[:2])] + (['lib and runtime'] if counted else []):
            folders.setdefault(name, Counter()).update(one)
    return files, folders


def missing(total):
    """Lines and branches that no test reaches."""
    return sum(total[kind] - total[kind + ' covered'] for kind in ('lines', 'branches'))


def main(arguments):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('--lines', type=float, default=0)
    parser.add_argument('--branches', type=float, default=0)
    wanted = parser.parse_args(arguments)
    files, folders = totals(json.load(sys.stdin))
    whole = folders.pop('lib and runtime')

    print(f'{"folder":<36} {"lines":>9} {"branches":>11}')
    for name in sorted(folders):
        print(row(name, folders[name]))
    print(row('lib and runtime', whole))
    print(f'\nthe {WORST} files with most that no test reaches')
    for name in sorted(files, key=lambda name: -missing(files[name]))[:WORST]:
        print(row(name, files[name]))

    failed = False
    for kind, least in (('lines', wanted.lines), ('branches', wanted.branches)):
        if percent(whole, kind) < least:
            print(f'{kind}: {percent(whole, kind):.1f} %, and {least:g} % are wanted')
            failed = True
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
