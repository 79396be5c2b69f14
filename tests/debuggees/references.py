"""A chain of references of every kind, and how each is to be written.

As a debuggee it also tells gc.get_referents() and gc.get_referrers(). Without arguments it
prints the chains, for test_labels.c, one a line, and waits:

  raw|fold NAME > NAME > ...|ADDRESS ADDRESS ...   each object holds the next
"""
import collections, functools, gc, itertools, os, sys, types, weakref
V = sys.version_info
lines = []
keep = []


class Token(object):
    __slots__ = ("name", "__weakref__")


def token():
    t = Token()
    keep.append(t)
    return t


def say(what, names, *chain):
    keep.extend(chain)
    lines.append("%s %s|%s" % (what, " > ".join(names), " ".join(str(id(o)) for o in chain)))


def both(names, *chain):
    say("raw", names, *chain)


def fold(raw, folded, *chain):
    say("raw", raw, *chain)
    say("fold", folded, *chain)


def class_dict(c):
    return gc.get_referents(c.__dict__)[0]


# attributes: inline or split values where the build has them, a dict of its own, slots
class Session(object):
    def __init__(self, user):
        self.user = user

    def close(self):
        pass

    limit = token()


class Slots(object):
    __slots__ = ("left", "__weakref__")


s, t = Session(token()), Session(token())
if V >= (3, 11):
    both([".user"], s, s.user)
else:
    fold([".__dict__", "['user']"], [".user"], s, s.__dict__, s.user)
for i in range(40):
    setattr(t, "more_%d" % i, i)
vars(t)["odd name"] = odd = token()
d = vars(t)
if V >= (3, 13):
    d = t.__dict__ = dict(d)
fold([".__dict__", "['user']"], [".user"], t, d, t.user)
fold([".__dict__", "['odd name']"], [".__dict__['odd name']"], t, d, odd)
slots = Slots()
slots.left = token()
both([".left"], slots, slots.left)
both([".__class__"], slots, Slots)
fold([".__dict__", "['limit']"], [".limit"], Session, class_dict(Session), Session.limit)
module = types.ModuleType("planted_module")
module.SESSIONS = {"sess-123": token()}
fold([".__dict__", "['SESSIONS']", "['sess-123']"], [".SESSIONS", "['sess-123']"],
     module, vars(module), module.SESSIONS, module.SESSIONS["sess-123"])
if V >= (3, 15):  # slots behind the items
    class Row(tuple):
        __slots__ = ("note",)

    class Longer(Row):
        __slots__ = ("more",)

    row = Longer((token(), token()))
    row.note, row.more = token(), token()
    both([".note"], row, row.note)
    both([".more"], row, row.more)
    both(["[1]"], row, row[1])
# containers
rows = [0, 1, 2, token()]
both(["[3]"], rows, rows[3])
pair = (token(), rows)
both(["[1]", "[3]"], pair, rows, rows[3])
keys = {1: token(), (1, "two"): token(), "it's": token(), "x" * 200: token(), None: token()}
both(["[1]"], keys, keys[1])
both(["[(1, 'two')]"], keys, keys[(1, "two")])
both(["[\"it's\"]"], keys, keys["it's"])
both(["[None]"], keys, keys[None])
by_key = {}
key = "key%d" % 5
by_key[key] = 1
both(["key 'key5'"], by_key, key)
element = token()
both(["element"], {element, 1}, element)
both(["element"], frozenset([element, 2]), element)
queue = collections.deque([token() for _ in range(200)])
queue.popleft()
both(["[0]"], queue, queue[0])
both(["[129]"], queue, queue[129])
ordered = collections.OrderedDict(("k%d" % i, token()) for i in range(30))
both(["['k17']"], ordered, ordered["k17"])
default = collections.defaultdict(Session, a=token())
both(["['a']"], default, default["a"])
both([".default_factory"], default, Session)


# functions
def outer(x, z):
    def inner():
        return z, x
    return inner


def defaults(a, limit=token(), *args, more=token(), **kw):
    pass


