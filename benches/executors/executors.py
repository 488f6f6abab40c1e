"""The peers of `executors`: `executors.py ROW COUNT futures|multiprocessing` prints one measurement.

Each function does what the one of that name in `ours.rs` does, as Python's documentation shows it.
"""

import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

WORKERS = 2
CHUNK = 1_000
MIB = 1 << 20
STEPS = 100_000


def add_one(n):
    return n + 1


def echo(payload):
    return payload


def spin(seed):
    n = seed
    for step in range(STEPS):
        n = (n * 6_364_136_223_846_793_005 + step) & 0xFFFF_FFFF_FFFF_FFFF
    return n


def now():
    return time.perf_counter()


class Multiprocessing:
    """`multiprocessing.Pool`, by the names that this script uses."""

    def __init__(self, workers):
        self.pool = multiprocessing.Pool(workers)

    def one(self, f, arg):
        return self.pool.apply(f, (arg,))

    def many(self, f, args):
        results = [self.pool.apply_async(f, (arg,)) for arg in args]
        return [result.get() for result in results]

    def map(self, f, args, chunksize=1):
        return self.pool.imap(f, args, chunksize)

    def end(self):
        self.pool.close()
        self.pool.join()


class Futures:
    """An executor of `concurrent.futures`."""

    def __init__(self, workers, kind=ProcessPoolExecutor):
        self.pool = kind(workers)

    def one(self, f, arg):
        return self.pool.submit(f, arg).result()

    def many(self, f, args):
        futures = [self.pool.submit(f, arg) for arg in args]
        return [future.result() for future in futures]

    def map(self, f, args, chunksize=1):
        return self.pool.map(f, args, chunksize=chunksize)

    def end(self):
        self.pool.shutdown()


def up(kind, workers=WORKERS):
    pool = kind(workers)
    assert len(list(pool.map(add_one, range(100)))) == 100
    return pool


def thread_trip(count, _):
    return trip(count, lambda workers: Futures(workers, ThreadPoolExecutor))


def thread_many(count, _):
    return many(count, lambda workers: Futures(workers, ThreadPoolExecutor))


def many(count, kind):
    pool = up(kind)
    began = now()
    total = sum(pool.many(add_one, range(count)))
    took = now() - began
    assert total == count * (count + 1) // 2
    pool.end()
    return took * 1e3


def trip(count, kind):
    pool = up(kind)
    began = now()
    for n in range(count):
        assert pool.one(add_one, n) == n + 1
    took = now() - began
    pool.end()
    return took * 1e6 / count


def process_map(count, kind):
    pool = up(kind)
    began = now()
    total = sum(pool.map(add_one, range(count), chunksize=CHUNK))
    took = now() - began
    assert total == count * (count + 1) // 2
    pool.end()
    return took * 1e3


def echoes(payload):
    def run(count, kind):
        pool = up(kind)
        began = now()
        for _ in range(count):
            assert len(pool.one(echo, payload)) == MIB
        took = now() - began
        pool.end()
        return took * 1e6 / count

    return run


def start(count, kind):
    took = 0.0
    for n in range(count):
        began = now()
        pool = kind(WORKERS)
        assert pool.one(add_one, n) == n + 1
        took += now() - began
        pool.end()
    return took * 1e3 / count


def recovery(count, _):
    """A killed worker breaks the pool: the way back is a new one."""
    pool = up(Futures, 1)
    took = 0.0
    for n in range(count):
        (worker,) = pool.pool._processes
        began = now()
        os.kill(worker, signal.SIGKILL)
        while True:
            try:
                assert pool.one(add_one, n) == n + 1
                break
            except BrokenProcessPool:
                pool = Futures(1)
        took += now() - began
    pool.end()
    return took * 1e3 / count


def share(kind):
    def run(count, _):
        slice_ = 50
        pool = up(kind)
        alone = together = 0.0
        for done in range(0, count, slice_):
            seeds = range(done, min(count, done + slice_))
            began = now()
            expected = sum(map(spin, seeds))
            alone += now() - began
            began = now()
            total = sum(pool.map(spin, seeds))
            together += now() - began
            assert total == expected
        pool.end()
        return alone / together / WORKERS

    return run


ROWS = {
    "thread-trip": thread_trip,
    "thread-many": thread_many,
    "process-trip": trip,
    "process-many": many,
    "process-map": process_map,
    "text": echoes("x" * MIB),
    "bytes": echoes(b"x" * MIB),
    "start": start,
    "recovery": recovery,
    "cpu-threads": share(lambda workers: Futures(workers, ThreadPoolExecutor)),
    "cpu-processes": share(Futures),
}

if __name__ == "__main__":
    if sys.version_info[:2] != (3, 11):
        print(f"this is not Python 3.11 but {sys.version}", file=sys.stderr)
    name, jobs, peer = sys.argv[1:]
    kinds = {"futures": Futures, "multiprocessing": Multiprocessing}
    print(ROWS[name](int(jobs), kinds[peer]))
