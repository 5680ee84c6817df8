# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the tests of the command line share: running the program in a scratch folder, exit codes, random records."""

import os
import random
import shutil
import subprocess
import tempfile
import unittest
from dataclasses import dataclass

OK, NOT_FOUND, USAGE, CORRUPTION, BUSY, UNSUPPORTED, NO_SPACE, RESOURCE, IO_ERROR = range(9)
INTERRUPTED = 130


@dataclass
class Answer:
    code: int
    out: bytes
    err: bytes


def run_program(*words, prefix=(), stdin=b'', stdout=subprocess.PIPE, **more):
    done = subprocess.run([*prefix, run_program.path, *words], input=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=60,
                          **more)
    return Answer(done.returncode, done.stdout, done.stderr)


class CliCase(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='cambium-cli-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.file = os.path.join(self.dir, 'data.cambium')

    def cambium(self, *words, code=OK, **more):
        answer = run_program(*words, **more)
        self.assertEqual(answer.code, code, f'cambium {" ".join(words)}\n{answer.err.decode(errors="replace")[-2000:]}')
        return answer


class ReportingResult(unittest.TextTestResult):
    """Prints skips in the form that tools/tally.py counts."""

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f'SKIPPED {test.id()}: {reason}', flush=True)


RESULT_CLASS = ReportingResult


def binary_records(seed, count):
    """{key: value} of all kinds of bytes, in the order of the keys; the seed is in the name of a failure."""
    rng = random.Random(seed)
    records = {b'k': b'', b'\x00': b'\x00', b'\xff' * 1024: b'\n', b'\\': b'\\x41\t', b' ': b' ', b'\t': b'\r\n',
               '\u2603'.encode(): '\u0085\u2028'.encode(), b'{"k"': b'}', b'VERSION=3': b'DATA=END', b'a\\5c': b'\\\\'}
    while len(records) < count:
        key = rng.randbytes(rng.choice((1, 2, 8, 16, 100, 1024)))
        records[key] = rng.randbytes(rng.choice((0, 1, 10, 100, 1280, 1281, 5000)))
    return dict(sorted(records.items()))
