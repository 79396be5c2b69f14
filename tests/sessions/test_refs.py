"""What objects hold and who holds them, by name, against what Python itself says."""
import array
import collections
import json
import os
import random

import pytest

import matrix
import programs
import sessions
from conftest import needs_emulator, pairs
from sessions import Gdb, Lldb, Shell, shell_for
from test_transports import exe_for

ONE = matrix.preferably("3.11").name


def number(address):
    return int(address, 16)


def ask_all(run, commands, size=4000):
    """The answers to many commands, in few processes."""
    shell, rows = shell_for(run), []
    for i in range(0, len(commands), size):
        rows += shell.json(*commands[i:i + size])
    return rows


def planted_chains(run, what):
    """[(names, addresses)] of the chains that the program planted."""
    rows = []
    for line in run.oracle["lines"]:
        kind, rest = line.split(" ", 1)
        names, addresses = rest.rsplit("|", 1)
        if kind == what:
            rows.append((names.split(" > "), [int(a) for a in addresses.split()]))
    return rows


@pytest.mark.parametrize("run", pairs(["references"]), indirect=True)
def test_every_edge_has_the_name_that_a_person_expects(run):
    wanted = collections.OrderedDict()
    for names, chain in planted_chains(run, "raw"):
        for name, owner, target in zip(names, chain, chain[1:]):
            wanted[owner, target] = name
    owners = sorted({owner for owner, _ in wanted})
    found = {}
    for owner, answer in zip(owners, ask_all(run, ["refs %#x --raw" % a for a in owners])):
        for row in answer["references"]:
            found.setdefault((owner, number(row["address"])), []).append(row["edge"])
    wrong = ["%s: %s" % (name, found.get(pair)) for pair, name in wanted.items() if name not in found.get(pair, ())]
    assert wrong == []
    assert len(wanted) > 60


@pytest.mark.parametrize("run", pairs(["references"]), indirect=True)
def test_what_belongs_together_is_one(run):
    """The folded names, from the holder's side and from the held one's."""
    chains = [(names[0], chain) for names, chain in planted_chains(run, "fold") if len(names) == 1]
    # what ends in a cell goes on to what the cell holds when the holder is asked
    cells = {chain[:-1][-1] for _, chain in chains if len(chain) > 3}
    chains = [(name, chain) for name, chain in chains if chain[-1] not in cells]
    down = ask_all(run, ["refs %#x" % chain[0] for _, chain in chains])
    up = ask_all(run, ["referrers %#x" % chain[-1] for _, chain in chains])
    wrong = []
    for (name, chain), refs, referrers in zip(chains, down, up):
        rows = [(row["edge"], number(row["address"])) for row in refs["folded"]]
        # what is bound is a thing of its own to who holds it
        if (name, chain[-1]) not in rows and not name.endswith((".__self__", ".__func__")):
            wrong.append("refs: %s is not in %s" % (name, rows[:30]))
        rows = [(row["folded"]["edge"], number(row["folded"]["address"]))
                for row in referrers["referrers"] if "folded" in row and number(row["address"]) == chain[-2]]
        if (name, chain[0]) not in rows:
            # of several that hold what is passed over, one is told
            passed, = ask_all(run, ["referrers %#x --raw" % chain[-2]])
            if len(rows) != 1 or rows[0][1] == chain[0] or len(passed["referrers"]) < 2:
                wrong.append("referrers: %s is not in %s" % (name, rows[:30]))
    assert wrong == [], "\n".join(wrong)
    assert len(chains) > 12


NOT_TOLD = 2 ** 64 - 1
# those that differ in what there is, not only in what the collector has done with it
WHOLE = ["toy", "references", "stdlib_at_work", "asyncio_service", "django_app", "pandas_frames", "populations",
         "inside_collection", "cycles_language", "cycles_library", "cycles_finalizers", "cycles_samples",
         "allocator_debug", "allocator_malloc", "allocator_mimalloc"]


