# SPDX-License-Identifier: MIT OR Apache-2.0
"""The coroutine habits. g++ 12.2 miscompiles what they forbid, silently; tests/canary shows each case.

Allowed statements, which may span lines and may be the body of an if, else, for or while:
    co_await f();    (void)co_await f();    x = co_await f();    T x = co_await f();    co_return co_await f();
where f() is one postfix expression: names, calls, members, subscripts. What types a coroutine may take by value is
checked by the compiler, in <cambium/rt/task.h>.
"""

import re

from lint_source import Finding

CO_KEYWORD = re.compile(r'\bco_(?:await|return|yield)\b')
LABEL = re.compile(r'\s*(?:case\b(?:[^:]|::)*|default\s*):(?!:)')
FOR = re.compile(r'\bfor\s*\(')
HEAD = re.compile(r'\s*(?:(?:if(?:\s+constexpr)?|for|while|switch)\s*(?=\()|(?:else|do)\b)')
# What may stand between the start of a statement and its co_await.
BEFORE_AWAIT = re.compile(r"""\s*(?:
    | co_return
    | \(\s*void\s*\)
    | (?:\[\[\w+\]\]\s*)? [\w:<>,&*\s.\[\]]* (?:->[\w.\[\]]+)* [\w\]]\s*=   # a declaration or an lvalue, without calls
)\s*""", re.X)
NAME = re.compile(r'\s*[\w:]+')
TEMPLATE_ARGUMENTS = re.compile(r'\s*<[\w:,\s<>*&\[\]]*>(?=\s*[({:])')
AFTER_CAPTURES = re.compile(r'\s*(?:[({<]|mutable\b|noexcept\b|->)')
# Before a '[' that opens no lambda: a subscripted operand, a structured binding, an attribute.
NO_LAMBDA_NEXT = re.compile(
    r'(?:(?<!\breturn)(?<!\bco_return)(?<!\bco_await)(?<=[\w)\]"])|\bauto\s*&{0,2}|\[)\s*\Z')
SUFFIX_START = re.compile(r'\s*(?:(?P<open>[(\[{])|(?:\.|->)\s*(?:template\s+)?[\w:~]+)')


def balanced_end(code, start):
    """The offset after the bracket that closes the one at start; the end of the file if none does."""
    depth = 0
    for offset in range(start, len(code)):
        if code[offset] in '([{':
            depth += 1
        elif code[offset] in ')]}':
            depth -= 1
            if depth == 0:
                return offset + 1
    return len(code)


def statement_start(code, offset):
    """The offset after the ';', '{' or '}' before offset; the semicolons in a for's parentheses do not count."""
    start = max(code.rfind(mark, 0, offset) for mark in ';{}') + 1
    nearby = max(0, start - 400)  # a for head is shorter than that
    for match in FOR.finditer(code, nearby, offset):
        if match.end() <= start < balanced_end(code, match.end() - 1):
            return match.start()
    return start


def skip_heads(text):
    """Drops labels and whole heads such as 'if (x)' or 'else'. A head that is still open has the await in it: it stays."""
    while True:
        label = LABEL.match(text)
        if label:
            text = text[label.end():]
            continue
        head = HEAD.match(text)
        if not head:
            return text
        rest = text[head.end():]
        if rest.startswith('('):
            end = balanced_end(rest, 0)
            if end == len(rest) and not rest.endswith(')'):
                return text
            rest = rest[end:]
        text = rest


def postfix_end(code, offset):
    """The offset after the postfix expression at offset: names, template arguments, calls, members, subscripts."""
    offset = re.compile(r'\s*\*?').match(code, offset).end()
    name = NAME.match(code, offset)
    if name:
        offset = name.end()
    elif code[offset:offset + 1] in ('(', '['):  # a parenthesised operand; a lambda called in place
        offset = balanced_end(code, offset)
    while True:
        template = TEMPLATE_ARGUMENTS.match(code, offset)
        if template:
            offset = template.end()
            more = NAME.match(code, offset)
            offset = more.end() if more and more.group().strip().startswith('::') else offset
        suffix = SUFFIX_START.match(code, offset)
        if not suffix:
            return offset
        offset = balanced_end(code, suffix.start('open')) if suffix.group('open') else suffix.end()


def lambda_introducers(code, begin, end):
    """Offsets of the '[' of each capturing lambda between two offsets."""
    for match in re.compile(r'\[').finditer(code, begin, end):
        offset = match.start()
        close = balanced_end(code, offset)
        captures = code[offset + 1:close - 1].strip()
        if captures and AFTER_CAPTURES.match(code, close) and not NO_LAMBDA_NEXT.search(code, max(0, offset - 80), offset):
            yield offset


def lambda_body(code, introducer):
    """(begin, end) of the braces of a lambda."""
    offset = balanced_end(code, introducer)
    parameters = re.compile(r'\s*(?=\()').match(code, offset)
    if parameters:
        offset = balanced_end(code, parameters.end())
    opening = code.find('{', offset)
    return (opening, balanced_end(code, opening)) if opening >= 0 else (offset, offset)


def check(source):
    code = source.code
    for match in re.finditer(r'\bco_await\b', code):
        line = source.line_of(match.start())
        if re.search(r'\boperator\s*$', code[:match.start()]):  # the operator's own declaration
            continue
        start = statement_start(code, match.start())
        before = skip_heads(code[start:match.start()])
        end = postfix_end(code, match.end())
        if not BEFORE_AWAIT.fullmatch(before) or not re.match(r'\s*;', code[end:]):
            yield Finding(source.path, line, 'await-alone', 'co_await stands alone in its statement')
        for introducer in lambda_introducers(code, match.end(), end):
            yield Finding(source.path, source.line_of(introducer), 'await-lambda',
                          'name the lambda before the statement that awaits')

    for introducer in lambda_introducers(code, 0, len(code)):
        begin, end = lambda_body(code, introducer)
        if CO_KEYWORD.search(code, begin, end):
            yield Finding(source.path, source.line_of(introducer), 'lambda-coroutine',
                          "a coroutine's captures die with the lambda: pass them as parameters")
