#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Files that are not what they should be: foreign, cut off, hostile, newer, and damaged in every page. What is refused
is not changed by a byte; every answer is the right one, or exit code 3 or 5. The first argument is the program."""

import os
import random
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli_case import OK, CORRUPTION, UNSUPPORTED, run_program
from world_case import PAGE, SCALE, WorldCase, main, records, seal, tsv

REFUSED = (CORRUPTION, UNSUPPORTED)
KEY = 'key000001'
VERBS = (['get', 'FILE', KEY], ['put', 'FILE', 'k', 'v'], ['del', 'FILE', KEY], ['scan', 'FILE'], ['check', 'FILE'],
         ['compact', 'FILE'])


class FileCase(WorldCase):
    def refused(self, content, codes=REFUSED, verbs=VERBS):
        Path(self.file).write_bytes(content)
        for words in verbs:
            answer = self.cambium(*[self.file if word == 'FILE' else word for word in words], code=codes)
            self.assertEqual(Path(self.file).read_bytes(), content, words)
            self.assertTrue(answer.out == b'' or words[0] in ('scan', 'check'), words)

    def small(self, count=100):
        self.cambium('load', self.file, '-q', stdin=tsv(records(count)))
        return Path(self.file).read_bytes()


class Refused(FileCase):
    def test_a_file_cut_off_at_every_page_is_refused_and_not_changed(self):
        whole = self.small()
        for length in range(0, len(whole), PAGE):
            with self.subTest(length=length):
                self.refused(whole[:length], verbs=VERBS if length % (8 * PAGE) == 0 else VERBS[:2])
        for length in (1, 511, 4097, len(whole) - 1, len(whole) - 512):
            with self.subTest(length=length):
                self.refused(whole[:length])

    def test_foreign_files_are_unsupported_and_not_changed(self):
        noise = random.Random(1)
        sqlite = b'SQLite format 3\0' + noise.randbytes(8 * PAGE - 16)
        for content in (b'x', b'text\n' * 10_000, sqlite, noise.randbytes(64 * PAGE), b'\x7fELF' + bytes(40 * PAGE),
                        bytes(64 * PAGE), bytes(64 * PAGE + 13), Path(run_program.path).read_bytes()[:2_000_000]):
            with self.subTest(start=content[:16], length=len(content)):
                self.refused(content, codes=UNSUPPORTED)

    def superblocks(self, whole, *fields):
        """The file with fields of all four superblocks changed, and their checksums right."""
        content = bytearray(whole)
        for page in range(4):
            block = bytearray(content[page * PAGE:(page + 1) * PAGE])
            for form, offset, value in fields:
                struct.pack_into('<' + form, block, offset, value)
            content[page * PAGE:(page + 1) * PAGE] = seal(block)
        return bytes(content)

    def test_newer_versions_and_unknown_features_are_unsupported_optional_ones_are_not(self):
        whole = self.small(20)
        for fields in ([('I', 40, 2)], [('I', 40, 0)], [('I', 40, 0xFFFFFFFF)], [('I', 44, 8192)], [('I', 44, 0)],
                       [('Q', 48, 1 << 63)]):
            with self.subTest(fields=fields):
                self.refused(self.superblocks(whole, *fields), codes=UNSUPPORTED)
        Path(self.file).write_bytes(self.superblocks(whole, ('Q', 56, 1 << 63)))
        self.cambium('put', self.file, 'k', 'v')
        self.cambium('check', self.file)

    def test_hostile_superblocks_are_refused_and_not_changed(self):
        whole = self.small(20)
        large = (1 << 64) - 1
        for fields in ([('Q', 64, 0)], [('Q', 64, 1)], [('Q', 64, large)], [('Q', 64, 1 << 30)],  # file_pages
                       [('Q', 80, large)], [('Q', 80, 0)], [('I', 80, 5)],  # catalog
                       [('I', 96, 17)], [('I', 96, 0xFFFFFFFF)], [('I', 96, 5)],  # catalog_height
                       [('I', 128, 0)], [('I', 128, 0xFFFFFFFF)], [('I', 128, 400)],  # table_count
                       [('Q', 16, large)], [('Q', 72, large)],  # generation, sequence
                       [('I', 256, 1)], [('I', 260, 7)]):  # the first group table
            with self.subTest(fields=fields):
                self.refused(self.superblocks(whole, *fields))

    def test_bytes_set_at_random_never_lead_to_a_wrong_value(self):
        whole, values = self.small(60), dict(records(60))
        seed = int(os.environ.get('CAMBIUM_SEED', '11'))
        rng = random.Random(seed)
        for number in range(40 * SCALE):
            content = bytearray(whole)
            page = rng.randrange(len(whole) // PAGE)
            block = bytearray(content[page * PAGE:(page + 1) * PAGE])
            for _ in range(rng.choice((1, 3, 30))):
                block[rng.randrange(4, rng.choice((64, PAGE)))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            content[page * PAGE:(page + 1) * PAGE] = seal(block)  # the page itself looks whole
            Path(self.file).write_bytes(content)
            with self.subTest(seed=seed, number=number, page=page):
                scan = self.cambium('scan', self.file, code=(OK, *REFUSED))
                for line in scan.out.splitlines():
                    key, _, value = line.partition(b'\t')
                    self.assertEqual(values.get(key), value)
                self.assertTrue(scan.code != OK or len(scan.out.splitlines()) == 60)
                self.cambium('check', self.file, code=(OK, *REFUSED))


class Damaged(FileCase):
    """Each page of a closed file in turn: a bit flipped, zeros, its neighbour's bytes, its own from an earlier time."""

    COUNT = 150 * SCALE

    def setUp(self):
        super().setUp()
        self.small(self.COUNT)
        self.older = Path(self.file).read_bytes()
        for seed in (1, 2):  # twice, so that pages are used again
            self.pairs = records(self.COUNT, seed)
            self.cambium('load', self.file, '-q', stdin=tsv(self.pairs))
        self.content = Path(self.file).read_bytes()
        self.text = tsv(self.pairs)
        self.values = dict(self.pairs)
        self.cambium('check', self.file)

    def page(self, content, number):
        return content[number * PAGE:(number + 1) * PAGE]

    def damaged(self, kind, number):
        page = bytearray(self.page(self.content, number))
        if kind == 'flip':
            page[random.Random(number).randrange(PAGE)] ^= 1 << number % 8
        elif kind == 'zero':
            page = bytes(PAGE)
        elif kind == 'older':
            page = self.page(self.older, number) or page
        elif kind == 'swap':
            other = number + 1 if (number + 2) * PAGE <= len(self.content) else number - 1
            low = min(number, other)
            swapped = self.page(self.content, low + 1) + self.page(self.content, low)
            return self.content[:low * PAGE] + swapped + self.content[(low + 2) * PAGE:]
        return self.content[:number * PAGE] + bytes(page) + self.content[(number + 1) * PAGE:]

    def ask(self, kind, number):
        """What is wrong with the answers; nothing, if all is right."""
        file = f'{self.file}.{kind}.{number}'
        content = self.damaged(kind, number)
        if content == self.content:
            return None
        Path(file).write_bytes(content)
        try:
            return self.answers(file, content, self.pairs[number * 7 % len(self.pairs)])
        finally:
            os.remove(file)

    def answers(self, file, content, pair):
        allowed = (OK, *REFUSED)
        key, value = pair[0].decode(), pair[1] + b'\n'
        got = run_program('get', file, key)
        if got.code not in allowed or got.out != (value if got.code == OK else b''):
            return f'get {key}: {got}'
        scan = run_program('scan', file)
        if scan.code not in allowed or not self.text.startswith(scan.out) or (scan.code == OK) != (scan.out == self.text):
            return f'scan: {scan.code} {len(scan.out)} bytes {scan.err}'
        checked = run_program('check', file, '-q')
        self.noticed += checked.code == CORRUPTION
        if checked.code not in allowed or (checked.code == OK and scan.code != OK):
            return f'check: {checked.code} after scan: {scan.code}'
        if Path(file).read_bytes() != content:
            return 'a verb that reads has written'
        put = run_program('put', file, key, 'new value')
        if put.code not in allowed:
            return f'put: {put}'
        again = run_program('get', file, key)
        right = b'new value\n' if put.code == OK else value
        if again.code not in allowed or again.out != (right if again.code == OK else b''):
            return f'get after put: {put.code} {again}'
        return None

    def every_page(self, kind):
        self.noticed = 0
        pages = range(len(self.content) // PAGE)
        with ThreadPoolExecutor(4) as pool:
            wrong = [(number, text) for number, text in zip(pages, pool.map(lambda n: self.ask(kind, n), pages)) if text]
        self.assertEqual(wrong, [])
        self.assertGreater(self.noticed, 5)

    def test_a_flipped_bit(self):
        self.every_page('flip')

    def test_zeros(self):
        self.every_page('zero')

    def test_two_neighbours_change_places(self):
        self.every_page('swap')

    def test_an_older_version_of_the_page(self):
        self.every_page('older')


if __name__ == '__main__':
    main()
