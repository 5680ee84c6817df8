# SPDX-License-Identifier: MIT OR Apache-2.0
"""One file as the lint rules see it: its lines, and its code with (of C++) comments and literals blanked out."""

import re
from dataclasses import dataclass

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
ALLOW = re.compile(r'(?://|#)\s*lint: allow\(([\w-]+)\)\s*\S')

# What is not code, longest forms first. A raw string's delimiter closes it.
NOT_CODE = re.compile(r"""
    //[^\n]*
  | /\*.*?\*/
  | R"(?P<raw>[^()\\\s]{0,16})\(.*?\)(?P=raw)"
  | "(?:\\.|[^"\\\n])*"
  | (?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'
""", re.S | re.X)


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    what: str

    def __str__(self):
        return f'{self.path}:{self.line}: [{self.rule}] {self.what}'


def blank(match):
    """Spaces for what was there: offsets and line numbers stay. A literal keeps its quotes, being an operand."""
    text = match.group()
    hidden = re.sub(r'[^\n]', ' ', text)
    if text.startswith('/') or len(text) < 2:
        return hidden
    return '"' + hidden[1:-1] + '"'


class Source:
    def __init__(self, root, path):
        self.path = path
        self.text = (root / path).read_text(encoding='utf-8')
        self.lines = self.text.splitlines() or ['']
        without_includes = INCLUDE.sub(lambda match: re.sub(r'[^\n]', ' ', match.group()), self.text)
        self.code = NOT_CODE.sub(blank, without_includes)

    def line_of(self, offset):
        return self.code.count('\n', 0, offset) + 1

    def includes(self):
        """(line, quoted?, name) of every #include."""
        for match in INCLUDE.finditer(self.text):
            yield self.text.count('\n', 0, match.start(1)) + 1, match.group(1) == '"', match.group(2)

    def excuses(self, finding):
        """True if the line, or the one before it, carries an allow comment for the rule."""
        for line in (finding.line, finding.line - 1):
            if 1 <= line <= len(self.lines):
                match = ALLOW.search(self.lines[line - 1])
                if match and match.group(1) == finding.rule:
                    return True
        return False