def referents(run):
    """{address: sorted referents, or None where they are not told} of every tracked object."""
    words, truth, at = array.array("Q"), {}, 0
    with open(os.path.join(run.directory, "referents.bin"), "rb") as f:
        words.frombytes(f.read())
    while at < len(words):
        owner, count = words[at:at + 2]
        at += 2
        truth[owner] = None if count == NOT_TOLD else sorted(words[at:at + count])
        at += 0 if count == NOT_TOLD else count
    return truth


@needs_emulator
@pytest.mark.parametrize("run", pairs(WHOLE + ["subinterpreters", "counts_like_addresses"]), indirect=True)
def test_references_of_whole_programs(run):
    """Every tracked object there is, whatever its type; and what they refer to is in the heap."""
    truth = referents(run)
    owners = sorted(owner for owner, told in truth.items() if told is not None)
    heap, = shell_for(run).json("find --min-size 0")
    absent = set().union(truth, *filter(None, truth.values())) - set(run.oracle["no_objects"])
    absent -= {number(row["address"]) for row in heap["objects"]}
    wrong, compared, inferred = [], collections.Counter(), collections.Counter()
    for first in range(0, len(owners), 30000):
        some = owners[first:first + 30000]
        for owner, answer in zip(some, ask_all(run, ["refs %#x --raw" % a for a in some], 30000)):
            ours = sorted(number(row["address"]) for row in answer["references"]
                          for _ in range(row["count"]) if row["traversed"])
            compared[answer["type"]] += 1
            if any(row["certainty"] == "inferred" for row in answer["references"]):
                inferred[answer["type"]] += 1
            if number(answer["address"]) != owner or ours != truth[owner]:
                wrong.append("%s at %#x: ours %d, gc.get_referents %d" % (
                    answer["type"], owner, len(ours), len(truth[owner])))
            if absent.intersection(truth[owner]):
                wrong += ["%s at %#x: %s is not in the heap" % (answer["type"], owner, row)
                          for row in answer["references"] if number(row["address"]) in absent]
    print("compared:", ", ".join("%d %s" % (count, name) for name, count in compared.most_common()))
    print("fell back:", dict(inferred))
    assert wrong == []
    assert not inferred
    assert len(owners) > 5000 and len(truth) - len(owners) < 30


@needs_emulator
@pytest.mark.parametrize("run", pairs(WHOLE), indirect=True)
def test_referrers_in_whole_programs(run):
    """Of a few hundred objects, tracked or not: all tracked owners whose tp_traverse visits them."""
    truth = referents(run)
    owners = collections.defaultdict(set)
    for owner, told in truth.items():
        for held in told or ():
            owners[held].add(owner)
    for address in run.oracle["no_objects"]:
        owners.pop(address, None)
    helds = random.Random(1).sample(sorted(held for held, by in owners.items() if len(by) < 1000), 300)
    wrong = []
    for held, answer in zip(helds, ask_all(run, ["referrers %#x --raw" % a for a in helds])):
        ours = {number(row["address"]): row["type"] for row in answer["referrers"]
                if row["traversed"] and row["generation"] is not None}
        # the frame that forks was there, and is gone
        assert all(a in truth or kind == "builtins.frame" for a, kind in ours.items()), answer
        ours = {a for a in ours if truth.get(a) is not None}
        if ours != owners[held]:
            wrong.append("%s at %#x: only ours %s, only gc.get_referents %s" % (
                answer["type"], held, list(map(hex, ours - owners[held])), list(map(hex, owners[held] - ours))))
    assert wrong == []


@pytest.mark.parametrize("run", pairs(["references"], lambda i: i.root), indirect=True)
def test_guesses_are_bounded_by_the_count(run):
    """Without the binaries: whose references are all known is guessed at by nobody."""
    owners = sorted(referents(run))[::12]
    shell = Shell(core=run.core)
    guessed = 0
    for answer in shell.json(*["referrers %#x --raw" % a for a in owners]):
        guesses = [row for row in answer["referrers"] if row["certainty"] == "inferred"]
        exact = sum(row["count"] for row in answer["referrers"] if row["certainty"] == "exact")
        guessed += len(guesses)
        assert not guesses or answer["immortal"] or exact < answer["refcount"], answer
    inferred, = shell.json("info")
    assert guessed <= inferred["inferred_references"]


