"""A heap of about OBJECTS objects in a mix as services have it, timed by CPython itself;
then wait for the core to be taken. Prints one line of JSON."""
import collections
import gc
import json
import os
import sys
import time


class Order:
    def __init__(self, number, customer):
        self.number = number
        self.customer = customer
        self.lines = [Line(number, i) for i in range(2)]
        self.meta = {"source": "web", "tags": ("a", str(number)), "total": number * 1.25}


class Line:
    __slots__ = ("sku", "amount", "price")

    def __init__(self, number, i):
        self.sku = "sku-%d" % (number * 7 + i)
        self.amount = number + 1000
        self.price = number / 3.0


PER_ORDER = 15.8  # objects that an order keeps alive, whatever its version makes of them


def main():
    count = int(sys.argv[1])
    gc.disable()
    customers = ["customer %d" % i for i in range(1000)]
    orders = [Order(i + 100000, customers[i % 1000]) for i in range(int(count / PER_ORDER))]
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
        "index": len(index),
    }
    del counter
    print(json.dumps(facts))
    sys.stdout.flush()
    sys.stdin.readline()
    os.abort()


main()
