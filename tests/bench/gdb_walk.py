"""Inside gdb: walk COUNT nodes of a gc list from START the way a script does it,
with gdb's values, and count the types."""
import time

import gdb


def main(start, count):
    word = gdb.lookup_type("long")
    pointer = word.pointer()
    types = {}
    node = gdb.Value(start).cast(pointer)
    began = time.perf_counter()
    for done in range(1, count + 1):
        type_address = int(node[3])
        types[type_address] = types.get(type_address, 0) + 1
        node = gdb.Value(int(node[0]) & ~3).cast(pointer)
    took = time.perf_counter() - began
    print("walked %d %f" % (done, took))


main(int(gdb.parse_and_eval("$walk_start")), int(gdb.parse_and_eval("$walk_count")))