@pytest.mark.parametrize("run", pairs(["references", "pandas_frames"]), indirect=True)
def test_large_objects_in_large_tables(run):
    """Neither is a block of pymalloc, and nothing but the owner leads to them."""
    for name, addresses in run.oracle["large"].items():
        assert len(addresses) == 200
        for address, answer in zip(addresses, ask_all(run, ["referrers %#x" % a for a in addresses])):
            assert number(answer["address"]) == address and answer["unexplained"] == 0, (name, answer)


@pytest.mark.parametrize("run", pairs(["references"]), indirect=True)
def test_the_first_that_is_asked(run):
    """An instance with a __dict__ that has nothing in it: what its class visits is known even so."""
    bare = run.planted["bare"]
    answer, = shell_for(run).json("refs %#x --raw" % bare)
    ours = sorted(number(row["address"]) for row in answer["references"] if row["traversed"])
    assert ours == referents(run)[bare]


@pytest.mark.parametrize("run", pairs(["references"]), indirect=True)
def test_traversed_owners_are_those_of_get_referrers(run):
    told = {owner: held for owner, held in referents(run).items() if held is not None}
    truth = {int(held): sorted(told.keys() & set(rows)) for held, rows in run.oracle["referrers"].items()}
    helds = sorted(truth)
    wrong = []
    for held, answer in zip(helds, ask_all(run, ["referrers %#x --raw" % a for a in helds])):
        ours = {number(row["address"]): row["type"] for row in answer["referrers"]
                if row["traversed"] and row["generation"] is not None}
        # _asyncio.Task's traverse function drops what visits of the part that is a Future answer:
        # gc.get_referrers() does not see them, gc.get_referents() does
        ours = sorted(a for a, kind in ours.items() if a in told and not (
            kind == "_asyncio.Task" and held in told[a] and a not in truth[held]))
        if ours != truth[held]:
            wrong.append("%s at %#x: only ours %s, only gc.get_referrers %s" % (
                answer["type"], held, [hex(a) for a in set(ours) - set(truth[held])],
                [hex(a) for a in set(truth[held]) - set(ours)]))
    assert wrong == []
    assert len(helds) > 80


@pytest.mark.parametrize("run", pairs(["references"]), indirect=True)
def test_ledgers_add_up(run):
    held = [int(a) for a in run.oracle["referrers"]]
    objects = ask_all(run, ["object %#x" % a for a in held])
    referrers = ask_all(run, ["referrers %#x" % a for a in held])
    tokens = 0
    for answer, other in zip(objects, referrers):
        if answer["immortal"] or answer["unexplained"] is None:
            assert answer["unexplained"] is None and not any(r["kind"] == "not found" for r in answer["ledger"])
            continue
        assert sum(row["count"] for row in answer["ledger"]) == answer["refcount"], answer
        assert answer["ledger"] == other["ledger"] and answer["refcount"] == other["refcount"]
        assert answer["unexplained"] >= 0, answer
        if answer["type"] == "__main__.Token":
            tokens += 1
            missing = 1 if number(answer["address"]) == run.planted["leaked"] else 0
            assert answer["unexplained"] == missing, answer
    assert tokens > 10
    leaked, = shell_for(run).json("object %#x" % run.planted["leaked"])
    assert {row["kind"]: row["count"] for row in leaked["ledger"]}["not found"] == 1
    assert leaked["unexplained"] == 1
    over, under = shell_for(run).json("find --overheld --type '^__main__\\.Token$'", "find --underheld")
    assert [(number(row["address"]), row["unexplained"]) for row in over["objects"]] == [(run.planted["leaked"], 1)]
    assert under["matches"] == 0, under["objects"][:5]


