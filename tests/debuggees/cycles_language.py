"""Garbage in cycles of everything the language itself makes; no finalizers."""
import gc
import sys
import types

import oracle


class Node(object):
    def __init__(self, tag):
        self.tag = tag


class Slotted(object):
    __slots__ = ("other", "tag", "__weakref__")


class Both(Slotted):
    __slots__ = ("third", "__dict__")


class Rows(list):
    pass


class Table(dict):
    pass


class Pair(tuple):
    pass


class Group(set):
    pass


class Number(int):
    pass


class Failure(Exception):
    pass


class Meta(type):
    def __new__(meta, name, bases, namespace):
        cls = super().__new__(meta, name, bases, namespace)
        cls.registry = [cls]
        return cls


def nodes(i):
    a, b = Node(i), Node("b%d" % i)
    a.partner, b.partner = b, a
    ring = [Node(n) for n in range(5)]
    for n, node in enumerate(ring):
        node.next = ring[(n + 1) % 5]
        node.unused = {"payload": [i], "text": "text %d" % i}
    alone = Node(i)
    alone.me = alone


def slots(i):
    a, b = Slotted(), Both()
    a.other, b.other, a.tag = b, a, i
    b.third = [a, b]
    b.extra = (a, b, i)


def containers(i):
    rows = [1, i]
    rows.append(rows)
    table = {"a": i}
    table["me"] = table
    keyed = {}
    keyed[(i, Node(keyed))] = [keyed]
    group = Group()
    group.add(Node(group))
    frozen = Node(i)
    frozen.group = frozenset([frozen, i])
    held = []
    held.append((held, "deep", (held, (held, i))))
    mine = Rows([i])
    mine.append(mine)
    mine.attribute = Table(me=mine)
    pair = Pair(([], i))
    pair[0].append(pair)
    number = Number(i)
    number.owner = [number]
    array = slice([i], None)
    array.start.append(array)
    viewed = bytearray(b"x" * i)
    holder = [memoryview(viewed)]
    holder.append(holder)


def classes(i):
    """Every class is a cycle with itself."""
    class Local(object):
        field = [i]

        def method(self):
            return Local

        @property
        def prop(self):
            return __class__

        @classmethod
        def made(cls):
            return cls()

        @staticmethod
        def static():
            return i

    class Derived(Local, Node):
        __slots__ = ("a", "b")

        def method(self):
            return super().method()

    derived = Derived(i)
    derived.a = Derived
    derived.cls = [Local, Derived]
    Made = Meta("Made", (Node,), {"z": i})
    Made.instance = Made(i)
    type("Dynamic%d" % i, (), {"n": i})


def closures(i):
    def outer(v):
        w = [v]

        def inner(x=w):
            return v, w, inner, outer
        return inner
    outer(i)

    def recursive(n):
        return recursive(n - 1) if n else i
    node = Node(i)
    node.callback = lambda: node.tag
    node.method = node.__init__
    node.builtin = [].append
    node.bound = node.builtin.__self__.append(node)
    node.wrapper = node.__str__
    node.super = super(Node, node)
    node.defaults = [lambda x=node, *, y=node: (x, y)]
    function = types.FunctionType((lambda: 0).__code__, {"__builtins__": {}, "i": [i]})
    function.__globals__["f"] = function
    function.attribute = [function]
    module = types.ModuleType("made%d" % i)
    module.me = module
    module.function = types.FunctionType((lambda: 0).__code__, module.__dict__)


def raising(node, depth):
    local = [node, depth]
    if depth:
        raising(node, depth - 1)
    raise Failure("deep", local)


def exceptions(i):
    node = Node(i)
    try:
        raising(node, i % 4)
    except Failure as e:
        node.error = e
    try:
        try:
            raising(node, 1)
        except Failure as e:
            raise KeyError(node) from e
    except KeyError as e:
        node.chained = [e]
    try:
        try:
            int("x")
        except ValueError as e:
            node.context = e
            undefined_name
    except NameError as e:
        node.name_error = e
    error = Failure(i)
    error.args = (error, i)
    missing = OSError(2, "no", "file")
    missing.filename = [missing]
    stopped = StopIteration([i])
    stopped.value.append(stopped)
    try:
        raise Failure
    except Failure:
        node.frame = sys.exc_info()[2].tb_frame if i % 2 else sys._getframe()
        node.frames = [sys._getframe()]


def iterators(i):
    rows = [i]
    rows += [iter(rows), reversed(rows), enumerate(rows), zip(rows, rows), map(str, rows), filter(None, rows)]
    table = {"a": rows}
    table["views"] = [table.keys(), table.values(), table.items(), iter(table), iter(table.items())]
    rows.append(table)
    group = {i}
    node = Node(group)
    group.add(node)
    node.iterator = iter(group)
    node.callable = iter(lambda: node, None)
    node.tuple = iter((node, i))
    node.index = iter(Rows([node]))


def generics(i):
    """Newer syntax, where there is any."""
    node = Node(i)
    node.namespace = types.SimpleNamespace(node=node, i=i)
    node.proxy = types.MappingProxyType({"node": node})
    if sys.version_info >= (3, 9):
        node.alias = list[Node]
        node.own = types.GenericAlias(Node, (node,))
    if sys.version_info >= (3, 10):
        node.union = int | str
    if sys.version_info >= (3, 12):
        exec("class G[T]:\n  def m[U](self, x: T) -> U: return G\ntype A = list[A]\nnode.g = G[int]()\nnode.g.n = node\n"
             "node.a = A\ndef f[T](x: T): return f\nf.n = node\n", {"node": node})
    if sys.version_info >= (3, 11):
        exec("node.group = ExceptionGroup('g', [ValueError(node)])", {"node": node})


def alive():
    a, b = Node("kept"), Node("kept too")
    a.partner, b.partner = b, a
    a.table = {"b": b, "rows": [a, (b, a)]}
    return a


def alive_with_a_module():
    a, b = Node("in a module"), Node("in a module too")
    a.partner, b.partner = b, a
    a.module = types.ModuleType("within")
    a.module.node = a
    return a


def main():
    sections = [nodes, slots, containers, classes, closures, exceptions, iterators, generics]
    gc.collect()
    gc.disable()
    kept, within = alive(), alive_with_a_module()
    for section in sections[:4]:
        for i in range(12):
            section(i)
    gc.collect(0)  # they keep all garbage of cycles too: nothing is left of it
    old = []
    for i in range(10):
        nodes_of = [Node(i), Node(i)]
        nodes_of[0].partner, nodes_of[1].partner = nodes_of[1], nodes_of[0]
        old.append(nodes_of)
    gc.collect(0)
    gc.collect(1)
    del old[:], nodes_of  # garbage that is old by now
    for section in sections:
        for i in range(12):
            section(i)
    oracle.finish({"kept": kept})


main()
