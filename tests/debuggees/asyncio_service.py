"""An asyncio service in full swing: servers, tasks waiting on queues, events, locks and each other."""
import asyncio
import collections
import functools
import socket

import oracle


class Session(object):
    def __init__(self, n):
        self.n = n
        self.inbox = asyncio.Queue()
        self.log = collections.deque(maxlen=8)
        self.peers = []


SESSIONS = {}


async def fetch(session, depth):
    """A coroutine chain, `depth` deep, that ends waiting for a message."""
    here = {"session": session.n, "depth": depth}
    if depth:
        return await fetch(session, depth - 1)
    message = await session.inbox.get()
    return here, message


async def ticks(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)


async def consumer(session):
    async for i in ticks(5):
        session.log.append(i)
    async with session.lock:
        return await fetch(session, 4)


async def handle(reader, writer):
    line = await reader.readline()
    writer.write(line)
    await reader.readline()


async def service(loop):
    for n in range(60):
        session = SESSIONS["sess-%d" % n] = Session(n)
        session.lock = asyncio.Lock()
        session.peers.append(SESSIONS["sess-%d" % (n // 2)])
        session.task = loop.create_task(consumer(session))
        session.task.add_done_callback(functools.partial(print, "done", n))
    event = asyncio.Event()
    waiters = [loop.create_task(event.wait()) for _ in range(10)]
    gathered = asyncio.gather(*[asyncio.shield(w) for w in waiters])
    timer = loop.call_later(3600, print, "late")
    failed = loop.create_future()
    failed.set_exception(KeyError("planted"))
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients = []
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        clients.append((reader, writer, await reader.readline()))
    for _ in range(20):
        await asyncio.sleep(0)
    left, right = socket.socketpair()
    oracle.finish({
        "sessions": SESSIONS, "first": SESSIONS["sess-0"], "task": SESSIONS["sess-7"].task, "event": event,
        "queue": SESSIONS["sess-7"].inbox, "future": failed, "timer": timer, "server": server,
        "gathered": gathered, "client": clients[0][0], "socket": left,
        "coroutine": SESSIONS["sess-7"].task._coro if hasattr(SESSIONS["sess-7"].task, "_coro")
        else SESSIONS["sess-7"].task.get_coro(),
    })
    oracle.leave()


def main():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(service(loop))


main()
