"""More than a hundred types, an object or more of each, for sizes and reprs."""
import array
import collections
import datetime
import decimal
import enum
import functools
import hashlib
import io
import itertools
import mmap
import operator
import os
import queue
import random
import re
import sqlite3
import struct
import sys
import threading
import types
import uuid
import weakref
import xml.etree.ElementTree
import zlib

import oracle


class Plain(object):
    """An ordinary class."""

    def __init__(self, n):
        self.n = n
        self.name = "plain %d" % n

    def method(self):
        return self.n

    @property
    def prop(self):
        return self.n

    @classmethod
    def made(cls):
        return cls(0)

    @staticmethod
    def static():
        return None


class Slots(object):
    __slots__ = ("x", "y", "__weakref__")


class Both(Slots):
    """Slots and a __dict__ too."""


class IntSub(int):
    pass


class StrSub(str):
    pass


class BytesSub(bytes):
    pass


class TupleSub(tuple):
    pass


class ListSub(list):
    pass


class DictSub(dict):
    pass


class SetSub(set):
    pass


class Failure(Exception):
    pass


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Meta(type):
    pass


Made = Meta("Made", (object,), {"z": 1})
Pair = collections.namedtuple("Pair", "left right")


def generator(n):
    held = [n] * 3
    yield held
    yield n


async def coroutine(n):
    return n


async def async_generator(n):
    yield n


def closure(x):
    def inner():
        return x
    return inner


def raised(n):
    try:
        raise Failure("raised", n)
    except Failure as e:
        return e


def many_attributes():
    o = Plain(1)
    for i in range(40):
        setattr(o, "attribute_%d" % i, i)
    return o


def deleted_attribute():
    o = Plain(2)
    del o.n
    o.n = 3
    return o


def encoded(s):
    """A str whose UTF-8 form is cached inside the object, as a C caller's request leaves it."""
    os.path.exists(s)
    s.encode("utf-8")
    try:
        open(s)
    except (OSError, ValueError):
        pass
    return s


def grown(n):
    rows = []
    for i in range(n):
        rows.append(i)
    return rows


def popped():
    d = {i: str(i) for i in range(50)}
    for i in range(0, 50, 2):
        del d[i]
    return d


