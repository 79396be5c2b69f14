"""Where memory goes: one experiment after another, each as the articles tell it.

    PROGRAM OUTDIR EXPERIMENT

builds the state, prints `holding PID`, and waits. A line on standard input makes it do
what the experiment is about (drop, trim, ...); it then prints `done BYTES`, by how much its
anonymous memory fell, and waits on."""
import gc
import os
import sys

import oracle

ROLLUP = os.open("/proc/self/smaps_rollup", os.O_RDONLY)
MIB = 1 << 20


def anonymous():
    for line in os.pread(ROLLUP, 8192, 0).decode().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024


def trim():
    import ctypes
    return ctypes.CDLL(None).malloc_trim(0)


class Holder(object):
    pass


def big_array(kept):
    """One large array: dropped, it is returned at once."""
    import numpy
    kept.array = numpy.ones(64 * MIB // 8)

    def drop():
        del kept.array
    return drop


def small_arrays(kept):
    """Many arrays below the limit for mappings: every other one dropped, malloc keeps the memory."""
    import numpy
    kept.arrays = [numpy.ones(250) for _ in range(16000)]

    def drop():
        del kept.arrays[::2]
    return drop


def fragmented(kept):
    """Chunks of 20 KB between chunks that stay: malloc_trim() finds whole pages in them."""
    kept.stay = []
    kept.go = []
    for _ in range(1500):
        kept.go.append(bytearray(b"x" * 20000))
        kept.stay.append(bytearray(b"y" * 700))
    del kept.go[:]
    return trim


def view(kept):
    """A small view that keeps a large buffer."""
    data = bytearray(b"x" * (24 * MIB))
    kept.view = memoryview(data)[100:200]

    def drop():
        kept.view.release()
    return drop


def array_view(kept):
    import numpy
    kept.view = numpy.ones(24 * MIB // 8)[5:10]

    def drop():
        del kept.view
    return drop


def cycles(kept):
    """Garbage that a disabled collector does not reach."""
    gc.disable()
    for i in range(20000):
        one, other = Holder(), Holder()
        one.other, other.other = other, one
        one.payload = "%d" % i * 200
    del one, other
    return gc.collect


def big_list(kept):
    """Many objects, dropped: pymalloc's arenas."""
    kept.list = [object() for _ in range(600000)]

    def drop():
        del kept.list
    return drop


def threads(kept):
    """Stacks of living and of ended threads."""
    import threading
    threading.stack_size(4 * MIB)
    leave = threading.Event()
    kept.ready = threading.Semaphore(0)

    def deep(n):
        return deep(n - 1) if n else kept.ready.release() or leave.wait()

    for end in (True, False):
        rows = [threading.Thread(target=deep, args=(200,), daemon=True) for _ in range(4)]
        for row in rows:
            row.start()
        for row in rows:
            kept.ready.acquire()
        if end:
            leave.set()
            for row in rows:
                row.join()
            leave.clear()
    return lambda: None


def shared(kept):
    """Shared memory that both sides of a fork see."""
    import mmap
    kept.map = mmap.mmap(-1, 16 * MIB)
    kept.map.write(b"s" * (16 * MIB))
    return kept.map.close


def anonymous_mapping(kept):
    """A private mapping that nobody told malloc about."""
    import mmap
    kept.map = mmap.mmap(-1, 8 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    kept.map.write(b"hello world\n" * (8 * MIB // 12))
    return kept.map.close


def main():
    os.chdir(sys.argv[1])
    kept = Holder()
    act = globals()[sys.argv[2]](kept)
    gc.collect() if gc.isenabled() else None
    anonymous()
    oracle.write(".", dict(oracle.about(), planted={}))
    print("holding %d" % os.getpid())
    sys.stdout.flush()
    for _ in sys.stdin:
        before = anonymous()
        act()
        print("done %d" % (before - anonymous()))
        sys.stdout.flush()
    oracle.leave()


main()
