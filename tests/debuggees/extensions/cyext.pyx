# cython: language_level=3
"""What Cython makes: extension types with and without a base, closures, generators, coroutines."""

cdef class Node:
    cdef public object left, right
    cdef public list items
    cdef dict extra
    cdef Node parent
    cdef int n

    def __init__(self, left=None, right=None, parent=None):
        self.left, self.right, self.parent = left, right, parent
        self.items = [left]
        self.extra = {"a": [1]}


cdef class Leaf(Node):
    cdef object value
    cdef object __weakref__

    def __init__(self, value):
        Node.__init__(self, value)
        self.value = [value]


cdef class Plain:
    cdef long n


def make(x, y=[2]):
    def inner(z):
        return x, y, z
    return inner


def gen(x):
    y = [x]
    for i in range(10):
        yield y


async def co(x):
    return x


class Python:
    def method(self):
        return self


def planted():
    nodes = [Node([i], (i, [i])) for i in range(300)]
    nodes += [Node(None, None, n) for n in nodes[:100]] + [Leaf([i]) for i in range(300)] + [Plain()]
    generators = [gen([i]) for i in range(5)]
    for g in generators[1:]:
        next(g)
    return nodes, generators, [make([1]), make], [co([1])], [Python(), Python().method], [memoryview(b"abc")]
