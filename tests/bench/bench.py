#!/usr/bin/env python3
"""make bench: heaps of 1 and 10 million objects, and how long a census of each and their
references take as a ratio to what CPython needs for its own answers on the same heap, in the same run.

usage: bench.py [OBJECTS | deep | wide]...; `deep` is a list nested 10 million deep, `wide` one
dict of 50 million entries (needs 5 GB of memory, and as much for its core). PYTHON names the interpreter (default: the python3 in PATH)."""
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
ROUNDS = 5
GDB_NODES = 30000
EXTREMES = {"deep": 10000000, "wide": 50000000}


def build_heap(python, count, directory, *more, program="heap.py"):
    """The facts of the heap, and its core."""
    def unlimited():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    process = subprocess.Popen([python, os.path.join(HERE, program), str(count)] + list(more), cwd=directory,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True,
                               preexec_fn=unlimited)
    facts = json.loads(process.stdout.readline())
    with open("/proc/sys/kernel/core_pattern") as f:
        pattern = f.read().strip()
    if pattern[:1] in "|/" or "/" in pattern:
        subprocess.check_call(["gcore", "-o", os.path.join(directory, "core"), str(process.pid)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process.kill()
        process.wait()
    else:
        process.communicate("\n")
        if process.returncode != -signal.SIGABRT:
            sys.exit("bench: the heap ended with status %d" % process.returncode)
    cores = [n for n in os.listdir(directory) if n.startswith("core")]
    if not cores:
        sys.exit("bench: no core was written to %s (core_pattern is %r)" % (directory, pattern))
    return facts, os.path.join(directory, cores[0])


def timed(argv):
    """Seconds of wall time, our own peak memory (without the pages of the core), output, seconds
    of processor time."""
    peak = [0]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def sample():
        while process.poll() is None:
            try:
                with open("/proc/%d/status" % process.pid) as f:
                    found = re.search(r"RssAnon:\s*(\d+) kB", f.read())
            except OSError:
                return
            if found:
                peak[0] = max(peak[0], int(found.group(1)) * 1024)
            time.sleep(0.002)

    sampler = threading.Thread(target=sample)
    sampler.start()
    out, err = process.communicate()
    took = time.perf_counter() - start
    sampler.join()
    if process.returncode:
        sys.exit("bench: %s: %s" % (" ".join(argv), err.decode()))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, peak[0], out.decode(), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def best(argv):
    runs = [timed(argv) for i in range(ROUNDS)]
    return min(r[0] for r in runs), max(r[1] for r in runs), runs[0][2], min(r[3] for r in runs)


def gdb_rate(facts, core):
    """Objects per second of a script that walks with gdb's values; None without gdb."""
    if not shutil.which("gdb"):
        return None
    count = min(GDB_NODES, facts["tracked"] // 2)
    out = subprocess.run(["gdb", "-nx", "-batch", "-ex", "core-file %s" % core,
                          "-ex", "set $walk_start = %dUL" % facts["start"],
                          "-ex", "set $walk_count = %d" % count,
                          "-x", os.path.join(HERE, "gdb_walk.py")],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True).stdout
    found = re.search(r"walked (\d+) ([\d.]+)", out)
    return int(found.group(1)) / float(found.group(2)) if found else None


def values(out):
    return dict(line.split(None, 1) for line in out.splitlines() if " " in line)


def parts(core, *options):
    return values(timed([os.path.join(BUILD, "tests", "bench", "census_bench"), core] + list(options))[2])


def graph(core):
    """The best of the times of ROUNDS processes, each of which builds the graph for the first
    time; and the peak of memory while it is built."""
    command = [os.path.join(BUILD, "tests", "bench", "graph_bench"), core]
    runs = [timed(command + ["--once"]) for i in range(ROUNDS)]
    best = {}
    for run in runs + [timed(command)]:
        for name, value in values(run[2]).items():
            if name.endswith(("_seconds", "_cpu")):
                best[name] = min(float(value), best.get(name, 1e9))
            else:
                best[name] = value
    return best, max(r[1] for r in runs)


def retention(core):
    """Paths and retained sizes once the references are known, and the peak of memory of it all."""
    run = timed([os.path.join(BUILD, "tests", "bench", "why_bench"), core])
    return {name: float(value) for name, value in values(run[2]).items() if name.endswith("_seconds")}, run[1]


def goal(good):
    return "" if good else "   MISSED"


def report(python, count):
    directory = tempfile.mkdtemp(prefix="pyretain-bench.")
    try:
        facts, core = build_heap(python, count, directory)
        command = [os.path.join(BUILD, "pyretain"), "-c", core]
        took, memory, out, cpu = best(command + ["census", "--json"])
        census = json.loads(out)
        model, model_memory = best(command + ["find", "--type", "^__main__\\.Order$", "--limit", "1"])[:2]
        part = parts(core)
        refs, refs_memory = graph(core)
        held, held_memory = retention(core)
        gdb = gdb_rate(facts, core)
    finally:
        shutil.rmtree(directory)
    objects = census["objects"]
    mine = {t["type"]: t for t in census["types"]}["__main__.Order"]
    if mine["count"] != facts["orders"] or mine["gc_count"] != facts["orders"]:
        sys.exit("bench: %d orders were counted as %d" % (facts["orders"], mine["count"]))
    # what CPython counted, and what it made to tell us
    if abs(census["gc_objects"] - facts["tracked"]) > 64:
        sys.exit("bench: gc.get_objects() has %d objects, we found %d" % (facts["tracked"], census["gc_objects"]))
    per_object = (refs_memory - 9 * int(refs["references"])) / float(refs["objects"])
    blocks, nodes = float(part["blocks_per_second"]), float(part["nodes_per_second"])
    load = os.getloadavg()[0]
    cores = len(os.sched_getaffinity(0))
    print("CPython %s, %.2f M objects of which %.2f M tracked, %d worker(s)%s" % (
        facts["version"], objects / 1e6, census["gc_objects"] / 1e6, cores,
        "; THE MACHINE IS BUSY (load %.1f): wall times mean little" % load if load > cores + 1 else ""))
    rows = [
        ("census, whole process", "%.3f s" % took, ""),
        ("  / second gc.collect() (%.3f s)" % facts["collect"], "%.2f" % (took / facts["collect"]),
         "goal <= 0.20 at 10 M" + (goal(took <= 0.2 * facts["collect"]) if count >= 10000000 else "")),
        ("  processor time (%.3f s) / that of gc.collect() (%.3f s)" % (cpu, facts["collect_cpu"]),
         "%.2f" % (cpu / facts["collect_cpu"]), "%d cores share ours" % cores if cores > 1 else ""),
        ("  / gc.get_objects() + Counter (%.3f s)" % facts["counter"], "%.2f" % (took / facts["counter"]), ""),
        ("  our peak memory per object", "%.1f B" % (memory / objects), "goal <= 32" + goal(memory / objects <= 32)),
        ("heap model (find), whole process", "%.3f s" % model, ""),
        ("  our peak memory per object", "%.1f B" % (model_memory / objects),
         "goal <= 32" + goal(model_memory / objects <= 32 or count < 10000000)),
        ("references (%s M), out" % round(int(refs["references"]) / 1e6, 1), "%.3f s" % refs["first_out_seconds"], ""),
        ("references, both ways", "%.3f s" % refs["first_seconds"], ""),
        ("  / second gc.collect()", "%.2f" % (refs["first_seconds"] / facts["collect"]),
         "goal <= 0.40 at 10 M" + (goal(refs["first_seconds"] <= 0.4 * facts["collect"]) if count >= 10000000 else "")),
        ("  processor time (%.3f s) / that of gc.collect()" % refs["first_cpu"],
         "%.2f" % (refs["first_cpu"] / facts["collect_cpu"]), "%d cores share ours" % cores if cores > 1 else ""),
        ("  our peak memory per object, beside 9 B per reference", "%.1f B" % per_object,
         "goal <= 32" + goal(per_object <= 32 or count < 10000000)),
        ("dominators, once there are references / gc.collect()",
         "%.2f" % (refs["dominators_seconds"] / facts["collect"]),
         "goal <= 2" + goal(refs["dominators_seconds"] <= 2 * facts["collect"])),
        ("retained sizes of all objects, once there are references / gc.collect()",
         "%.2f" % (held["retained_seconds"] / facts["collect"]),
         "goal <= 2" + goal(held["retained_seconds"] <= 2 * facts["collect"])),
        ("  peak memory per object, beside 9 B per reference",
         "%.1f B" % ((held_memory - 9 * int(refs["references"])) / float(refs["objects"])), ""),
        ("one why, once there are references: mean", "%.3f ms" % (held["why_seconds"] * 1e3), ""),
        ("  the slowest of 2,000", "%.3f ms" % (held["why_most_seconds"] * 1e3),
         "goal <= 100" + goal(held["why_most_seconds"] <= 0.1)),
        ("the paths of all objects / gc.collect()", "%.2f" % (held["tree_seconds"] / facts["collect"]), ""),
        ("arena scan, one core", "%.0f M blocks/s" % (blocks / 1e6), "goal >= 80" + goal(blocks >= 80e6)),
        ("gc list walk, one core", "%.0f M objects/s" % (nodes / 1e6), "goal >= 10" + goal(nodes >= 10e6)),
    ]
    if gdb:
        rows.append(("a walk with gdb's Python values", "%.2f M objects/s" % (gdb / 1e6),
                     "census: %.0f times faster" % (objects / took / gdb)))
    else:
        rows.append(("a walk with gdb's Python values", "not measured", "no gdb here, or it failed"))
    for name, value, note in rows:
        print("  %-62s %18s   %s" % (name, value, note))
    sys.stdout.flush()


def report_extreme(python, shape):
    """What must take no more than any heap of its size: no recursion, no quadratic step."""
    directory = tempfile.mkdtemp(prefix="pyretain-bench.")
    try:
        facts, core = build_heap(python, EXTREMES[shape], directory, shape, program="../debuggees/extremes.py")
        took, memory, out, cpu = timed([os.path.join(BUILD, "tests", "bench", "graph_bench"), core])
        refs = values(out)
        why = timed([os.path.join(BUILD, "pyretain"), "-c", core, "why", "0x%x" % facts["innermost"]])
        first = timed([os.path.join(BUILD, "pyretain"), "-c", core, "dominators", "--limit", "1"])
    finally:
        shutil.rmtree(directory)
    print("CPython %s, %s: %.2f M objects, %.2f M references, gc.collect() %.3f s" % (
        facts["version"], shape, int(refs["objects"]) / 1e6, int(refs["references"]) / 1e6, facts["collect"]))
    for name, value in (("references, both ways", refs["first_seconds"]), ("dominators", refs["dominators_seconds"]),
                        ("why, whole process", why[0]), ("dominators, whole process", first[0])):
        print("  %-62s %17.3f s" % (name, float(value)))
    sys.stdout.flush()


def main():
    python = os.environ.get("PYTHON") or shutil.which("python3")
    for what in sys.argv[1:] or ["1000000", "10000000"]:
        if what in EXTREMES:
            report_extreme(python, what)
        else:
            report(python, int(what))


if __name__ == "__main__":
    main()
