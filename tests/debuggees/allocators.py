"""A heap with something to say about its allocator, named by the third argument."""
import os
import sys
import threading

import oracle


def again_with(allocator):
    """Run this program once more under PYTHONMALLOC=allocator, unless it already is."""
    if os.environ.get("PYTHONMALLOC") != allocator:
        os.environ["PYTHONMALLOC"] = allocator
        os.execv(sys.executable, [sys.executable] + sys.argv)


def work():
    """Objects of many sizes, of which every third survives."""
    rows = [bytes(i % 600) for i in range(30000)]
    kept = rows[::3]
    tables = [{str(k): [k] for k in range(i % 40)} for i in range(2000)]
    return {"kept": kept, "tables": tables[::2]}


def debug():
    again_with("debug")
    return work()


def malloc():
    again_with("malloc")
    return work()


def mimalloc():
    again_with("mimalloc")
    return work()


def threads():
    """Three threads that hold objects of their own and wait."""
    ready = []
    stop = threading.Event()

    def hold(n):
        mine = [(n, i, str(i)) for i in range(5000)]
        ready.append(n)
        stop.wait()
        return mine
    for n in range(3):
        t = threading.Thread(target=hold, args=(n,))
        t.daemon = True
        t.start()
    while len(ready) < 3:
        pass
    return work()


def isolated():
    """Interpreters with a GIL and arenas of their own."""
    try:
        import _interpreters as interpreters
        made = [interpreters.create("isolated") for _ in range(3)]
    except ImportError:
        import _xxsubinterpreters as interpreters
        made = [interpreters.create(isolated=True) for _ in range(3)]
    for identity in made:
        interpreters.run_string(identity, "kept = [str(i) * 3 for i in range(20000)]")
    # what this one does not free counts for ever
    interpreters.destroy(made.pop())
    return dict(work(), made=made)


STATES = [debug, malloc, mimalloc, threads, isolated]


def main():
    state = {f.__name__: f for f in STATES}[sys.argv[3]]
    oracle.finish(state())
    oracle.leave()


main()
