#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The project's own rules, those that no compiler checks. Runs as a test in suite lint.

    tools/lint.py [root]

Rules (the name in brackets is what a report shows):
  layering        the folder table below: who may include whom
  include-form    includes name their layer: no "../x.h", no "x.h" without a folder
  private-header  liburing only in runtime/rt, spdlog only in runtime/base/log.cc
  await-alone     co_await stands alone in its statement (see tools/lint_coroutines.py, also for the next two)
  await-lambda    no capturing lambda in a statement with co_await
  lambda-coroutine  no capturing lambda is a coroutine
  address-order   no map or set keyed by a pointer in lib/ and runtime/: its order differs from run to run
  determinism     no clock, random source or thread id in lib/: the simulator owns all three
  spdx, pragma-once, length, file-name   form of a file; spdx for scripts and build files too
  machine-path    no absolute path of some machine's folders; tests ask for $TMPDIR, and say so on the line
  mirror          tests/<path>/x_test.cc tests <path>/x.h or x.cc; x_<aspect>_test.cc may be a second file
  unlisted        every .cc file is named in its folder's meson.build, so that no test is silently left out

A line is excused by a comment with a reason, on it or on the line before:  // lint: allow(rule) why
Exit code: 0 clean, 1 findings, 2 the root has nothing to check.
"""

import re
import sys
from pathlib import Path

import lint_coroutines
from lint_source import Finding, Source

LINES_MAX = 600

# Who may include whom. A folder may always include itself and the standard library. 'cambium/rt' and 'cambium' are
# the public headers of the runtime and of the engine; 'vocabulary' and 'table_store' see SINGLE_HEADERS.
BASE = {'base', 'cambium/rt', 'vocabulary'}
RT = BASE | {'rt'}
TABLE = RT | {'compress', 'format', 'node', 'space', 'cache', 'table_store'}
PARTITION = TABLE | {'buffer', 'wal', 'tree', 'levels', 'flush', 'cambium'}
EVERYTHING = PARTITION | {'partition', 'store'}
MAY_INCLUDE = {
    'include/cambium/rt': {'cambium/rt'},
    'include/cambium': {'cambium', 'cambium/rt', 'vocabulary'},
    'runtime/base': BASE - {'vocabulary'},
    'runtime/rt': RT - {'vocabulary'},
    'lib': RT | {'format', 'node', 'space', 'cache', 'cambium'},  # table_store.h, version.cc
    'lib/compress': BASE,
    'lib/format': BASE,
    'lib/node': BASE | {'format', 'compress'},  # unpacks leaves
    'lib/space': RT | {'format', 'compress'},  # refuses files that need a codec it has not
    'lib/cache': RT | {'format', 'node', 'space'},  # validates a node before it is ready
    'lib/buffer': BASE,
    'lib/wal': RT | {'format', 'space'},
    'lib/tree': TABLE,
    'lib/levels': TABLE,
    'lib/flush': RT | {'compress', 'format', 'buffer', 'space', 'cache', 'wal', 'table_store'},  # writes superblock and catalog rows
    'lib/partition': PARTITION,
    'lib/store': RT | {'partition', 'cambium'},
    'examples': {'cambium', 'cambium/rt', 'vocabulary'},
    'benches': EVERYTHING,
    'tools': EVERYTHING,
    'tests': EVERYTHING,
    'fuzz': EVERYTHING,
}
SINGLE_HEADERS = {  # headers that are a layer of their own
    'table_store.h': 'table_store',  # the seam between flush and the table kinds; the only one in no folder
    'cambium/ids.h': 'vocabulary',   # what the public face and the bytes on disk share
    'cambium/limits.h': 'vocabulary',
}
PRIVATE_HEADERS = (  # header, who may include it, why nobody else
    (re.compile(r'liburing|linux/io_uring\.h'), ('runtime/rt/', 'benches/harness/raw_'),
     'only runtime/rt knows liburing'),  # the benches measure the ring without us
    (re.compile(r'(lz4|zstd)\w*\.h'), ('lib/compress/',), 'only lib/compress knows LZ4 and zstd'),
    (re.compile(r'(spdlog|fmt)/'), ('runtime/base/log.cc',), 'only runtime/base/log.cc knows spdlog'),
)
C_HEADERS = {'stdint.h', 'stddef.h', 'stdbool.h'}  # what a C header of ours may need
SOURCE_FOLDERS = ('include', 'runtime', 'lib', 'tests', 'fuzz', 'benches', 'examples', 'tools')
EXCLUDED = ('tests/lint/', 'tests/consumer/')  # fixtures that break the rules on purpose; a user's programs

SCRIPT_FOLDERS = SOURCE_FOLDERS + ('.ci', '.github', 'packaging')
SCRIPT_ENDINGS = ('.py', '.build', '.sh', '.yml', '.in', '.cmake', '.txt')  # and what has no ending and begins with #!
SCRIPTS_EXCLUDED = 'tests/lint/fixtures/'

# Not where it follows a word: a/work is a relative path.
MACHINE_PATH = re.compile(r'(?<![\w.)}\]*])/(?:tmp|work|home)\b')
POINTER_KEY = re.compile(r'\b(?:unordered_)?(?:multi)?(?:map|set)\s*<\s*[\w:\s]+\*\s*(?:const\s*)?[,>]')
NONDETERMINISM = (
    (re.compile(r'\b(?:system|steady|high_resolution)_clock\b|(?<![.>\w])(?:clock_gettime|gettimeofday|now_ns)\s*\(|'
                r'\btime\s*\(\s*(?:nullptr|NULL|0)\s*\)|\b__?rdtscp?\b'), 'reads a clock'),
    (re.compile(r'\brandom_device\b|\bmt19937|\bs?rand\s*\(|\bgetrandom\s*\('), 'makes its own random numbers'),
    (re.compile(r'\bthis_thread\b|\bgettid\s*\(|\bpthread_self\s*\(|\bthread::id\b'), 'asks for the thread'),
)
CLOCK_HEADER = re.compile(r'base/clock\.h$')


def folder_of(path):
    """The row of MAY_INCLUDE that a file belongs to: the longest folder that is a prefix of its path."""
    parts = path.split('/')[:-1]
    for end in range(len(parts), 0, -1):
        if '/'.join(parts[:end]) in MAY_INCLUDE:
            return '/'.join(parts[:end])
    return None


def layer_of(name):
    """The layer that an include names, or None if it names none of ours."""
    if name in SINGLE_HEADERS:
        return SINGLE_HEADERS[name]
    if name.startswith('cambium/rt/'):
        return 'cambium/rt'
    first = name.split('/')[0] if '/' in name else None
    return first if first in EVERYTHING else None


def is_standard(name):
    return ('/' not in name and '.' not in name) or name in C_HEADERS


def check_includes(source):
    folder = folder_of(source.path)
    own_layer = folder.partition('/')[2] if folder else None
    for line, quoted, name in source.includes():
        for pattern, homes, why in PRIVATE_HEADERS:
            if pattern.match(name) and not source.path.startswith(homes):
                yield Finding(source.path, line, 'private-header', f'<{name}>: {why}')
        layer = layer_of(name)
        if quoted and (name.startswith('.') or ('/' not in name and name not in SINGLE_HEADERS)):
            yield Finding(source.path, line, 'include-form', f'"{name}" does not name its layer')
        elif folder is None or layer == own_layer:
            continue
        elif layer is not None and layer not in MAY_INCLUDE[folder]:
            yield Finding(source.path, line, 'layering', f'{folder} must not know {name}')
        elif layer is None and source.path.startswith(('include/', 'examples/')) and not is_standard(name):
            yield Finding(source.path, line, 'layering', f'{folder} includes only std and <cambium/...>, not {name}')


def check_containers(source):
    if source.path.startswith(('lib/', 'runtime/')):
        for match in POINTER_KEY.finditer(source.code):
            yield Finding(source.path, source.line_of(match.start()), 'address-order', 'a container keyed by a pointer')


def check_determinism(source):
    if not source.path.startswith('lib/'):
        return
    for pattern, what in NONDETERMINISM:
        for match in pattern.finditer(source.code):
            yield Finding(source.path, source.line_of(match.start()), 'determinism',
                          f'{what}: {match.group().strip()}; ask the loop instead')
    for line, _, name in source.includes():
        if CLOCK_HEADER.search(name):
            yield Finding(source.path, line, 'determinism', f'includes {name}; ask the loop instead')


def check_machine_paths(source):
    for number, line in enumerate(source.lines, 1):
        if MACHINE_PATH.search(line) and not (source.path.startswith('tests/') and 'TMPDIR' in line):
            yield Finding(source.path, number, 'machine-path', f'{MACHINE_PATH.search(line).group()}: not on every machine')


def check_spdx(source):
    line = 1 if source.lines[0].startswith('#!') else 0
    if 'SPDX-License-Identifier: MIT OR Apache-2.0' not in ''.join(source.lines[line:line + 1]):
        yield Finding(source.path, 1, 'spdx', 'the first line is the SPDX line')


def check_form(source):
    if source.path.endswith('.h') and not re.search(r'^#pragma once$', source.code, re.M):
        yield Finding(source.path, 1, 'pragma-once', 'the header lacks #pragma once')
    if len(source.lines) > LINES_MAX:
        yield Finding(source.path, LINES_MAX + 1, 'length', f'{len(source.lines)} lines; {LINES_MAX} at most')
    if not re.fullmatch(r'[a-z][a-z0-9_]*\.(h|cc)', source.path.split('/')[-1]):
        yield Finding(source.path, 1, 'file-name', 'names are snake_case with .h or .cc')


def check_mirror(source, root):
    match = re.fullmatch(r'tests/((?:runtime|lib)/.+)/(\w+)_test\.cc', source.path)
    if match is None:
        if re.match(r'tests/(?:runtime|lib)/.+\.cc$', source.path):
            yield Finding(source.path, 1, 'mirror', 'test files are named <source>_test.cc')
        return
    folder, tested = match.groups()
    public = {'runtime/rt': 'include/cambium/rt', 'runtime/base': 'include/cambium/rt'}.get(folder, 'include/cambium')
    words = tested.split('_')
    names = ['_'.join(words[:end]) for end in range(1, len(words) + 1)]
    candidates = (root / place / (name + ending)
                  for place in (folder, public) for name in names for ending in ('.h', '.cc'))
    if not any(candidate.exists() for candidate in candidates):
        yield Finding(source.path, 1, 'mirror', f'neither {folder} nor {public} has what this tests')


def check_listed(source, root):
    if not source.path.endswith('.cc'):
        return
    folder = (root / source.path).parent
    listing = folder / 'meson.build'
    stem = source.path.split('/')[-1].removesuffix('.cc')
    # The canary builds its names from parts: the part that differs counts.
    if not listing.exists() or not re.search(rf"'{stem}(\.cc)?'|'{stem.split('_')[0]}'", listing.read_text()):
        yield Finding(source.path, 1, 'unlisted', f'not named in {listing.relative_to(root)}')


def findings_in(root, path):
    source = Source(root, path)
    checks = [check_spdx(source), check_machine_paths(source)]
    if path.endswith(('.h', '.cc')):
        checks += checks_of_code(root, source)
    for check in checks:
        for finding in check:
            if not source.excuses(finding):
                yield finding


def checks_of_code(root, source):
    return [check_includes(source), check_containers(source), check_determinism(source), check_form(source),
            check_mirror(source, root), check_listed(source, root), lint_coroutines.check(source)]


def files_under(root):
    for folder in SOURCE_FOLDERS:
        for path in sorted((root / folder).rglob('*')):
            name = path.relative_to(root).as_posix()
            if path.suffix in ('.h', '.cc') and not name.startswith(EXCLUDED):
                yield name


def is_script(path):
    if path.suffix == '':
        with path.open('rb') as file:
            return file.read(2) == b'#!'
    return path.suffix in SCRIPT_ENDINGS


def scripts_under(root):
    places = [path for folder in SCRIPT_FOLDERS for path in (root / folder).rglob('*')]
    for path in sorted(places + list(root.glob('*'))):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not name.startswith(SCRIPTS_EXCLUDED) and is_script(path):
            yield name


def main(arguments):
    root = Path(arguments[0] if arguments else Path(__file__).parent.parent).resolve()
    files = list(files_under(root))
    if not files:
        print(f'{root}: no sources found', file=sys.stderr)
        return 2
    files += scripts_under(root)
    findings = [finding for path in files for finding in findings_in(root, path)]
    for finding in findings:
        print(finding)
    print(f'lint: {len(files)} files, {len(findings)} findings')
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