f = outer(token(), token())
for number, name in enumerate(f.__code__.co_freevars):
    cell = f.__closure__[number]
    fold([".__closure__", "[%d]" % number, ".cell_contents"], ["closure cell \"%s\" of inner" % name],
         f, f.__closure__, cell, cell.cell_contents)
    fold([".__closure__", "[%d]" % number], ["closure cell \"%s\" of inner" % name], f, f.__closure__, cell)
    both([".cell_contents"], cell, cell.cell_contents)
fold([".__defaults__", "[0]"], ["default argument \"limit\" of defaults"],
     defaults, defaults.__defaults__, defaults.__defaults__[0])
fold([".__kwdefaults__", "['more']"], ["default argument \"more\" of defaults"],
     defaults, defaults.__kwdefaults__, defaults.__kwdefaults__["more"])
both([".__globals__", "['keep']"], f, f.__globals__, keep)
both([".__code__"], f, f.__code__)
fold([".__code__", ".co_consts", "[%d]" % outer.__code__.co_consts.index(f.__code__)],
     [".__code__", ".co_consts[%d]" % outer.__code__.co_consts.index(f.__code__)],
     outer, outer.__code__, outer.__code__.co_consts, f.__code__)
f.note = token()
fold([".__dict__", "['note']"], [".note"], f, vars(f), f.note)
callbacks = [0, s.close]
fold(["[1]", ".__self__"], ["[1].__self__"], callbacks, callbacks[1], s)
both([".__self__"], callbacks[1], s)
both([".__func__"], callbacks[1], Session.close)


class Properties(object):
    def get(self):
        pass

    wrapped = staticmethod(get)
    made = classmethod(get)
    prop = property(get)


body = class_dict(Properties)
fold([".__dict__", "['wrapped']", ".__func__"], [".wrapped.__func__"],
     Properties, body, body["wrapped"], Properties.get)
fold([".__dict__", "['made']", ".__func__"], [".made.__func__"], Properties, body, body["made"], Properties.get)
fold([".__dict__", "['prop']", ".fget"], [".prop", ".fget"], Properties, body, body["prop"], Properties.get)
part = functools.partial(outer, token(), key=token())
both([".func"], part, outer)
fold([".args", "[0]"], [".args[0]"], part, part.args, part.args[0])
fold([".keywords", "['key']"], [".keywords['key']"], part, part.keywords, part.keywords["key"])
results = functools.lru_cache(maxsize=10)(lambda n: token())
cached = [results(n) for n in (2, 3, 4)]
three = "3" if V >= (3, 7) else "(3,)"
if V >= (3, 7):  # before, the links of the ring are visited themselves
    both(["cached result for key " + three], results, cached[1])
unbounded = functools.lru_cache(maxsize=None)(lambda n: token())
answer = unbounded(3)
fold([".cache", "[%s]" % three], ["cached result for key " + three], unbounded,
     [r for r in gc.get_referents(unbounded) if type(r) is dict and answer in r.values()][0], answer)


# classes
class Base(object):
    pass


class Derived(Session, Base):
    pass


fold([".__bases__", "[1]"], ["base class"], Derived, Derived.__bases__, Base)
fold([".__mro__", "[2]"], ["__mro__[2]"], Derived, Derived.__mro__, Base)
both(["base class"], Derived, Session)
# weak references
target = token()
seen = token()
reference = weakref.ref(target, functools.partial(print, seen))
both(["weakref callback"], reference, reference.__callback__)


# frames
def generator(n):
    held = token()
    keep.append(held)
    yield held
    yield n


def with_cell(n):
    shared = token()
    keep.append(shared)
    yield lambda: shared


def of(g, name):
    frame = g.gi_frame
    return "local \"%s\" of %s at %s:%d" % (name, g.__name__, frame.f_code.co_filename, frame.f_lineno)


g = generator(7)
held = next(g)
c = with_cell(7)
closure = next(c)
cell = closure.__closure__[0]
if V >= (3, 11):
    both([of(g, "held")], g, held)
    fold([of(c, "shared"), ".cell_contents"], [of(c, "shared")], c, cell, cell.cell_contents)
else:
    fold([".gi_frame", of(g, "held")], [of(g, "held")], g, g.gi_frame, held)
    fold([".gi_frame", of(c, "shared"), ".cell_contents"], [of(c, "shared")],
         c, c.gi_frame, cell, cell.cell_contents)


