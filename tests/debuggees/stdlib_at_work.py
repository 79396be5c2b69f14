"""The standard library at work: parsers, databases, mail, logging, mocks, templates, threads that came and went."""
import argparse
import base64
import calendar
import collections
import configparser
import contextlib
import csv
import datetime
import decimal
import difflib
import email.message
import email.parser
import email.policy
import fractions
import functools
import heapq
import html.parser
import http.client
import http.cookies
import http.server
import inspect
import io
import ipaddress
import itertools
import json
import logging
import logging.handlers
import pathlib
import pickle
import random
import re
import sqlite3
import string
import tempfile
import textwrap
import threading
import tokenize
import types
import unittest.mock
import urllib.parse
import urllib.request
import uuid
import weakref
import xml.dom.minidom
import xml.etree.ElementTree
import zipfile
from concurrent import futures

import oracle

random.seed(20240229)


class Record(object):
    registry = weakref.WeakValueDictionary()

    def __init__(self, key, value):
        self.key = key
        self.value = value
        self.when = datetime.datetime(2024, 2, 29) + datetime.timedelta(minutes=key)
        self.registry[key] = self

    @functools.lru_cache(maxsize=64)
    def expensive(self, n):
        return [self.value] * (n % 7)


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def json_and_csv():
    rows = [{"id": i, "name": "user%d" % i, "tags": ["t%d" % (i % 5)] * (i % 3), "score": i / 7.0,
             "nested": {"level": {"deeper": [i, None, True]}}} for i in range(300)]
    text = json.dumps(rows, indent=1)
    back = json.loads(text, object_pairs_hook=collections.OrderedDict, parse_float=decimal.Decimal)
    out = io.StringIO()
    writer = csv.DictWriter(out, ["id", "name", "score"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return rows, back, list(csv.DictReader(io.StringIO(out.getvalue()))), out


def database():
    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    db.execute("create table t(id integer primary key, name text, blob blob)")
    db.executemany("insert into t values (?,?,?)", [(i, "n%d" % i, b"b" * i) for i in range(100)])
    return db, db.execute("select * from t where id > 50").fetchall(), db.execute("select 1")


def documents():
    tree = xml.etree.ElementTree.Element("root", a="1")
    for i in range(150):
        child = xml.etree.ElementTree.SubElement(tree, "item", {"n": str(i)})
        child.text = "text %d" % i
    text = xml.etree.ElementTree.tostring(tree)
    dom = xml.dom.minidom.parseString(text[:-7] + b"</root>")
    links = Links()
    links.feed("<html><a href='x'>y</a>" + "<p class=q>" * 50)
    return tree, dom, links


def mail():
    message = email.message.EmailMessage()
    message["Subject"], message["From"], message["To"] = "\u00e9tude", "a@example.org", "b@example.org"
    message.set_content("body\n" * 20)
    message.add_attachment(b"\0" * 64, maintype="application", subtype="octet-stream")
    return message, email.parser.BytesParser(policy=email.policy.default).parsebytes(message.as_bytes())


def logs():
    logger = logging.getLogger("work.at.it")
    handler = logging.handlers.MemoryHandler(1000)
    logger.addHandler(handler)
    logger.propagate = False
    for i in range(40):
        logger.warning("line %d of %s", i, {"context": [i]})
    try:
        int("not a number")
    except ValueError:
        logger.exception("failed")
    return logger, handler


def mocks():
    m = unittest.mock.MagicMock(name="service")
    m.connect.return_value.cursor.side_effect = [1, 2, ValueError("x")]
    m.connect().cursor()
    m.a.b.c(1, k=[2])
    return m, unittest.mock.create_autospec(Record, instance=True)


def threads_gone():
    results = []
    lock = threading.Lock()

    def work(n):
        with lock:
            results.append([n, threading.current_thread().name])

    with futures.ThreadPoolExecutor(3) as pool:
        promises = [pool.submit(work, i) for i in range(20)]
        futures.wait(promises)
    return results, promises, lock


def odds_and_ends():
    parser = argparse.ArgumentParser("x")
    parser.add_argument("--flag", action="store_true")
    parser.add_argument("rest", nargs="*")
    config = configparser.ConfigParser()
    config.read_string("[a]\nx=1\ny=%(x)s2\n[b]\nz=3\n")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("f.txt", "data" * 30)
    source = io.StringIO("def f(a):\n    return [a, 1.5, 'x']\n")
    counter = itertools.count()
    heap = [(random.random(), next(counter), {}) for _ in range(60)]
    heapq.heapify(heap)
    stack = contextlib.ExitStack()
    stack.callback(print, "never")
    cookie = http.cookies.SimpleCookie("a=b; c=d")
    network = list(itertools.islice(ipaddress.ip_network("10.0.0.0/24").hosts(), 20))
    pickled = pickle.loads(pickle.dumps([Record, {"x": (1, 2), "y": {3}}, uuid.UUID(int=9)]))
    generic = [fractions.Fraction(i, 7) for i in range(30)]
    namespace = types.SimpleNamespace(parser=parser, parsed=parser.parse_args(["--flag", "p", "q"]))
    pattern = [re.compile(p) for p in (r"(?P<a>\d+)|x*", r"[a-z]{2,}(?=q)", "\u00e9+")]
    template = string.Template("$a and ${b}")
    diff = list(difflib.unified_diff(["a", "b"], ["a", "c"], lineterm=""))
    signature = inspect.signature(Record.__init__)
    tokens = list(tokenize.generate_tokens(source.readline))
    url = urllib.parse.urlsplit("http://user@example.org:80/p?q=1#f")
    request = urllib.request.Request("http://example.org", headers={"X": "y"})
    month = calendar.Calendar().monthdatescalendar(2024, 2)
    path = pathlib.PurePosixPath("/a/b") / "c.txt"
    held = tempfile.SpooledTemporaryFile()
    held.write(b"spooled")
    return locals()


def main():
    records = [Record(i, {"payload": [i] * 3}) for i in range(500)]
    kept = {
        "records": records, "sums": [r.expensive(i) for i, r in enumerate(records[:50])],
        "json": json_and_csv(), "db": database(), "documents": documents(), "mail": mail(),
        "logs": logs(), "mocks": mocks(), "threads": threads_gone(), "odds": odds_and_ends(),
        "wrapped": textwrap.wrap("word " * 200), "b64": base64.b64encode(b"x" * 100),
    }
    cycles = []
    for i in range(30):  # garbage in cycles, not yet collected
        a = Record(10000 + i, None)
        a.value = {"self": a}
        cycles.append(weakref.ref(a))
    oracle.finish({"records": records, "kept": kept, "registry": Record.registry, "first": records[0],
                   "class": Record})


main()