@pytest.mark.parametrize("run", pairs(["pandas_frames"]), indirect=True)
def test_members_of_extension_types_are_named_by_their_getters(run):
    shell = shell_for(run)
    managers, = shell.json("find --type '\\.BlockManager$' --limit 5")
    assert managers["objects"]
    for answer in shell.json(*["refs " + row["address"] for row in managers["objects"]] + ["info --quick"])[:-1]:
        rows = {row["edge"]: row["type"] for row in answer["references"]}
        assert rows[".blocks"] == "builtins.tuple" and rows[".axes"] == "builtins.list", rows
        assert rows["._blknos"] in ("numpy.ndarray", "builtins.NoneType"), rows


@pytest.mark.parametrize("run", pairs(["references"]), indirect=True)
def test_weak_references_do_not_hold(run):
    target = run.planted["target"]
    answer, refs = shell_for(run).json("referrers %#x" % target, "refs %#x" % target)
    assert len(answer["weak_references"]) == 1
    weak, = answer["weak_references"]
    assert weak["address"] not in [row["address"] for row in answer["referrers"]]
    held, = shell_for(run).json("refs %s" % weak["address"])
    assert target not in [number(row["address"]) for row in held["references"]]
    assert "weakref callback" in [row["edge"] for row in held["references"]]
    text, = shell_for(run).text("referrers %#x" % target)
    assert "weakly referenced by 1, which does not hold it" in text


@pytest.mark.parametrize("run", pairs(["references", "asyncio_service", "stdlib_at_work", "django_app"]),
                         indirect=True)
def test_info_tells_how_much_is_explained(run):
    info, quick = shell_for(run).json("info", "info --quick")
    explained = info["explained"]
    assert info["references"] > 10000
    assert explained["negative"] == 0
    assert 0 < explained["references_found"] <= explained["refcount_total"]
    assert explained["ratio"] == pytest.approx(explained["references_found"] / explained["refcount_total"], abs=1e-5)
    assert explained["ratio"] > 0.97
    assert "explained" not in quick and "references" not in quick
    assert quick["objects"] == info["objects"]


def toy():
    return programs.core_of(matrix.by_name(ONE), programs.PROGRAMS["references"])


def test_the_answer_comes_first():
    run = toy()
    at = run.planted
    shell = shell_for(run)
    rows, keep, leaked, none = shell.text("refs %#x" % at["rows"], "refs %#x --limit 3" % at["keep"],
                                          "referrers %#x" % at["leaked"], "referrers %#x" % at["rows"])
    assert rows.startswith("list of 4 items at %#x holds 4 references to 4 objects.\n" % at["rows"])
    assert "\n  %s" % "ADDRESS" in rows and "[3]" in rows and "__main__.Token" in rows
    assert "… and" in keep and "references more" not in keep and "--limit 0 shows all" in keep
    first = leaked.splitlines()[0]
    assert first.startswith("__main__.Token at %#x is held by 4 references: " % at["leaked"])
    assert "3 from objects" in first and first.endswith("1 not found in this heap.")
    assert ".leaked" in leaked and "module" in leaked
    bound, raw = shell.text("refs %#x" % at["session"], "refs %#x --raw" % at["session"])
    assert ".user" in bound and ".__class__" in bound
    assert "TRAVERSED" in raw and "yes" in raw
    text, = shell.text("object %#x" % at["leaked"])
    assert "refcount  4: 1 item of a sequence, 2 dict values, 1 not found in this heap" in text


@pytest.mark.parametrize("run", pairs(["references"], lambda i: i.minor >= (3, 12)), indirect=True)
def test_immortal_objects_are_not_counted(run):
    shell = shell_for(run)
    none, = shell.json("find --type '^builtins.NoneType$'")
    address = none["objects"][0]["address"]
    answer, = shell.json("referrers %s --limit 5" % address)
    assert answer["immortal"] and answer["unexplained"] is None and answer["omitted"] > 1000
    held, text = shell.text("referrers %s --limit 5" % address, "object %s" % address)
    assert held.splitlines()[0].startswith("NoneType at %s is immortal: never freed, and its references are not counted."
                                           % address)
    assert "refcount  immortal: never freed, its references are not counted" in text


