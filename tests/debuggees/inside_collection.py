"""Frozen while a collection runs. The third argument says where: inside a finalizer that
the collector calls (the default), in a callback of gc.callbacks before it begins or
after it is over, or `native`: it tells a debugger with SIGUSR1 that it is about to collect.

The generation being collected is off its list then; every object is still there, and
the truths are counted by the program, not by gc.get_objects(). `found` is what the
collection finds unreachable."""
import gc
import json
import os
import signal
import sys

import oracle

WHERE = sys.argv[3] if len(sys.argv) > 3 else "finalizer"
COUNT = 20


class Node(object):
    """Garbage in cycles."""

    def __init__(self, n):
        self.n = n
        self.me = self
        self.rows = [self, {"n": [n]}]


class Dying(Node):
    """The first one to die freezes the process."""
    frozen = False

    def __del__(self):
        if not Dying.frozen:
            Dying.frozen = True
            freeze({"survivors": SURVIVORS, "dying": self, "class": Dying})


class Survivor(object):
    pass


def freeze(planted):
    oracle.finish(planted, lambda: {"collecting": True, "dying": COUNT, "surviving": len(SURVIVORS), "found": FOUND})


def in_callback(phase, info):
    if phase == WHERE:
        Dying.frozen = True
        freeze({"survivors": SURVIVORS})


def make(number):
    """One piece of garbage, and the addresses of all that is tracked of it."""
    node = (Dying if WHERE == "finalizer" else Node)(number)
    parts = [node, node.rows, node.rows[1], node.rows[1]["n"]]
    if sys.version_info < (3, 11):
        parts.append(node.__dict__)
    return [id(part) for part in parts]


SURVIVORS = [Survivor() for _ in range(75)]
FOUND = []
gc.collect()
gc.disable()
for count in range(COUNT):
    FOUND.extend(make(count))
if WHERE in ("start", "stop"):
    gc.callbacks.append(in_callback)
if WHERE == "native":
    with open(os.path.join(sys.argv[1], "oracle.json"), "w") as f:
        f.write(json.dumps({"found": FOUND}))  # dump() would leave garbage of its own
    os.kill(os.getpid(), signal.SIGUSR1)
gc.collect()
sys.exit(0 if Dying.frozen else 4)
