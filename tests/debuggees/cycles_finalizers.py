"""Garbage in cycles with finalizers: __del__, generators, coroutines, asyncio, threads, files."""
import asyncio
import concurrent.futures
import gc
import io
import socket
import sys
import threading
import weakref

import oracle

try:
    from _testcapi import with_tp_del
except ImportError:  # not every build has it
    with_tp_del = None


class Closing(object):
    closed = 0

    def __init__(self, i):
        self.i, self.me = i, self
        self.rows = [{"i": i}, (self, i)]

    def __del__(self):
        Closing.closed += 1


class Coming(object):
    """Comes back, once."""
    back = []

    def __init__(self, i):
        self.i, self.me, self.table = i, self, {"me": [self]}

    def __del__(self):
        self.back.append(self)


class Dropping(object):
    """Breaks its own cycle: some of it is freed by counts."""
    def __init__(self, i):
        self.me, self.list, self.other = self, [[i], {}], Plain(i)
        self.other.dropping = self

    def __del__(self):
        del self.me, self.list, self.other


class Plain(object):
    def __init__(self, i):
        self.i, self.me = i, self


def classes(i):
    Closing(i), Coming(i), Dropping(i), Plain(i)
    plain = Plain(i)
    plain.closing = Closing(i)


def generating(i):
    def gen(x):
        held = [x, i]
        try:
            yield held
        finally:
            held.append(0)
            yield_of[:] = []
    yield_of = []
    plain = Plain(i)
    plain.fresh = gen(plain)
    plain.started = gen(plain)
    next(plain.started)
    plain.delegating = (x for x in plain.started)
    done = gen(plain)
    next(done)
    done.close()
    plain.done = done


async def sleeper(plain, n):
    rows = [plain, n]
    await asyncio.sleep(1000)
    return rows


async def producer(plain):
    for n in range(3):
        yield plain, n


def coroutines(i):
    plain = Plain(i)
    plain.coroutine = sleeper(plain, i)
    plain.started = sleeper(plain, i)
    plain.agen = producer(plain)
    plain.anext = plain.agen.__anext__()
    plain.coroutine.close()


def loops(i):
    loop = asyncio.new_event_loop()
    plain = Plain(i)

    async def main():
        plain.task = asyncio.ensure_future(sleeper(plain, i), loop=loop)
        plain.future = loop.create_future()
        plain.future.add_done_callback(lambda f: plain)
        plain.queue = asyncio.Queue()
        plain.event = asyncio.Event()
        done = loop.create_future()
        done.set_result(plain)
        plain.result = done
        failed = loop.create_future()
        failed.set_exception(ValueError(plain))
        try:
            await failed
        except ValueError as e:
            plain.error = e
        await asyncio.sleep(0)
    loop.run_until_complete(main())
    plain.loop = loop
    if i % 2:
        loop.run_until_complete(asyncio.sleep(0))
        plain.task.cancel()
        try:
            loop.run_until_complete(plain.task)
        except BaseException as e:
            plain.cancelled = e
    loop.close()


def threads(i):
    plain = Plain(i)
    seen = []

    def work():
        local = threading.local()
        local.plain = plain
        seen.append(threading.current_thread())
    t = threading.Thread(target=work)
    plain.thread = t
    t.plain = plain
    t.start()
    t.join()
    plain.seen = seen
    plain.future = concurrent.futures.Future()
    plain.future.plain = plain
    plain.future.set_result(plain)


def files(i):
    plain = Plain(i)
    plain.file = open("/dev/null", "rb", 0)
    plain.buffered = io.BufferedReader(plain.file)
    plain.text = io.TextIOWrapper(io.BytesIO(b"x\ny"))
    plain.text.plain = plain
    plain.socket = socket.socket()
    plain.socket.close()


LEGACY = []  # addresses of what a finalizer of the old kind keeps for ever


def legacy():
    @with_tp_del
    class Legacy(object):
        def __tp_del__(self):
            pass
    for i in range(3):
        old = Legacy()
        old.me, old.rows = old, [[i, old]]
        LEGACY.extend([id(old), id(old.rows), id(old.rows[0]), id(Legacy)])
        if sys.version_info < (3, 11):
            LEGACY.append(id(old.__dict__))


def main():
    gc.collect()
    gc.disable()
    sys.unraisablehook = lambda *a: None
    asyncio.set_event_loop_policy if sys.version_info < (3, 14) else None
    kept = Plain("kept")
    for section in (classes, generating, coroutines, loops, threads, files):
        for i in range(5):
            section(i)
    if with_tp_del:
        legacy()
    watched = Closing(99)
    ref = weakref.ref(watched)
    del watched
    oracle.finish({"kept": kept, "ref": ref}, lambda: {"legacy": LEGACY})


main()