def test_addresses_inside_resolve_and_errors_are_told():
    run = toy()
    at = run.planted["rows"]
    inside, = shell_for(run).json("refs %#x" % (at + 8))
    assert number(inside["address"]) == at and number(inside["asked"]) == at + 8 and inside["offset"] == 8
    inside, = shell_for(run).json("referrers %#x" % (at - 8))
    assert number(inside["address"]) == at and inside["part"] in ("gc_head", "pre_header")
    with pytest.raises(sessions.Refused) as refused:
        shell_for(run).json("referrers 0x10")
    assert refused.value.error["code"] in ("not_an_object", "unreadable")


def test_order_by_size():
    run = toy()
    plain, by_size = shell_for(run).json("find --type '^builtins\\.dict$'", "find --type '^builtins\\.dict$' --by size")
    sizes = [row["size"] for row in by_size["objects"]]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[-1]
    assert sorted(row["address"] for row in plain["objects"]) == sorted(row["address"] for row in by_size["objects"])
    few, = shell_for(run).json("find --type '^builtins\\.dict$' --by size --limit 3")
    assert few["objects"] == by_size["objects"][:3] and few["omitted"] == by_size["matches"] - 3


def test_all_front_ends_answer_alike():
    run = toy()
    names = ("rows", "defaults", "session", "target", "function", "generator", "queue", "bound", "class", "leaked")
    commands = ["%s %#x" % (command, run.planted[name]) for name in names for command in ("refs", "referrers", "object")]
    commands.append("find --overheld --by size")
    answers = []
    for front in (shell_for(run), Gdb(core=run.core, exe=exe_for(run.interpreter)),
                  Lldb(core=run.core, exe=exe_for(run.interpreter))):
        rows = front.json(*commands)
        for row in rows:
            for key in ("target", "incomplete", "diagnostics", "diagnostics_omitted"):
                row.pop(key, None)
            # the debuggers name the C frame of a word on the stack
            for other in row.get("possible", []) + row.get("roots", []):
                other.pop("name"), other.pop("edge", None)
        answers.append(json.dumps(rows, sort_keys=True))
    assert answers[0] == answers[1]
    assert answers[0] == answers[2]


@pytest.mark.parametrize("number", range(9))
def test_damaged_references_are_bounded(number, tmp_path):
    """Random bytes in the objects themselves: an answer or an error, soon."""
    seed = "%s references %d" % (os.environ["PYRETAIN_TEST_SEED"], number)
    rng = random.Random(seed)
    names = [i.name for i in matrix.matrix()[0]]
    interpreter = matrix.by_name(names[number % len(names)])
    run = programs.core_of(interpreter, programs.PROGRAMS["references"])
    with open(run.core, "rb") as f:
        data = bytearray(f.read())
    for _ in range(rng.choice((500, 3000, 8000))):
        data[rng.randrange(20000, len(data))] ^= rng.randrange(1, 256)
    path = str(tmp_path / "core")
    with open(path, "wb") as f:
        f.write(data)
    addresses = sorted({a for _, chain in planted_chains(run, "raw") for a in chain})
    lines = ["%s %#x%s\n" % (command, a, option) for a in rng.sample(addresses, 12)
             for command in ("refs", "referrers", "object") for option in ("", " --raw --json", " --json")
             if command != "object" or "raw" not in option]
    shell = Shell(core=path, options=interpreter.target_options(), exe=None if interpreter.root else interpreter.exe)
    status, _, err = shell.call("info", "--json", timeout=60)
    print(seed, interpreter, status)
    if status == 0:  # else no CPython is left in it
        status, out, err = shell.call(stdin="".join(lines).encode(), timeout=60)
        assert status in (0, 1), (seed, err[-1000:])
        assert len(out) < 256 << 20, seed
