"""Memory that is free and does not go back, or is kept by what nobody thinks of; one
experiment of the articles each, named by the third argument."""
import functools
import gc
import os
import re
import sys

import oracle


class Survivor(object):
    # large, so that nothing else has blocks of its size
    __slots__ = ["number"] + ["field%d" % i for i in range(56)]

    def __init__(self, number):
        self.number = number


def arenas_now():
    """How many arenas sys._debugmallocstats() counts."""
    stderr = os.dup(2)
    printed = os.open("again", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(printed, 2)
    sys._debugmallocstats()
    os.dup2(stderr, 2)
    os.lseek(printed, 0, os.SEEK_SET)
    text = os.read(printed, 1 << 16).decode()
    os.close(printed)
    os.close(stderr)
    return int(re.search(r"arenas allocated current\s+=\s+([\d,]+)", text).group(1).replace(",", ""))


def list_dropped():
    """Half of the items are still wanted: the blocks of the others are free, and not one arena."""
    rows = [i + 0.5 for i in range(400000)]
    kept = rows[::2]
    del rows
    return {"kept": kept}, None


def survivors():
    """Many small objects die and one per arena lives on."""
    arena = 1 << (20 if sys.version_info >= (3, 10) else 18)
    rows = [Survivor(None) for _ in range(24 * arena // 500)]
    kept, last = [], 0
    for i in range(len(rows)):
        here = id(rows[i]) // arena
        # the last pools of the arena, so that what came before the rows is not beside them
        if here != last and i > arena // 500:
            rows[i].number = i
            kept.append(rows[i])
            last = here
    here = None
    del rows
    gc.collect()

    # A child lets them go, and counts.
    out, into = os.pipe()
    if os.fork() == 0:
        before = arenas_now()
        del kept[:]
        os.write(into, b"%d %d" % (before, arenas_now()))
        os._exit(0)
    before, after = map(int, os.read(out, 100).split())
    os.wait()
    return {"kept": kept}, lambda: {"arenas_before": before, "arenas_after": after}


def free_lists():
    """Thousands of tuples and floats die; some hundreds of each are kept for reuse."""
    gc.disable()
    pairs = [(None, i) for i in range(5000)]
    floats = [i + 0.25 for i in range(500)]
    del pairs, floats
    return {}, None


@functools.lru_cache(maxsize=None)
def rendered(page):
    return "x" * 20000 + str(page)


def lru_cache():
    """A megabyte or twenty of pages that nobody asked for again."""
    for page in range(1000):
        rendered(page)
    return {"rendered": rendered, "page": rendered(7)}, None


STATES = [list_dropped, survivors, free_lists, lru_cache]


def main():
    state = {f.__name__: f for f in STATES}[sys.argv[3]]
    planted, after = state()
    oracle.finish(planted, after)
    oracle.leave()


main()
