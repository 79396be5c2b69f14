"""usage: heap.py OBJECTS [MIB [GARBAGE]]. A heap of about OBJECTS objects in a mix as services have it, timed by CPython itself;
then wait for the core to be taken. Prints one line of JSON."""
import collections
import gc
import json
import os
import random
import sys
import time


class Order:
    def __init__(self, number, customer):
        self.number = number
        self.customer = customer
        self.lines = [Line(self, i) for i in range(2)]
        self.meta = {"source": "web", "name": "order %d" % number}
        self.history = [(self, "created"), (customer, "paid")]


class Line:
    __slots__ = ("order", "amount", "price")

    def __init__(self, order, i):
        self.order = order
        self.amount = i
        self.price = order.number / 3.0


PER_ORDER = 12.1  # objects that an order keeps alive, two thirds of them containers


def main():
    count = int(sys.argv[1])
    # MIB more of memory outside of the small objects' arenas, as caches and frames have it
    bulk = [bytearray(os.urandom(1 << 16) * 64) for i in range(int(sys.argv[2]) // 4 if sys.argv[2:] else 0)]
    chance = random.Random(1)
    gc.disable()
    customers = [{"name": "customer %d" % i} for i in range(1000)]
    orders = [Order(i + 100000, customers[i % 1000]) for i in range(int(count / PER_ORDER))]
    # A service that has run for a while: a third of all was let go and made anew, in no order.
    for i in range(len(orders)):
        if chance.random() < 0.33:
            orders[i] = None
    for i in chance.sample(range(len(orders)), len(orders)):
        if orders[i] is None:
            orders[i] = Order(i + 100000, customers[i % 1000])
    index = {order.number: order for order in orders}
    gc.enable()
    gc.collect()
    start, cpu = time.perf_counter(), time.process_time()
    gc.collect()
    collect, collect_cpu = time.perf_counter() - start, time.process_time() - cpu
    start = time.perf_counter()
    counter = collections.Counter(map(type, gc.get_objects()))
    counted = time.perf_counter() - start
    facts = {
        "version": sys.version.split()[0], "pid": os.getpid(), "collect": collect, "counter": counted,
        "collect_cpu": collect_cpu,
        "tracked": sum(counter.values()), "orders": len(orders), "start": id(orders[0]) - 16,
        "index": len(index), "bulk": len(bulk),
    }
    del counter
    # GARBAGE of all orders are let go: each is in cycles with its lines and its history
    gc.disable()
    facts["garbage"] = 0
    for number in chance.sample(range(len(orders)), int(len(orders) * float((sys.argv[3:] or ["0"])[0]))):
        del index[orders[number].number]
        orders[number] = None
        facts["garbage"] += 1
    print(json.dumps(facts))
    sys.stdout.flush()
    sys.stdin.readline()
    os.abort()


main()
