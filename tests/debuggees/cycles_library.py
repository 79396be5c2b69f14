"""Garbage in cycles through objects of the standard library's C and Python modules."""
import array
import collections
import contextlib
import csv
import ctypes
import datetime
import decimal
import enum
import functools
import gc
import io
import itertools
import json
import operator
import random
import re
import sqlite3
import string
import struct
import sys
import threading
import types
import unittest.mock
import weakref
import xml.dom.minidom
import xml.etree.ElementTree as ElementTree
import zlib

import oracle


class Holder(object):
    def __init__(self, i):
        self.i = i
        self.me = self


class Keyed(object):
    table = weakref.WeakKeyDictionary()


def functional(i):
    h = Holder(i)
    h.partial = functools.partial(print, h, k=h)
    h.cached = functools.lru_cache(maxsize=4)(lambda x: h)
    h.cached(1), h.cached(2)
    h.unbounded = functools.lru_cache(maxsize=None)(lambda x: h)
    h.unbounded(1)
    h.key = functools.cmp_to_key(lambda a, b: h)
    h.keyed = h.key([h])
    h.method = functools.partialmethod(h.cached, h)
    h.single = functools.singledispatch(lambda x: h)
    h.operators = [operator.itemgetter(i), operator.attrgetter("me.i"), operator.methodcaller("m", h)]
    h.reduced = functools.reduce(lambda a, b: [a, h], [1, 2])


def iterating(i):
    h = Holder(i)
    rows = [h, [h]]
    h.iterators = [itertools.chain(rows, [h]), itertools.chain.from_iterable([rows]), itertools.cycle(rows),
                   itertools.repeat(h), itertools.count(i, 2), itertools.islice(rows, 1), itertools.product(rows, rows),
                   itertools.permutations(rows), itertools.combinations(rows, 1), itertools.groupby(rows, lambda x: h),
                   itertools.starmap(print, rows), itertools.takewhile(bool, rows), itertools.dropwhile(bool, rows),
                   itertools.zip_longest(rows, [1], fillvalue=h), itertools.compress(rows, [1]), itertools.accumulate([h]),
                   itertools.filterfalse(None, rows)] + list(itertools.tee(rows))
    for it in h.iterators:
        if i % 2 and not isinstance(it, (itertools.starmap,)):
            next(it, None)
    if hasattr(itertools, "pairwise"):
        h.iterators.append(itertools.pairwise(rows))


def collecting(i):
    h = Holder(i)
    h.deque = collections.deque([h, i] * 70)
    h.ordered = collections.OrderedDict(h=h, i=[i])
    h.ordered.move_to_end("h")
    h.default = collections.defaultdict(lambda: h, a=h)
    h.chained = collections.ChainMap({"h": h}, h.default)
    h.counter = collections.Counter([h])
    h.pair = collections.namedtuple("Made%d" % i, "a b")(h, h)
    h.views = [h.ordered.keys(), iter(h.ordered.items()), iter(h.deque), reversed(h.deque)]
    h.user = collections.UserDict(h=h)
    h.array = array.array("d", [i])
    h.named = types.SimpleNamespace(h=h)
    h.enum = enum.Enum("Made%d" % i, "A B C")
    h.flags = [h.enum.A, h.enum]


def weak(i):
    h = Holder(i)
    h.ref = weakref.ref(h)
    h.callback = weakref.ref(h, lambda r, h=[h]: h)
    h.proxy = weakref.proxy(h)
    h.values = weakref.WeakValueDictionary(a=h)
    h.keys = weakref.WeakKeyDictionary({h: [h]})
    h.set = weakref.WeakSet([h])
    h.method = weakref.WeakMethod(h.__init__)
    other = Holder(i)
    other.ref = weakref.ref(h)


def foreign(i):
    h = Holder(i)

    class Point(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int), ("next", ctypes.c_void_p)]
    h.point = Point(i, None)
    h.point.owner = h
    h.pointer = ctypes.pointer(h.point)
    h.array = (Point * 3)()
    h.object = ctypes.py_object(h)
    h.function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x, h=h: x)
    h.buffer = ctypes.create_string_buffer(40)
    h.cast = ctypes.cast(h.buffer, ctypes.c_char_p)


def database(i):
    h = Holder(i)
    h.db = sqlite3.connect(":memory:")
    h.db.execute("create table t(a, b)")
    h.db.executemany("insert into t values (?, ?)", [(n, "n") for n in range(5)])
    h.db.row_factory = sqlite3.Row
    h.db.create_function("f", 1, lambda x, h=h: h.i)
    h.cursor = h.db.execute("select * from t")
    h.rows = h.cursor.fetchmany(2)


def documents(i):
    h = Holder(i)
    h.tree = ElementTree.fromstring("<a b='c'><d>x</d><e/></a>")
    h.tree.append(ElementTree.Element("f", {"i": str(i)}))
    h.dom = xml.dom.minidom.parseString("<a b='c'><d>x</d><e/></a>")
    h.found = h.tree.iter("d")
    h.parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder())
    if hasattr(h.parser, "__dict__"):
        h.parser.h = h


def mocks(i):
    h = Holder(i)
    m = unittest.mock.MagicMock(name="service")
    m.connect.return_value.cursor.side_effect = [1, h, ValueError("x")]
    m.connect().cursor()
    m.a.b.c(1, k=[h])
    h.mock = m
    h.call = unittest.mock.call(h, m)
    h.patch = unittest.mock.patch.object(h, "i", m)
    h.spec = unittest.mock.create_autospec(lambda a, b: h)


def assorted(i):
    h = Holder(i)
    h.match = re.match("(?P<a>x)(y)?", "xy")
    h.pattern = re.compile("%d+" % i)
    h.scanner = h.pattern.scanner("xyz")
    h.lock = threading.Lock()
    h.rlock = threading.RLock()
    h.condition = threading.Condition(h.lock)
    h.event = threading.Event()
    h.event.h = h
    h.local = threading.local()
    h.local.h = h
    h.decimal = decimal.Decimal("1.%d" % i)
    h.context = decimal.Context(prec=5)
    h.when = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(0)))
    h.random = random.Random(i)
    h.struct = struct.Struct("<iq")
    h.zlib = zlib.compressobj()
    h.encoder = json.JSONEncoder(default=lambda o: h)
    h.encode = json.encoder.c_make_encoder and h.encoder.iterencode
    h.decoder = json.JSONDecoder(object_hook=lambda o: h)
    h.reader = csv.reader(["a,b"])
    h.template = string.Template("$a")
    h.stack = contextlib.ExitStack()
    h.stack.callback(print, h)
    h.suppress = contextlib.suppress(ValueError)
    h.view = memoryview(bytearray(100))
    h.text = io.StringIO("text") if i % 2 else None
    h.bytes = io.BytesIO(b"bytes")


def main():
    gc.collect()
    gc.disable()
    kept = Holder("kept")
    kept.table = {"h": kept}
    callbacks = []
    for section in (functional, iterating, collecting, weak, foreign, database, documents, mocks, assorted):
        for i in range(6):
            section(i)
    watched = Holder("watched")
    watchers = weakref.WeakValueDictionary(watched=watched)
    ref = weakref.ref(watched, callbacks.append)
    key = Holder("key")
    Keyed.table[key] = [1]
    del watched, key
    oracle.finish({"kept": kept, "ref": ref, "watchers": watchers, "sections": sys.modules[__name__].__dict__})


main()