def fails(n):
    lost = token()
    keep.append(lost)
    raise ValueError(n, lost)


try:
    fails(3)
except ValueError as error:
    stored = error
place = "local \"lost\" of fails at %s:%d" % (fails.__code__.co_filename, stored.__traceback__.tb_next.tb_lineno)
both([".__traceback__", ".tb_next", ".tb_frame", place], stored, stored.__traceback__,
     stored.__traceback__.tb_next, stored.__traceback__.tb_next.tb_frame, stored.args[1])
fold([".args", "[1]"], [".args[1]"], stored, stored.args, stored.args[1])
other = KeyError(token())
other.__cause__ = stored
both([".__cause__"], other, stored)
stop = StopIteration(token())
both([".value"], stop, stop.value)
status = os.stat("/")
both([".st_mode"], status, status[0])
# iterators, views
numbers = [token()]
both([".list"], iter(numbers), numbers)
mapped = map(len, [token()])
fold([".iterators", "[0]"], [".iterators[0]"], mapped, gc.get_referents(mapped)[0], gc.get_referents(gc.get_referents(mapped)[0])[0])
raw = bytearray(b"viewed")
view = memoryview(raw)
buffer = gc.get_referents(view)[0]
fold([".buffer", ".exporter"], [".obj"], view, buffer, raw)
both([".start"], slice(numbers, None), numbers)
namespace = types.SimpleNamespace(a=token())
fold([".__dict__", "['a']"], [".a"], namespace, vars(namespace), namespace.a)
if V >= (3, 7):
    import contextvars
    variable = contextvars.ContextVar("request")

    def inside():
        variable.set(token())
        return variable.get()

    context = contextvars.copy_context()
    value = context.run(inside)
    tree = [r for r in gc.get_referents(context) if type(r).__name__ == "hamt"][0]
    node = gc.get_referents(tree)[0]
    fold([".variables", ".root", "context variable \"request\""], ["context variable \"request\""],
         context, tree, node, value)
if V >= (3, 7):
    import asyncio

    async def work():
        await asyncio.sleep(100)

    loop = asyncio.new_event_loop()
    coroutine = work()
    task = loop.create_task(coroutine)
    both([".coroutine"], task, coroutine)
    both(["._loop"], task, loop)
# tables and values that are no blocks of pymalloc
large = {"defaultdict": collections.defaultdict(list)}
large["defaultdict"].update((i, bytes(1000 + i)) for i in range(200))
held_large = {"defaultdict": list(map(id, large["defaultdict"].values()))}
if V >= (3, 7):
    import queue as queues
    large["queue"] = queues.SimpleQueue()
    for i in range(200):
        large["queue"].put(bytes(1000 + i))
    held_large["queue"] = [id(o) for o in gc.get_referents(large["queue"]) if type(o) is bytes]
    if not held_large["queue"]:
        held_large["queue"] = [id(o) for r in gc.get_referents(large["queue"]) if type(r) is list for o in r]
if V >= (3, 15):
    large["frozendict"] = frozendict((i, bytes(1000 + i)) for i in range(200))
    held_large["frozendict"] = list(map(id, large["frozendict"].values()))
bare = type("Bare", (), {})()
assert bare.__dict__ == {}
# references that Python does not know of
leaked = token()
if len(sys.argv) > 1:
    import ctypes
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(leaked))


def extra():
    """Who refers to some of the objects that were there before the fork."""
    objects = [o for o in gc.get_objects() if id(o) in BEFORE]
    return {
        "lines": lines, "large": held_large,
        "referrers": {id(o): sorted({id(r) for r in gc.get_referrers(o)})
                      for o in keep[::3] + objects[::len(objects) // 60]},
    }


if len(sys.argv) > 1:
    import oracle
    gc.collect()
    BEFORE = set()
    BEFORE.update(map(id, gc.get_objects()))
    oracle.finish({"leaked": leaked, "rows": rows, "defaults": defaults, "session": s, "keep": keep,
                   "target": target, "function": f, "generator": g, "queue": queue, "bound": callbacks[1],
                   "class": Session, "bare": bare, "large": large}, extra)
    oracle.leave()
for line in lines:
    print(line)
print("end")
sys.stdout.flush()
sys.stdin.readline()
os._exit(0)
