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
    names = {}
    for i in range(300):
        exec("def called%d(): return 1\ndef never%d(): return 2" % (i, i), names)
        names["called%d" % i]()
    pairs = [(None, i) for i in range(5000)]
    floats = [i + 0.25 for i in range(500)]
    del pairs, floats
    return {"names": names}, None


@functools.lru_cache(maxsize=None)
def rendered(page):
    return "x" * 20000 + str(page)


def lru_cache():
    """A megabyte or twenty of pages that nobody asked for again."""
    for page in range(1000):
        rendered(page)
    return {"rendered": rendered, "page": rendered(7)}, None


def waste():
    """Containers that were large once, a view of ten bytes, a hundred thousand equal strings."""
    import collections
    popped = list(range(100000))
    while len(popped) > 10:
        popped.pop()
    del popped[8:]
    grown = []
    for i in range(1000):
        grown.append(i)
    deleted = {"key%d" % i: None for i in range(50000)}
    for i in range(45000):
        del deleted["key%d" % i]
    emptied = {"key%d" % i: None for i in range(1000)}
    while emptied:
        emptied.popitem()
    discarded = set(range(100000))
    for i in range(90000):
        discarded.discard(i)
    shrunk = bytearray(b"x" * 100000)
    del shrunk[60000:]
    queue = collections.deque(range(6400))
    while len(queue) > 100:
        queue.pop()
    view = memoryview(bytes(50 << 20))[100:110]
    shared = bytes(3 << 20)
    views = [memoryview(shared)[i:i + 5] for i in range(3)]  # `shared` is a name too: no waste
    strings = ["equal string number %d" % 7 for _ in range(100000)]
    blobs = [bytes(bytearray(b"equal bytes ") + b"7") for _ in range(1000)]
    wide = ["\u4e2d\u6587 %d" % 7 for _ in range(500)]
    planted = {"popped": popped, "grown": grown, "deleted": deleted, "emptied": emptied,
               "discarded": discarded, "shrunk": shrunk, "queue": queue, "view": view.obj,
               "shared": shared, "views": views, "string": strings[0], "strings": strings,
               "blob": blobs[0], "blobs": blobs, "wide": wide[0], "wides": wide, "kept": view}
    del planted["view"]
    size = sys.getsizeof

    def after():
        large = size(emptied)
        emptied.clear()
        return {"waste": {
            "popped": size(popped) - size(popped[:]), "grown": size(grown) - size(grown[:]),
            "deleted": size(deleted) - size(dict(deleted)), "emptied": large - size(emptied),
            "discarded": size(discarded) - size(set(discarded)),
            "shrunk": size(shrunk) - size(bytearray(shrunk)),
            "string": size(strings[0]) * 99999, "blob": size(blobs[0]) * 999, "wide": size(wide[0]) * 499},
            "buffer": id(view.obj), "seen": 10}
    return planted, after


def array_views():
    """Ten numbers of ten million, a row of a table, and a view of an array that has a name."""
    import numpy
    ten = numpy.zeros(10 ** 7)[:10]
    row = numpy.zeros((1000, 500), dtype=numpy.int32)[3]
    named = numpy.zeros(10 ** 6)
    part = named[:5]
    through = numpy.frombuffer(bytes(4 << 20), dtype=numpy.uint8)[:100]

    def bytes_of(base):
        """What is behind an array and a memoryview, as the version of numpy has them."""
        while not isinstance(base, bytes):
            base = base.obj if isinstance(base, memoryview) else base.base
        return base
    return ({"ten": ten, "row": row, "named": named, "part": part, "through": through},
            lambda: {"bases": [id(ten.base), id(row.base)], "through": id(bytes_of(through.base))})


STATES = [array_views, waste, list_dropped, survivors, free_lists, lru_cache]


def main():
    state = {f.__name__: f for f in STATES}[sys.argv[3]]
    planted, after = state()
    oracle.finish(planted, after)
    oracle.leave()


main()
