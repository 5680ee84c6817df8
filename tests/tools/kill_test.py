#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""kill -9, with the real program and the real io_uring: what was acknowledged is there, whenever the process died.

    tests/tools/kill_test.py <program> [--kills N] [--seconds S] [--seed S] [--modes none ...] [--folder F]

Each round writes a seeded stream with `cambium stress --ack-fd`, kills it at a random moment, sometimes kills whoever
opens the file next as well, then asks `check` for the structure and `stress --verify` for every acknowledged line.
As a test it does 300 rounds (CAMBIUM_KILLS says otherwise); as a program, with --kills or --seconds, thousands.

What a kill cannot take away is what the kernel has: it stands for crashes of the process, and the power cuts of suite
sim for those of the machine. The first round that fails ends the run; its folder stays, and the seed is printed.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass

from cli_case import OK, NOT_FOUND, UNSUPPORTED

# How a write becomes durable: the values of `stress --wal`. A new mode is a new entry; each gets its share of rounds.
MODES = ('none', 'batched', 'sync')
OPS = 10_000_000          # more than a round gets through
LIFE_SECONDS_MAX = 0.35   # of a writer
NEXT_SECONDS_MAX = 0.03   # of whoever opens the file after it


class Failed(Exception):
    pass


@dataclass
class Round:
    """One writer, its death, and the questions afterwards."""
    program: str
    folder: str
    seed: int
    mode: str

    def __post_init__(self):
        self.random = random.Random(self.seed)
        self.file = os.path.join(self.folder, 'data.cambium')
        self.acks = os.path.join(self.folder, 'acks')
        self.stream = ['--seed', str(self.seed), '--ops', str(OPS), '--keys', str(self.random.choice((5, 300, 20_000))),
                       '--wal', self.mode]
        self.flush_every = self.random.choice((1, 7, 50, 2000))

    def killed(self, words, seconds, **more):
        """Runs the program until it ends by itself or the time is over; its exit code, or None if it was killed."""
        with subprocess.Popen([self.program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more) as process:
            try:
                err = process.communicate(timeout=seconds)[1]
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                return None
        if process.returncode < 0:
            raise Failed(f'{words[0]} died of signal {-process.returncode}: {err.decode(errors="replace")[-500:]}')
        return process.returncode

    def ask(self, *words):
        done = subprocess.run([self.program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        return done.returncode, done.stdout, done.stderr.decode(errors='replace').strip()[-500:]

    def write_and_die(self):
        with open(self.acks, 'wb') as acks:
            code = self.killed(['stress', self.file, *self.stream, '-q', '--flush-every', str(self.flush_every),
                                '--ack-fd', str(acks.fileno())],
                               self.random.uniform(0.002, LIFE_SECONDS_MAX), pass_fds=[acks.fileno()])
        if code is not None:
            raise Failed(f'stress ended by itself with exit code {code}')

    def die_while_recovering(self):
        code = self.killed(['compact', self.file, '-q'], self.random.uniform(0.001, NEXT_SECONDS_MAX))
        if code not in (None, OK, NOT_FOUND, UNSUPPORTED):
            raise Failed(f'compact ended with exit code {code}')

    def verify(self):
        """The number of the last acknowledged write; 0 when the writer died before the first."""
        acked = os.path.getsize(self.acks)
        if not os.path.exists(self.file):
            if acked:
                raise Failed('lines were acknowledged, and there is no file')
            return 0
        code, out, err = self.ask('check', self.file)
        if code == UNSUPPORTED and not acked:
            return 0  # it died while the file was being made
        if code != OK:
            raise Failed(f'check ended with exit code {code}: {err}')
        code, out, err = self.ask('stress', self.file, *self.stream_up_to_the_kill(), '--verify', '--ack-file', self.acks,
                                  '--json')
        if code != OK:
            raise Failed(f'stress --verify ended with exit code {code}: {err}')
        return json.loads(out)['last_acked']

    def stream_up_to_the_kill(self):
        """The stream as far as it can have been written. Exactly, since a later removal excuses a key that is missing:
        the lines of one flush (or wait for the log) are out before the next write, so no more than so many writes follow the last line."""
        with open(self.acks, 'rb') as acks:
            last = acks.read().rpartition(b'\n')[0].rpartition(b'\n')[2]
        words = list(self.stream)
        words[words.index('--ops') + 1] = str((int(last.split()[0]) if last else 0) + self.flush_every)
        return words

    def run(self):
        self.write_and_die()
        while self.random.random() < 0.3:
            self.die_while_recovering()
        return self.verify()


def run_rounds(program, modes, kills, seconds, seed, parent):
    began = time.monotonic()
    acked = Counter()
    rounds = Counter()
    empty = Counter()
    while sum(rounds.values()) < kills and (not seconds or time.monotonic() - began < seconds):
        number = sum(rounds.values())
        mode = modes[number % len(modes)]
        folder = tempfile.mkdtemp(prefix='cambium-kill-', dir=parent)
        try:
            last = Round(program, folder, seed + number, mode).run()
        except (Failed, subprocess.TimeoutExpired) as failure:
            print(f'round {number} failed: {failure}\nthe file and the acknowledged lines are in {folder}\n'
                  f'replay: {sys.argv[0]} {program} --kills 1 --seed {seed + number} --modes {mode}', flush=True)
            return 1
        shutil.rmtree(folder)
        rounds[mode] += 1
        acked[mode] += last
        empty[mode] += last == 0
        if sum(rounds.values()) % 1000 == 0:
            print(f'{sum(rounds.values())} kills, {time.monotonic() - began:.0f} s', flush=True)
    for mode in modes:
        print(f'kill: --wal {mode}: {rounds[mode]} kills, {acked[mode]} acknowledged writes all there, '
              f'{empty[mode]} died before the first acknowledgement')
    if os.environ.get('CAMBIUM_FIGURES'):
        with open(os.environ['CAMBIUM_FIGURES'], 'a', encoding='utf-8') as figures:
            figures.write(f'kills\t{sum(rounds.values())}\n')
    print(f'kill: seeds {seed} to {seed + sum(rounds.values()) - 1}, {time.monotonic() - began:.1f} s')
    if any(rounds[mode] >= 20 and empty[mode] > rounds[mode] * 3 // 4 for mode in modes):
        print('most writers died before they had acknowledged anything: this proves too little')
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('program')
    parser.add_argument('--kills', type=int, default=int(os.environ.get('CAMBIUM_KILLS', 300)))
    parser.add_argument('--seconds', type=float, default=0, help='end after this time even with kills left')
    parser.add_argument('--seed', type=int, default=int(os.environ.get('CAMBIUM_SEED', time.time_ns() % 1_000_000_000)))
    parser.add_argument('--modes', nargs='+', default=MODES, choices=('none', 'batched', 'sync'))
    parser.add_argument('--folder', help='where the files go; default: the system\'s folder for temporary files')
    arguments = parser.parse_args()
    return run_rounds(os.path.abspath(arguments.program), tuple(arguments.modes), arguments.kills, arguments.seconds,
                      arguments.seed, arguments.folder)


if __name__ == '__main__':
    sys.exit(main())
