#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Brings the files( ... ) list of every folder's meson.build up to date with the .cc files beside it."""

import re
import sys
from pathlib import Path

ROOTS = ('runtime', 'lib', 'tests', 'benches', 'examples', 'tools')
LISTING = re.compile(r'^( *)(.*\bfiles\()\n(?: *\'[^\']*\',\n)*( *\))', re.M)


def synced(text, names):
    def listing(match):
        indent, opening, closing = match.groups()
        return f'{indent}{opening}\n' + ''.join(f"{indent}  '{name}',\n" for name in names) + closing
    return LISTING.sub(listing, text, count=1)


def main():
    root = Path(__file__).resolve().parent.parent
    for top in ROOTS:
        for path in sorted((root / top).rglob('meson.build')):
            before = path.read_text()
            names = sorted(source.name for source in path.parent.glob('*.cc'))
            after = synced(before, names) if names else before
            if after != before:
                path.write_text(after)
                print(f'updated {path.relative_to(root)}')


if __name__ == '__main__':
    sys.exit(main())
