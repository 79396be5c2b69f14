"""A small shop service with a leak, for `make demo`.

Two worker threads serve requests from a queue. Sessions are meant to expire,
but the code that would drop them compares the wrong field, so every visitor
stays in SESSIONS for good. Each order also refers to its session and back.
"""

import argparse
import queue
import sys
import threading
import time

SESSIONS = {}
REQUESTS = queue.Queue()
MAX_IDLE = 60.0


class Session:
    def __init__(self, user):
        self.user = user
        self.created = time.time()
        self.cart = []
        self.last_order = None


class Order:
    def __init__(self, session, items):
        self.session = session
        self.items = items
        self.note = "thank you, %s" % session.user


def expire(now):
    # The bug: `created` is compared with itself, so nothing is ever old.
    for key in [k for k, s in list(SESSIONS.items()) if s.created - s.created > MAX_IDLE]:
        del SESSIONS[key]


def handle(number):
    session = SESSIONS.setdefault("sess-%06d" % number, Session("user%d" % number))
    session.cart.append("article %d" % (number % 97))
    session.last_order = Order(session, list(session.cart))
    if number % 5000 == 0:
        expire(time.time())


def worker():
    while True:
        number = REQUESTS.get()
        try:
            handle(number)
        finally:
            REQUESTS.task_done()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=40000)
    parser.add_argument("--rate", type=float, default=0, help="requests per second (default: as fast as it can)")
    parser.add_argument("--ready", help="file to create when the requests are served")
    options = parser.parse_args()
    for index in range(2):
        threading.Thread(target=worker, name="worker-%d" % (index + 1), daemon=True).start()
    for number in range(options.requests):
        REQUESTS.put(number)
        if options.rate and number % 100 == 99:
            time.sleep(100 / options.rate)
    REQUESTS.join()
    if options.ready:
        with open(options.ready, "w") as file:
            file.write("served %d requests\n" % options.requests)
    sys.stdout.write("served %d requests, waiting for more\n" % options.requests)
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
