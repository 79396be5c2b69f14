"""The leaks of every article on the subject, ten of each."""
import gc

import oracle


class Node(object):
    def __init__(self, name):
        self.name = name


class Parent(object):
    def __init__(self):
        self.children = [Child(self, i) for i in range(2)]


class Child(object):
    def __init__(self, parent, i):
        self.parent = parent
        self.i = i


class Handler(object):
    """Closes over self."""

    def __init__(self):
        def on_event(event):
            return self, event
        self.on_event = on_event


class Worker(object):
    """Keeps its exception."""

    def run(self):
        try:
            raise ValueError("failed")
        except ValueError as e:
            self.error = e


class Button(object):
    """Keeps lambdas that call it."""

    def __init__(self):
        self.callbacks = []
        self.callbacks.append(lambda: self.click())

    def click(self):
        pass


class Timer(object):
    """Keeps a bound method."""

    def __init__(self):
        self.action = self.fire

    def fire(self):
        pass


def made():
    class Temporary(object):
        def method(self):
            pass


def countdown():
    def step(n):
        return step(n - 1) if n else 0
    step(3)


def samples(i):
    a, b = Node("a%d" % i), Node("b%d" % i)
    a.partner, b.partner = b, a
    eternal_list = []
    eternal_list.append(eternal_list)
    Parent()
    Handler()
    Worker().run()
    Button()
    Timer()
    made()
    countdown()
    ring = [Node(n) for n in range(4)]
    for n in range(4):
        ring[n].next = ring[(n + 1) % 4]
    alone = Node("alone")
    alone.me = alone


gc.collect()
gc.disable()
for number in range(10):
    samples(number)
oracle.finish({})
