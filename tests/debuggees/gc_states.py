"""The collector in one of its states, named by the third argument (see STATES)."""
import gc
import sys
import weakref

import oracle


class Node(object):
    def __init__(self, tag):
        self.tag = tag
        self.me = self


class Stubborn(object):
    """Resurrects itself once."""
    back = []

    def __init__(self):
        self.me = self

    def __del__(self):
        self.back.append(self)


def populations():
    """Known numbers in each generation: 300 old, 200 middle, 100 young."""
    gc.disable()
    gc.collect()
    old = [Node("old") for _ in range(300)]
    gc.collect(1)
    gc.collect(1)
    gc.collect(2)
    middle = [Node("middle") for _ in range(200)]
    gc.collect(0)
    young = [Node("young") for _ in range(100)]
    return {"old": old, "middle": middle, "young": young, "nodes": old + middle + young}


def frozen():
    gc.collect()
    gc.disable()
    before = [Node("frozen") for _ in range(150)]
    for _ in range(30):
        Node("frozen garbage")
    if hasattr(gc, "freeze"):
        gc.freeze()
    gc.enable()
    after = [Node("after") for _ in range(50)]
    return {"before": before, "after": after}


def disabled():
    gc.disable()
    gc.set_threshold(123, 45, 6)
    for _ in range(400):
        Node("garbage, never collected")
    return {"kept": [Node("kept")]}


def saveall():
    gc.collect()
    for _ in range(25):
        Node("saved")
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL | gc.DEBUG_UNCOLLECTABLE)
    return {"garbage": gc.garbage, "one": gc.garbage[0]}


def thresholds():
    gc.set_threshold(10, 3, 2)
    kept = [[Node(i), {"n": [i]}] for i in range(2000)]
    return {"kept": kept}


def threshold_zero():
    gc.set_threshold(0)
    kept = [Node(i) for i in range(1500)]
    return {"kept": kept}


def resurrected():
    for _ in range(10):
        Stubborn()
    gc.collect()
    calls = []
    gc.callbacks.append(lambda phase, info: calls.append((phase, dict(info))))
    gc.collect(1)
    target = Node("weakly held")
    reference = weakref.ref(target, calls.append)
    return {"back": Stubborn.back, "calls": calls, "reference": reference, "target": target}


def large():
    """Three hundred thousand objects: many arenas, long lists."""
    return {"rows": [{"id": i, "tags": [str(i)]} for i in range(100000)]}


STATES = [populations, frozen, disabled, saveall, thresholds, threshold_zero, resurrected, large]


def main():
    state = {f.__name__: f for f in STATES}[sys.argv[3]]
    oracle.finish(state())


main()
