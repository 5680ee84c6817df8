#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Counts test cases, and names those that failed or were skipped.

    tools/tally.py testlog.json [output.log:exit_code ...]

Takes the testlog.json of meson test, or the saved output of one test program with its exit code. Prints
"passed failed skipped" on the last line; failures and skips with their reasons before it. A Catch2 program counts as
its test cases; any other program, and one that died before its summary, counts as one.
"""

import json
import re
import sys
from dataclasses import dataclass, field

ALL_PASSED = re.compile(r'^All tests passed \(.* in (\d+) test cases?\)', re.M)
SOME_FAILED = re.compile(r'^test cases: +(\d+) \|(.*)$', re.M)
NO_TESTS = re.compile(r'^No tests ran', re.M)
SKIPPED = re.compile(r'^SKIPPED (.*)$', re.M)


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    notes: list = field(default_factory=list)

    def add_program(self, name, output, good, how):
        """One program's run; how says what meson saw, for example TIMEOUT."""
        skips = SKIPPED.findall(output)
        self.skipped += len(skips)
        self.notes += [f'skipped: {name}: {skip}' for skip in skips]
        everything, some = ALL_PASSED.search(output), SOME_FAILED.search(output)
        if some:
            failed = re.search(r'(\d+) failed', some.group(2))
            failed_count = int(failed.group(1)) if failed else 0
            self.failed += failed_count
            self.passed += int(some.group(1)) - failed_count - len(skips)
        elif everything:
            self.passed += int(everything.group(1)) - len(skips)
        elif good and not NO_TESTS.search(output):
            self.passed += 1
        if not good:
            self.notes.append(f'failed: {name} ({how})')
            if not some:  # it died, was stopped, or failed outside of any test case
                self.failed += 1

    def add_skipped_program(self, name, output):
        self.skipped += 1
        reason = output.strip().splitlines()[-1:] or ['no reason given']
        self.notes.append(f'skipped: {name}: {reason[0]}')

    def add_testlog(self, lines):
        for line in lines:
            run = json.loads(line)
            output = run.get('stdout') or ''
            if run['result'] == 'SKIP':
                self.add_skipped_program(run['name'], output)
            else:
                good = run['result'] in ('OK', 'EXPECTEDFAIL')
                self.add_program(run['name'], output, good, run['result'])


def main(arguments):
    tally = Tally()
    for argument in arguments:
        path, _, code = argument.partition(':')
        with open(path, encoding='utf-8', errors='replace') as file:
            if code:
                tally.add_program(path.split('/')[-1], file.read(), code == '0', f'exit code {code}')
            else:
                tally.add_testlog(file)
    for note in tally.notes:
        print(note)
    print(tally.passed, tally.failed, tally.skipped)


if __name__ == '__main__':
    main(sys.argv[1:])
