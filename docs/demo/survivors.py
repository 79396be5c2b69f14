"""A service that has handled a burst of requests, and keeps one record of five thousand."""

import sys
import time

AUDIT = []


class Record:
    __slots__ = ("user", "path", "status", "took")

    def __init__(self, number):
        self.user = "user%d" % (number % 1000)
        self.path = "/orders/%d" % number
        self.status = 200
        self.took = number / 1000.0


def burst():
    records = [Record(number) for number in range(600000)]
    AUDIT.extend(records[::5000])


burst()
print("%d records are kept" % len(AUDIT), flush=True)
time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 600)
