#!/usr/bin/env python3
"""make bench: what gc.collect() would free, in a heap of 10 million containers of which 30 % are garbage,
as a ratio to CPython's own gc.collect() with nothing left to free, in the same run.

usage: cycles_bench.py [CONTAINERS]; PYTHON names the interpreter (default: the python3 in PATH)."""
import json
import os
import shutil
import sys
import tempfile

import bench

GARBAGE = 0.3
CONTAINERS = 0.58  # of all objects of heap.py
ROUNDS = 3


def main():
    python = os.environ.get("PYTHON") or shutil.which("python3")
    count = int((int(sys.argv[1]) if sys.argv[1:] else 10000000) / CONTAINERS)
    directory = tempfile.mkdtemp(prefix="pyretain-bench.")
    try:
        facts, core = bench.build_heap(python, count, directory, "0", str(GARBAGE))
        command = [os.path.join(bench.BUILD, "pyretain"), "-c", core]
        bench.timed(command + ["census"])  # the page cache holds it now
        runs = [bench.timed(command + ["cycles"]) for _ in range(ROUNDS)]
        answer = json.loads(bench.timed(command + ["cycles", "--json", "--limit", "1"])[2])
        info = json.loads(bench.timed(command + ["info", "--json"])[2])
    finally:
        shutil.rmtree(directory)
    group = answer["groups"][0]
    if group["count"] != facts["garbage"]:
        sys.exit("bench: %d orders are garbage, %d cycles were found" % (facts["garbage"], group["count"]))
    took, cpu = min(r[0] for r in runs), min(r[3] for r in runs)
    memory = max(r[1] for r in runs)
    objects, references = info["objects"], info["references"] or 0
    budget = 32 * objects + 5 * references
    print("CPython %s, %.2f M objects of which %.2f M tracked, %.2f M of them unreachable" % (
        facts["version"], objects / 1e6, facts["tracked"] / 1e6, answer["unreachable"] / 1e6))
    rows = [
        ("cycles, whole process", "%.3f s" % took, ""),
        ("  / second gc.collect() (%.3f s)" % facts["collect"], "%.2f" % (took / facts["collect"]),
         "goal <= 0.5" + bench.goal(took <= 0.5 * facts["collect"])),
        ("  processor time (%.3f s) / that of gc.collect() (%.3f s)" % (cpu, facts["collect_cpu"]),
         "%.2f" % (cpu / facts["collect_cpu"]), ""),
        ("  our peak memory", "%.1f B per object" % (memory / objects),
         "32 B per object and 5 B per reference are %.1f B%s" % (
             budget / objects, bench.goal(memory <= budget)) if references else ""),
    ]
    for name, value, note in rows:
        print("  %-62s %18s   %s" % (name, value, note))
    sys.stdout.flush()


main()
