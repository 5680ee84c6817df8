#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Real file systems and devices that are full, read-only or thinner than they say: a tmpfs and an ext4 of 32 MiB, a
loop device, a disk image whose blocks run out. The first argument is the program."""

import json
import os
import subprocess
from pathlib import Path

from cli_case import OK, NOT_FOUND, NO_SPACE, IO_ERROR
from world_case import MIB, SCALE, Mounted, WorldCase, ext4, loop_device, main, records, tmpfs, tsv

SIZE = 32 * MIB * SCALE


def bulk(count):
    """Some 500 bytes a record; the keys meet the tree all over."""
    return [(b'bulk%08d' % (i * 7919 % 10_000_019), b'%d' % i + b'b' * 480) for i in range(count)]


class FullDevices(WorldCase):
    def full(self, folder):
        """Fills the file until there is no space, then the file system to its last block."""
        file = os.path.join(folder, 'data.cambium')
        self.kept = records(500)
        self.cambium('load', file, '-q', stdin=tsv(self.kept))
        self.cambium('load', file, '-q', '--memory', '4MiB', stdin=tsv(bulk(SIZE // 400)), code=NO_SPACE)
        return file

    def ballast(self, folder):
        with open(os.path.join(folder, 'ballast'), 'wb', buffering=0) as ballast:
            for size in (MIB, 4096):
                try:
                    while ballast.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass

    def works_on(self, file, ballast=None):
        self.cambium('check', file, '-q')
        for key, value in self.kept[::100]:
            self.assertEqual(self.cambium('get', file, key.decode()).out, value + b'\n')
        if ballast:
            self.ballast(ballast)
        self.cambium('load', file, '-q', '--memory', '4MiB', stdin=tsv(bulk(SIZE // 400)), code=NO_SPACE)
        before = os.path.getsize(file)

        # One delete, all the others in one go, compaction: by the reserve.
        self.cambium('del', file, self.kept[0][0].decode())
        self.cambium('get', file, self.kept[0][0].decode(), code=NOT_FOUND)
        keys = [key for key in self.cambium('scan', file, '--keys').out.split(b'\n') if key.startswith(b'bulk')]
        self.assertGreater(len(keys), 1000)
        self.cambium('batch', file, '-q', stdin=b''.join(b'del %s\n\n' % key for key in keys))
        self.cambium('compact', file)
        self.cambium('check', file, '-q')
        self.assertEqual(self.cambium('dump', file).out, tsv(self.kept[1:]))
        if os.path.isfile(file):
            self.assertLess(os.path.getsize(file), before / 4)

        # And then there is room again.
        self.cambium('load', file, '-q', stdin=tsv(bulk(1000)))
        self.cambium('check', file, '-q')

    def test_a_full_tmpfs(self):
        folder = tmpfs(self, SIZE)
        self.works_on(self.full(folder), ballast=folder)

    def test_a_full_ext4(self):
        folder = ext4(self, os.path.join(self.dir, 'image'), SIZE).where
        self.works_on(self.full(folder), ballast=folder)

    def test_a_full_block_device(self):
        """It never grows, whatever there is behind it."""
        image = os.path.join(self.dir, 'image')
        self.kept = records(500)
        self.cambium('load', image, '-q', stdin=tsv(self.kept))
        self.cambium('load', image, '-q', stdin=tsv(bulk(3000)))
        self.works_on(loop_device(self, image))

    def test_work_goes_on_when_a_file_system_grows(self):
        mounted = Mounted(self, '-t', 'tmpfs', '-o', f'size={SIZE // 4}')
        file = self.full(mounted.where)
        subprocess.run(['mount', '-o', f'remount,size={SIZE * 2}', mounted.where], check=True)
        more = bulk(20_000)
        self.cambium('load', file, '-q', stdin=tsv(more))
        self.assertEqual(self.cambium('get', file, more[7][0].decode()).out, more[7][1] + b'\n')
        self.cambium('check', file, '-q')

    def test_an_image_whose_blocks_run_out_loses_nothing_that_was_durable(self):
        outer = Mounted(self, '-t', 'tmpfs', '-o', f'size={SIZE // 4}')
        inner = ext4(self, os.path.join(outer.where, 'image'), SIZE)
        file = os.path.join(inner.where, 'data.cambium')
        kept = records(500)
        self.cambium('load', file, '-q', stdin=tsv(kept))
        self.cambium('load', file, '-q', '--memory', '4MiB', stdin=tsv(bulk(SIZE // 500)), code=(NO_SPACE, IO_ERROR))
        subprocess.run(['mount', '-o', f'remount,size={SIZE * 2}', outer.where], check=True)
        device = subprocess.run(['findmnt', '-n', '-o', 'SOURCE', inner.where], capture_output=True, text=True).stdout.strip()
        subprocess.run(['umount', inner.where], check=True)
        subprocess.run(['e2fsck', '-fy', device], capture_output=True)
        subprocess.run(['mount', '-t', 'ext4', device, inner.where], check=True)
        self.cambium('check', file, '-q')
        text = self.cambium('dump', file).out
        self.assertTrue(text.endswith(tsv(kept)))
        self.cambium('put', file, 'k', 'v')


class ReadOnly(WorldCase):
    def ask(self, file, before):
        for words, code in ((['get', file, 'key000001'], OK), (['scan', file], OK), (['dump', file], OK),
                            (['stat', file], OK), (['check', file], OK), (['put', file, 'k', 'v'], IO_ERROR),
                            (['del', file, 'key000001'], IO_ERROR), (['compact', file], IO_ERROR),
                            (['load', file], IO_ERROR)):
            answer = self.cambium(*words, code=code)
            self.assertEqual(answer.out != b'', code == OK)
        self.assertEqual(Path(file).read_bytes(), before)

    def test_a_read_only_file_system(self):
        mounted = Mounted(self, '-t', 'tmpfs', '-o', 'size=8m')
        file = os.path.join(mounted.where, 'data.cambium')
        self.cambium('load', file, '-q', stdin=tsv(records(50)))
        before = Path(file).read_bytes()
        subprocess.run(['mount', '-o', 'remount,ro', mounted.where], check=True)
        self.ask(file, before)
        self.assertIn(b'read-only', self.cambium('put', file, 'k', 'v', code=IO_ERROR).err)
        self.cambium('create', file + '2', code=IO_ERROR)

    def test_a_read_only_block_device(self):
        image = os.path.join(self.dir, 'image')
        self.cambium('load', image, '-q', stdin=tsv(records(50)))
        device = loop_device(self, image)
        self.assertEqual(json.loads(self.cambium('check', device, '--json').out)['entries'], 50)
        subprocess.run(['blockdev', '--setro', device], check=True)
        self.addCleanup(subprocess.run, ['blockdev', '--setrw', device])
        self.ask(device, Path(device).read_bytes())


if __name__ == '__main__':
    main()
