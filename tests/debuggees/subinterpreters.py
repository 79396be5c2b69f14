"""Several interpreters in one process; each answers for its own heap."""
import sys

import oracle

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

# What a subinterpreter runs: build something, then be ready to answer.  The answer's own
# frames (3.10 and older: tracked objects) are named so that they can be left out.
BUILD = """
import gc, json, sys
class Tenant(object): pass
tenants = [Tenant() for _ in range({n})]
path = {path!r}
def ask():
    g0 = gc.get_objects(0)
    g1 = gc.get_objects(1)
    g2 = gc.get_objects(2)
    frame = sys._getframe()
    asking = frame.f_back.f_code  # compiled for the question, as are its constants and names
    ours = set(map(id, (g0, g1, g2, frame, frame.f_back, asking, asking.co_consts, asking.co_names)))
    for o in g0:
        if type(o) is type(ask) and o.__code__ is asking:
            ours.add(id(o))  # 3.11+: what the evaluation runs
        elif type(o) is list and o and type(o[0]) in (str, bytes) and o[0] in ("ask", b"ask"):
            ours.add(id(o))  # what the compiler's arena holds
    types = dict()
    totals = [0, 0, 0]
    module, qualname = type.__dict__["__module__"], type.__dict__["__qualname__"]
    for generation, objects in enumerate((g0, g1, g2)):
        for o in objects:
            if id(o) in ours:
                continue
            totals[generation] += 1
            t = type(o)
            name = "%s.%s" % (module.__get__(t), qualname.__get__(t))
            types[name] = types.get(name, 0) + 1
    with open(path, "w") as f:
        json.dump(dict(generations=totals, tracked=sum(totals), types=types,
                       threshold=gc.get_threshold()), f)
gc.set_threshold({threshold})
gc.disable()  # the question's own compilation shall not set off a collection
"""


def create():
    try:
        return interpreters.create("legacy")
    except TypeError:
        return interpreters.create()


def main():
    outdir = sys.argv[1]
    made = []
    for n in (3, 11):
        identity = create()
        path = "%s/interpreter-%d.json" % (outdir, n)
        interpreters.run_string(identity, BUILD.format(n=n, path=path, threshold=700 + n))
        made.append((identity, path))

    def answers():
        import json
        rows = []
        for identity, path in made:
            interpreters.run_string(identity, "ask()")
            with open(path) as f:
                rows.append(dict(json.load(f), id=int(identity)))
        return {"others": rows}

    oracle.finish({"made": made}, answers)
    oracle.leave()


main()
