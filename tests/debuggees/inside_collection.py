"""Frozen while a collection runs: inside a finalizer that the collector calls.

The generation being collected is off its list then; every object is still there, and
the truths are counted by the program, not by gc.get_objects()."""
import gc
import sys

import oracle


class Dying(object):
    """Garbage in cycles; the first one to die freezes the process."""
    frozen = False

    def __init__(self, n):
        self.n = n
        self.me = self

    def __del__(self):
        if not Dying.frozen:
            Dying.frozen = True
            oracle.finish({"survivors": SURVIVORS, "dying": self, "class": Dying},
                          lambda: {"collecting": True, "dying": COUNT, "surviving": len(SURVIVORS)})


class Survivor(object):
    pass


COUNT = 20
SURVIVORS = [Survivor() for _ in range(75)]
gc.collect()
gc.disable()
for number in range(COUNT):
    Dying(number)
gc.collect()
sys.exit(0 if Dying.frozen else 4)