def main():
    p = collections.OrderedDict()
    # the plain values
    p["none"] = None
    p["true"], p["false"] = True, False
    p["zero"], p["one"], p["minus"] = 0, 1, -1
    p["int30"], p["int31"], p["int60"] = 2 ** 30 - 1, 2 ** 30, 2 ** 60 + 12345
    p["bigint"], p["bigneg"] = 7 ** 300, -(7 ** 100)
    p["intsub"] = IntSub(2 ** 40)
    p["float"], p["inf"], p["nan"] = 3.25, float("inf"), float("nan")
    p["tiny"], p["tenth"], p["large"] = 5e-324, 0.1, 1.7976931348623157e308
    p["complex"] = complex(1.5, -2)
    p["ellipsis"], p["notimplemented"] = Ellipsis, NotImplemented
    p["object"] = object()
    # text and bytes
    p["empty"], p["ascii"] = "", "hello, world"
    p["quotes"] = "it's \"quoted\"\n\t\\ \x00\x7f"
    p["latin1"], p["ucs2"] = "caf\xe9 \xff", "\u0394\u03b5\u03bb\u03c4\u03b1 \u20ac"
    p["ucs4"] = "snake \U0001f40d \U00010348"
    p["surrogate"] = "lone \udc80"
    p["utf8cached"] = encoded("na\xefve/\u20ac/" + "x" * 20)
    p["longstr"] = "abc" * 5000
    p["strsub"] = StrSub("a subclass")
    p["bytes"], p["emptybytes"] = b"raw \x00\xff'\"\n", b""
    p["bytessub"] = BytesSub(b"sub")
    p["bytearray"] = bytearray(b"grow")
    p["bytearray"].extend(b"n" * 100)
    p["memoryview"] = memoryview(bytearray(b"viewed"))
    p["array"] = array.array("d", [1.0, 2.0])
    p["array"].extend(range(100))
    # containers
    p["emptytuple"], p["tuple"], p["nested"] = (), (1, "two", 3.0), (1, (2, (3, [])))
    p["tuplesub"], p["namedtuple"] = TupleSub((1, 2)), Pair(1, [2])
    p["emptylist"], p["list"], p["grown"] = [], [1, 2, 3], grown(100)
    p["selflist"] = [1]
    p["selflist"].append(p["selflist"])
    p["longlist"] = list(range(100000, 105000))
    p["listsub"] = ListSub([1, [2]])
    p["emptydict"], p["dict"] = {}, {"a": 1, "b": [2]}
    p["intdict"], p["bigdict"] = {1: "x", (2, 3): None}, {"key%d" % i: i for i in range(2000)}
    p["popped"], p["dictsub"] = popped(), DictSub(a=1)
    p["copied"] = dict(p["dict"])
    p["set"], p["emptyset"], p["bigset"] = {1, "a"}, set(), set(range(1000))
    p["frozenset"], p["setsub"] = frozenset([1, 2, 3]), SetSub([9])
    p["range"], p["range3"], p["slice"] = range(5), range(10, -4, -3), slice(1, None, [2])
    p["deque"], p["bounded"] = collections.deque(range(200)), collections.deque("abc", maxlen=3)
    p["defaultdict"] = collections.defaultdict(list, a=[1])
    p["ordereddict"] = collections.OrderedDict((str(i), [i]) for i in range(20))
    p["counter"], p["chainmap"] = collections.Counter("abracadabra"), collections.ChainMap({}, {"x": 1})
    p["mappingproxy"] = Plain.__dict__
    p["namespace"] = types.SimpleNamespace(a=1, b="two")
    # views and iterators
    d = {"k": [1], "l": [2]}
    p["dict_keys"], p["dict_values"], p["dict_items"] = d.keys(), d.values(), d.items()
    p["dict_keyiterator"], p["dict_itemiterator"] = iter(d), iter(d.items())
    p["dict_valueiterator"] = iter(d.values())
    p["list_iterator"], p["tuple_iterator"] = iter([1, 2]), iter((1, 2))
    p["list_reverseiterator"], p["reversed"] = reversed([1, 2]), reversed((1, 2))
    p["set_iterator"], p["str_iterator"], p["bytes_iterator"] = iter({1}), iter("\u20ac"), iter(b"x")
    p["range_iterator"], p["callable_iterator"] = iter(range(3)), iter(list, None)
    p["enumerate"], p["zip"] = enumerate([1]), zip([1], (2,))
    p["map"], p["filter"] = map(str, [1]), filter(None, [1])
    p["chain"], p["count"], p["cycle"] = itertools.chain([1], [2]), itertools.count(5), itertools.cycle([1])
    p["islice"], p["repeat"], p["starmap"] = itertools.islice([1], 1), itertools.repeat([], 3), itertools.starmap(pow, [(2, 3)])
    p["product"], p["permutations"] = itertools.product([1, 2], [3]), itertools.permutations([1, 2, 3])
    p["combinations"], p["groupby"] = itertools.combinations([1, 2], 1), itertools.groupby([1, 1])
    p["accumulate"], p["tee"] = itertools.accumulate([1]), itertools.tee([1])[0]
    # code
    p["function"], p["lambda"], p["closure"] = closure, lambda: 0, closure([1])
    p["cell"], p["code"] = p["closure"].__closure__[0], closure.__code__
    p["builtin"], p["method"], p["boundbuiltin"] = len, Plain(5).method, [].append
    p["method_descriptor"], p["wrapper_descriptor"] = list.append, object.__init__
    p["method_wrapper"], p["classmethod_descriptor"] = [].__len__, dict.__dict__["fromkeys"]
    p["getset"], p["member"] = type.__dict__["__doc__"], Slots.x
    p["property"], p["classmethod"] = Plain.__dict__["prop"], Plain.__dict__["made"]
    p["staticmethod"], p["super"] = Plain.__dict__["static"], super(Both, Both())
    p["partial"], p["lru"] = functools.partial(print, 1, sep=""), functools.lru_cache(maxsize=4)(pow)
    p["lru"](2, 3)
    p["itemgetter"], p["attrgetter"], p["methodcaller"] = (
        operator.itemgetter(1), operator.attrgetter("a"), operator.methodcaller("f"))
    p["generator"] = generator(7)
    next(p["generator"])
    p["fresh_generator"] = generator(8)
    p["coroutine"], p["async_generator"] = coroutine(1), async_generator(1)
    p["frame"] = p["generator"].gi_frame
    p["exception"], p["valueerror"] = raised(3), ValueError("bad", 4)
    p["oserror"] = OSError(2, "No such file", "gone.txt")
    p["unicodeerror"] = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")
    p["traceback"] = p["exception"].__traceback__
    p["module"], p["madetype"], p["statictype"] = oracle, Made, dict
    p["class"], p["slotsclass"], p["metaclass"] = Plain, Slots, Meta
    # instances
    p["plain"], p["many"], p["deleted"] = Plain(42), many_attributes(), deleted_attribute()
    p["slots"], p["both"] = Slots(), Both()
    p["slots"].x = [1]
    p["both"].x, p["both"].extra = 1, [2]
    p["instancedict"] = Plain(43).__dict__
    p["made"], p["enum"] = Made(), Colour.RED
    p["weakref"], p["weakproxy"] = weakref.ref(p["plain"]), weakref.proxy(p["both"])
    p["weakset"], p["weakdict"] = weakref.WeakSet([p["plain"]]), weakref.WeakValueDictionary(a=p["plain"])
    # the standard library in C
    p["pattern"], p["match"] = re.compile(r"(\w+)-(\d+)"), re.match(r"(\w+)-(\d+)", "abc-123")
    p["decimal"], p["bigdecimal"] = decimal.Decimal("3.14"), decimal.Decimal(7) ** 500
    p["date"], p["datetime"] = datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12, 30, 1, 5)
    p["aware"] = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    p["time"], p["timedelta"] = datetime.time(1, 2, 3), datetime.timedelta(days=1, seconds=2)
    p["timezone"] = datetime.timezone(datetime.timedelta(hours=2), "X")
    p["struct"], p["uuid"] = struct.Struct("<IQ"), uuid.UUID(int=5)
    p["stringio"], p["bytesio"] = io.StringIO("text"), io.BytesIO(b"bytes" * 100)
    p["textio"], p["bufferedreader"] = open(__file__), open(__file__, "rb")
    p["fileio"] = p["bufferedreader"].raw
    p["lock"], p["rlock"], p["local"] = threading.Lock(), threading.RLock(), threading.local()
    p["random"], p["sha256"] = random.Random(1), hashlib.sha256(b"x")
    p["compressobj"], p["mmap"] = zlib.compressobj(), mmap.mmap(-1, 8192)
    p["connection"] = sqlite3.connect(":memory:")
    p["cursor"] = p["connection"].execute("select 1")
    p["element"] = xml.etree.ElementTree.fromstring("<a x='1'><b/><c/></a>")
    p["queue"] = queue.Queue()
    if hasattr(queue, "SimpleQueue"):
        p["simplequeue"] = queue.SimpleQueue()
    if sys.version_info >= (3, 7):
        import contextvars
        p["contextvar"], p["context"] = contextvars.ContextVar("v", default=[1]), contextvars.copy_context()
    if sys.version_info >= (3, 9):
        p["genericalias"] = list[int]
        p["union"] = eval("int | str") if sys.version_info >= (3, 10) else None
    if sys.version_info >= (3, 11):
        p["group"] = ExceptionGroup("several", [ValueError(1)])  # noqa: F821
    oracle.finish(p, lambda: {"mentions": {
        # what reprs must mention, beyond the exact ones of plain values
        "nested": ["(1, (2, (3,"], "plain": ["Plain", "42", "plain 42"], "slots": ["Slots"], "function": ["closure"],
        "method": ["method", "Plain"], "module": ["oracle"], "class": ["Plain"], "enum": ["Colour", "RED"],
        "exception": ["Failure", "raised", "3"], "valueerror": ["ValueError", "bad"],
        "deque": ["deque"], "namedtuple": ["Pair"], "builtin": ["len"], "oserror": ["No such file"],
    }, "exact": {name: repr(p[name]) for name in (
        "tuple", "list", "dict", "intdict", "emptylist", "emptytuple", "emptydict", "emptyset",
        "range", "range3")}})


main()
