#!/usr/bin/env python3
"""make bench: where the memory went, of a heap of 10 million objects as a ratio to CPython's own
gc.collect() on it, and of a core of 4 GiB in the page cache as bytes a second.

usage: memory_bench.py [OBJECTS]; PYTHON names the interpreter (default: the python3 in PATH)."""
import json
import os
import shutil
import sys
import tempfile

import bench

COMMANDS = ("memory", "memory --quick", "malloc")
GIB = 1 << 30


def measure(python, count, *more):
    """{command: seconds}, the facts of the heap, the core's size and what `memory` answered."""
    directory = tempfile.mkdtemp(prefix="pyretain-bench.")
    try:
        facts, core = bench.build_heap(python, count, directory, *more)
        command = [os.path.join(bench.BUILD, "pyretain"), "-c", core]
        size = os.stat(core).st_blocks * 512
        bench.timed(command + ["memory", "--json"])  # the page cache holds it now
        took, answer = {}, None
        for name in COMMANDS:
            took[name], _, out, _ = bench.best(command + name.split() + ["--json"])
            answer = answer or json.loads(out)
    finally:
        shutil.rmtree(directory)
    if sum(row["bytes"] for row in answer["rows"]) != answer["total"]:
        sys.exit("bench: the rows of memory do not add up")
    return took, facts, size, answer


def show(rows):
    for name, value, note in rows:
        print("  %-62s %18s   %s" % (name, value, note))
    sys.stdout.flush()


def main():
    python = os.environ.get("PYTHON") or shutil.which("python3")
    count = int(sys.argv[1]) if sys.argv[1:] else 10000000
    took, facts, size, answer = measure(python, count)
    print("CPython %s, %.1f M objects, a core of %.2f GiB" % (facts["version"], count / 1e6, size / GIB))
    show([("%s, whole process" % name, "%.3f s" % took[name],
           "%.2f of a second gc.collect() (%.3f s)" % (took[name] / facts["collect"], facts["collect"]) +
           (", goal <= 2" + bench.goal(took[name] <= 2 * facts["collect"]) if name == "memory" else ""))
          for name in COMMANDS])
    took, facts, size, answer = measure(python, count, str(max(0, 4096 - (size >> 20)) + 8))
    print("the same with buffers beside it, a core of %.2f GiB in the page cache" % (size / GIB))
    show([("%s, whole process" % name, "%.2f GiB/s" % (answer["total"] / GIB / took[name]),
           "%.3f s" % took[name] +
           (", goal >= 1 GiB/s" + bench.goal(answer["total"] >= GIB * took[name]) if name == "memory" else ""))
          for name in COMMANDS])


main()
