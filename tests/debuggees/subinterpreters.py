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
    gc.disable()
    g0 = gc.get_objects(0)
    g1 = gc.get_objects(1)
    g2 = gc.get_objects(2)
    frame = sys._getframe()
    ours = set((id(g0), id(g1), id(g2), id(frame), id(frame.f_back)))
    types = dict()
    totals = [0, 0, 0]
    module, qualname = type.__dict__["__module__"], type.__dict__["__qualname__"]
    for generation, objects in enumerate((g0, g1, g2)):
        for o in objects:
            if id(o) in ours:
                continue
            totals[generation] += 1
            t = type(o)
            try:
                name = "%s.%s" % (module.__get__(t), qualname.__get__(t))
            except AttributeError:
                name = "builtins." + qualname.__get__(t)
            types[name] = types.get(name, 0) + 1
    with open(path, "w") as f:
        json.dump(dict(generations=totals, tracked=sum(totals), types=types,
                       threshold=gc.get_threshold()), f)
gc.set_threshold({threshold})
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
