#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The long proof before a release: the random tests over new seeds, as many as the time allows, on every core.

    tools/dev release-check [--seconds N] [--seed S] [--only KIND ...]      default: an hour

Each job is one program with one seed, of some seconds. The kinds share the time by their weights: power cuts and I/O
errors at every step, damage, the model and many coroutines at a few keys (simulated), the model and kills on the real
io_uring, and the fuzz targets. Ends with a table of goal and reached. The first failure ends it, and prints the one
command that replays it; what the job wrote is kept beside the figures, in build/release-check.
"""

import argparse
import glob
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import figures

EXECUTED = re.compile(r'^stat::number_of_executed_units: +(\d+)', re.M)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = 'build/release-check'
GRACE_SECONDS = 900  # a job that takes so much longer than it should hangs


@dataclass
class Job:
    words: list
    seed: int
    environment: dict = field(default_factory=dict)

    def command(self):
        settings = [f'{name}={value}' for name, value in self.environment.items()]
        return ' '.join([*settings, *map(shlex.quote, self.words)])


@dataclass
class Kind:
    """How to make the next job of about so many seconds; weight: its share of the time."""
    name: str
    weight: float
    make: object
    seconds_used: float = 0
    jobs: int = 0


def sim(pattern, **sizes):
    """Sizes are per second of a job: what one core gets through, roughly."""
    def make(seed, seconds):
        environment = {name: str(max(int(rate * seconds), 1)) for name, rate in sizes.items()}
        return Job(['build/release/tests/test_sim', pattern], seed, {**environment, 'CAMBIUM_SEED': str(seed)})
    return make


def uring(seed, seconds):
    return Job(['build/release/tests/test_uring', 'model:*'], seed,
               {'CAMBIUM_MODEL_OPERATIONS': str(max(int(2_500 * seconds), 10_000)), 'CAMBIUM_SEED': str(seed)})


def kills(seed, seconds):
    return Job([sys.executable, '-B', 'tests/tools/kill_test.py', 'build/release/tools/cambium/cambium', '--kills', '1000000',
                '--seconds', str(seconds), '--seed', str(seed)], seed)


def fuzz(seed, seconds):
    targets = sorted(path for path in glob.glob('build/fuzz/fuzz/fuzz_*') if os.access(path, os.X_OK) and os.path.isfile(path))
    program = targets[seed % len(targets)]
    name = program.rpartition('fuzz_')[2]
    os.makedirs(f'build/fuzz/corpus/{name}', exist_ok=True)
    os.makedirs('build/fuzz/findings', exist_ok=True)
    return Job([program, f'-max_total_time={int(seconds)}', f'-seed={seed}', '-timeout=20', '-print_final_stats=1',
                f'-artifact_prefix=build/fuzz/findings/{name}-', f'build/fuzz/corpus/{name}', f'fuzz/corpus/{name}'], seed)


def all_kinds():
    return [
        Kind('cuts', 45, sim('[cut-commit],[cut-space],[cut-log]', CAMBIUM_CRASH_STATES=3_000)),
        Kind('errors', 5, sim('errors:*')),
        Kind('damage', 8, sim('damage:*', CAMBIUM_DAMAGE=4_000)),
        Kind('model', 8, sim('model: random*', CAMBIUM_MODEL_OPERATIONS=15_000)),
        Kind('concurrent', 6, sim('concurrent: what*', CAMBIUM_MODEL_OPERATIONS=40_000)),
        Kind('uring', 4, uring),
        Kind('kills', 12, kills),
        Kind('fuzz', 12, fuzz),
    ]


class Check:
    def __init__(self, arguments, kinds):
        self.kinds = kinds
        self.arguments = arguments
        self.began = time.monotonic()
        self.deadline = self.began + arguments.seconds
        # Short enough that every kind has its turn, long enough that starting up does not count.
        self.job_seconds = min(max(arguments.seconds / (4 * len(kinds)), 3), 40)
        self.lock = threading.Lock()
        self.next_seed = arguments.seed
        self.failed = None

    def next_job(self):
        """The kind that is furthest behind its share; None when it is over."""
        with self.lock:
            if self.failed or time.monotonic() >= self.deadline:
                return None, None
            kind = min(self.kinds, key=lambda kind: kind.seconds_used / kind.weight)
            kind.seconds_used += self.job_seconds  # until it is known
            kind.jobs += 1
            self.next_seed += 1
            left = self.deadline - time.monotonic()
            return kind, kind.make(self.next_seed, max(min(self.job_seconds, left), 1))

    def work(self):
        while True:
            kind, job = self.next_job()
            if kind is None:
                return
            began = time.monotonic()
            log = f'{OUT}/{kind.name}-{job.seed}.log'
            code = self.run(job, log)
            took = time.monotonic() - began
            with self.lock:
                kind.seconds_used += took - self.job_seconds
                self.finish(kind, job, log, code, took)

    def run(self, job, log):
        environment = dict(os.environ, **job.environment, CAMBIUM_FIGURES=os.path.abspath(f'{OUT}/figures'))
        with open(log, 'wb') as output:
            process = subprocess.Popen(job.words, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True)
            try:
                return process.wait(self.job_seconds * 4 + GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return 'no end'

    def finish(self, kind, job, log, code, took):
        with open(log, encoding='utf-8', errors='replace') as file:
            output = file.read()
        executed = EXECUTED.search(output)
        if executed:
            with open(f'{OUT}/figures', 'a', encoding='utf-8') as sums:
                sums.write(f'fuzz executions\t{executed.group(1)}\n')
        if code == 0:
            os.remove(log)
            print(f'{time.monotonic() - self.began:7.0f} s  {kind.name:10} seed {job.seed}: {took:.0f} s', flush=True)
        elif self.failed is None:
            self.failed = job
            # The test itself may know a shorter way: its own line.
            replays = re.findall(r'replay: (.+)', output)
            print(f'{kind.name} FAILED ({code}), see {log}\n' + '\n'.join(output.splitlines()[-40:]))
            print(f'replay, from {ROOT}:\n  {replays[-1] if replays else job.command()}', flush=True)

    def all_work(self):
        workers = [threading.Thread(target=self.work) for _ in range(self.arguments.jobs)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def report(check):
    print(f'{sum(kind.jobs for kind in check.kinds)} jobs in {time.monotonic() - check.began:.0f} s on '
          f'{check.arguments.jobs} cores, seeds {check.arguments.seed + 1} to {check.next_seed}: '
          + ', '.join(f'{kind.name} {kind.jobs}' for kind in check.kinds))
    with open(f'{OUT}/figures', encoding='utf-8') as file:
        rows, _ = figures.table(figures.sum_up(file), 1)
    for name, goal, count, _ in rows:
        print(f'{name:28} {goal:>15} {count:>15}'.rstrip())


def main():
    kinds = all_kinds()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=float, default=3600)
    parser.add_argument('--seed', type=int, default=int(time.time()) % 1_000_000_000, help='the first job has the next one')
    parser.add_argument('--only', nargs='+', choices=[kind.name for kind in kinds])
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    os.chdir(ROOT)
    os.makedirs(OUT, exist_ok=True)
    open(f'{OUT}/figures', 'w', encoding='utf-8').close()
    check = Check(arguments, [kind for kind in kinds if not arguments.only or kind.name in arguments.only])
    print(f'first seed {arguments.seed + 1}; jobs of about {check.job_seconds:.0f} s', flush=True)
    check.all_work()
    report(check)
    print('FAILED' if check.failed else 'no violation')
    return 1 if check.failed else 0


if __name__ == '__main__':
    sys.exit(main())
