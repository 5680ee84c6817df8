#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The program that README.md shows is examples/hello.cc, which is compiled and run: word for word, and short."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LINES_MAX = 25


def embedding_example():
    section = (ROOT / 'README.md').read_text().split('\n## Embedding it\n', 1)[1].split('\n## ', 1)[0]
    return re.findall(r'^```cpp\n(.*?)^```$', section, re.M | re.S)


class ReadmeTest(unittest.TestCase):
    maxDiff = None

    def test_the_embedding_example_is_the_one_that_is_run(self):
        spdx, _, program = (ROOT / 'examples/hello.cc').read_text().partition('\n')
        self.assertIn('SPDX-License-Identifier', spdx)
        self.assertEqual(embedding_example(), [program])

    def test_it_has_at_most_25_lines(self):
        for example in embedding_example():
            self.assertLessEqual(len(example.splitlines()), LINES_MAX)


if __name__ == '__main__':
    unittest.main()
