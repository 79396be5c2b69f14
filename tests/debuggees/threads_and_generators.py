"""Threads at known places, generators half way, locals planted; the process itself is the target."""
import sys
import threading
import time

import oracle


class Marker(object):
    def __init__(self, name):
        self.name = name


PLANTED = {}
EVENT = threading.Event()


def plant(name):
    o = PLANTED[name] = Marker(name)
    return o


def generator(n):
    in_generator = plant("in_generator_%d" % n)
    for step in range(10):
        yield in_generator, step


def outer_generator():
    in_outer = plant("in_outer")
    yield from generator(99)
    return in_outer


def recurse(depth, marker):
    if depth:
        return recurse(depth - 1, marker)
    EVENT.wait()  # the innermost Python line of the recursing thread
    return marker


def worker(number):
    local_marker = plant("worker_%d" % number)
    here = {"number": number}

    def inner(argument):
        cell_user = local_marker
        try:
            EVENT.wait()
        finally:
            del cell_user
        return argument, here

    return inner([number])


def deep():
    return recurse(40, plant("deep_argument"))


def sleeper():
    planted_sleep = plant("sleeper")
    time.sleep(3600)
    return planted_sleep


def main():
    running = []
    for target, args, name in ((worker, (1,), "worker-one"), (worker, (2,), "worker-two"),
                               (deep, (), "deep-thread"), (sleeper, (), "r\u00e9veil")):
        t = threading.Thread(target=target, args=args, name=name)
        t.daemon = True
        t.start()
        running.append(t)
    generators = [generator(i) for i in range(3)]
    for g in generators:
        next(g)
        next(g)
    delegating = outer_generator()
    next(delegating)
    finished = generator(50)
    for _ in finished:
        pass
    main_local = plant("main_local")
    time.sleep(0.3)
    PLANTED.update(generator_0=generators[0], delegating=delegating, finished=finished, main_list=[main_local])
    oracle.block(PLANTED, lambda: {
        "suspended": {"generator_0": {"line": generators[0].gi_frame.f_lineno, "function": "generator"},
                      "delegating": {"line": delegating.gi_frame.f_lineno, "function": "outer_generator"}}})


main()
sys.exit(0)
