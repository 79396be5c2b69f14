"""One object for each way in which Python keeps an object alive: a Marker, held in that way alone.

The addresses of the markers are written as numbers: nothing of the bookkeeping holds them.
The threads wait in C, the main thread in read(2); the process itself is the target."""
import asyncio
import collections
import ctypes
import functools
import gc
import logging
import os
import queue
import sys
import threading
import types
import weakref

import oracle

try:
    import contextvars
except ImportError:  # 3.6
    contextvars = None
try:
    import numpy
except ImportError:
    numpy = None

ADDRESSES = {}


class Marker(object):
    def __init__(self, name):
        self.name = name
        ADDRESSES[name] = id(self)

    def method(self):
        return self.name


# --- by name: modules, classes, instances ---

MODULE_GLOBAL = Marker("module_global")


class Session(object):
    def __init__(self, user):
        self.user = user


cache = types.ModuleType("app.cache")
sys.modules["app"] = types.ModuleType("app")
sys.modules["app"].cache = sys.modules["app.cache"] = cache
cache.SESSIONS = {"sess-%d" % i: Session(None) for i in range(20)}
cache.SESSIONS["abc"] = Session(Marker("cached"))
del cache


class Holder(object):
    attribute = Marker("class_attribute")


class Slots(object):
    __slots__ = ("held", "other")


SLOTS = Slots()
SLOTS.held = Marker("slot")
INLINE = Session(Marker("inline_values"))
DICT = Session(Marker("instance_dict"))
vars(DICT)["extra"] = 1
DICT_ITSELF = vars(DICT)  # asked for: it is a dict of its own from now on
IN_LIST = [[0, Marker("list_item")]]
IN_SET = {Marker("set_member")}
KEYED = {Marker("dict_key"): 1}
IN_DEQUE = collections.deque(range(100))
IN_DEQUE.append(Marker("deque_item"))

class Link(object):
    __slots__ = ("next",)

    def __init__(self, following):
        self.next = following


LINKED = None
for _ in range(100):
    LINKED = Link(LINKED)

# --- by functions ---


def closure():
    captured = Marker("closure")

    def inner():
        return captured
    return inner


CLOSURE = closure()


def with_default(argument=Marker("default_argument")):
    return argument


def with_keyword_default(*, option=Marker("keyword_default")):
    return option


BOUND = Marker("bound_method").method
PARTIAL = functools.partial(print, Marker("partial_argument"))


@functools.lru_cache(maxsize=None)
def cached_result(key):
    return Marker(key)


cached_result("lru_cache")


# --- by frames that stand still ---

def generator():
    in_generator = Marker("generator_local")
    yield 1
    return in_generator


GENERATOR = generator()
next(GENERATOR)


class Forever(object):
    def __await__(self):
        yield self


async def coroutine():
    in_coroutine = Marker("coroutine_local")
    await Forever()
    return in_coroutine


COROUTINE = coroutine()
COROUTINE.send(None)


async def async_generator():
    in_async_generator = Marker("async_generator_local")
    yield 1
    print(in_async_generator)


ASYNC_GENERATOR = async_generator()
try:
    ASYNC_GENERATOR.__anext__().send(None)
except StopIteration:
    pass


def failing():
    in_failed_frame = Marker("traceback")
    raise KeyError("stored", bool(in_failed_frame))


def store():
    try:
        failing()
    except KeyError as e:
        return e


STORED = store()

# --- by threads ---

if contextvars:
    CONTEXT_VARIABLE = contextvars.ContextVar("CONTEXT_VARIABLE")
    CONTEXT_VARIABLE.set(Marker("contextvar"))
PER_THREAD = threading.local()
PER_THREAD.value = Marker("threading_local")
EVENT = threading.Event()
LOOPS = []


def worker():
    in_running_frame = Marker("frame_local")
    inbox = queue.Queue()
    inbox.put(Marker("queue_of_thread"))
    EVENT.wait()
    return in_running_frame, inbox


async def job():
    in_task = Marker("asyncio_task")
    await asyncio.sleep(3600)
    return in_task


def serve():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.create_task(job())
    loop.call_soon(LOOPS.append, None)
    loop.run_forever()


# --- by libraries ---

handler = logging.StreamHandler()
handler.marker = Marker("logging_handler")
logging.getLogger("app.requests").addHandler(handler)
del handler

# --- not by Python at all ---

STATIC = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "error_print_progname")  # a variable of the C library, unused


def leave_in_c():
    marker = Marker("c_static")
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(marker))
    STATIC.value = id(marker)
    leaked = Marker("leaked")  # by nothing at all
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(leaked))
    twice = Marker("leaked_and_held")
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(twice))
    return twice


LEAKED_AND_HELD = leave_in_c()

# --- weakly ---

WEAK = weakref.WeakValueDictionary()
STRONG = [Marker("weakly_too")]
WEAK["weakly_too"] = STRONG[0]

# --- views ---


def view():
    buffer = bytearray(8 << 20)
    ADDRESSES["viewed_buffer"] = id(buffer)
    return memoryview(buffer)[:16]


def array_view():
    large = numpy.zeros(1 << 20)
    ADDRESSES["viewed_array"] = id(large)
    return large[:4]


VIEW = view()
ARRAY_VIEW = array_view() if numpy is not None else None


# --- garbage ---

def garbage():
    one, other = Marker("garbage"), Session(None)
    one.other, other.user = other, one
    other.held = Marker("held_by_garbage")


def main():
    for target, name in ((worker, "worker-1"), (serve, "loop")):
        thread = threading.Thread(target=target, name=name)
        thread.daemon = True
        thread.start()
    del thread, target, name
    while "queue_of_thread" not in ADDRESSES or not LOOPS:
        EVENT.wait(0.05)
    EVENT.wait(0.2)
    gc.collect()
    gc.disable()
    garbage()
    os.chdir(sys.argv[1])
    rows = oracle.about()
    rows["planted"] = {name: {"address": address} for name, address in ADDRESSES.items()}
    oracle.write(sys.argv[1], rows)
    print("holding %d" % os.getpid())
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
    os._exit(0)


main()
