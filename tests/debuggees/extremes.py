"""extremes.py [OUTDIR] COUNT deep|wide: a list nested COUNT deep, or one dict of COUNT entries,
timed by CPython; then wait, and dump core. Prints one line of JSON."""
import gc
import json
import os
import sys
import time


def main():
    count, shape = int(sys.argv[-2]), sys.argv[-1]
    gc.disable()
    planted = innermost = []
    if shape == "deep":
        for i in range(count - 1):
            planted = [planted]
    else:
        planted = dict.fromkeys(range(count), innermost)
    gc.enable()
    gc.collect()
    start, cpu = time.perf_counter(), time.process_time()
    gc.collect()
    print(json.dumps({"version": sys.version.split()[0], "pid": os.getpid(), "planted": id(planted),
                      "innermost": id(innermost), "collect": time.perf_counter() - start,
                      "collect_cpu": time.process_time() - cpu}))
    sys.stdout.flush()
    sys.stdin.readline()
    os.abort()


main()
