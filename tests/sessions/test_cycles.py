"""What gc.collect() would free: the very set that CPython's collector finds in the same heap."""
import json
import os
import re
import subprocess

import pytest

import matrix
import programs
from conftest import pairs
from programs import PROGRAMS
from sessions import Gdb, Lldb, Refused, Shell, shell_for
from test_transports import exe_for

# Every program with one interpreter, frozen outside of a collection.
ORDINARY = [name for name, program in PROGRAMS.items()
            if not program.threads and name != "large" and program.file != "inside_collection"]
# Programs with something of everything: nothing of it is garbage while all of it is held.
PINNED = ["toy", "stdlib_at_work", "asyncio_service", "django_app", "pandas_frames", "cycles_language",
          "cycles_library", "cycles_finalizers"]


def addresses(rows):
    return {int(row, 16) for row in rows}


@pytest.mark.parametrize("run", pairs(ORDINARY), indirect=True)
def test_the_set_is_cpythons(run):
    answer, = shell_for(run).json("cycles")
    ours, theirs = addresses(answer["objects"]), set(run.oracle["collected"])
    assert len(ours) == len(answer["objects"]) == answer["unreachable"]
    assert "incomplete" not in answer
    if answer["finalizers"]:
        assert not answer["exact"]
        assert (ours ^ theirs) <= addresses(answer["finalizer_reachable"])
    else:
        assert ours == theirs, "ours alone %s, theirs alone %s" % (
            [hex(a) for a in sorted(ours - theirs)[:5]], [hex(a) for a in sorted(theirs - ours)[:5]])
    assert addresses(answer["finalizers"]) <= addresses(answer["finalizer_reachable"]) <= ours
    assert answer["negative"] == 0
    if run.program.name == "cycles_exempt":
        assert len(ours) >= 100
    elif run.program.name.startswith("cycles_"):
        assert len(ours) >= 300


@pytest.mark.parametrize("pair", pairs(PINNED))
def test_nothing_that_is_held_is_garbage(pair, tmp_path, monkeypatch):
    """The program holds every object there is, the cycles that were garbage too."""
    interpreter, program = pair
    monkeypatch.setenv("PYRETAIN_ORACLE_PIN", "1")
    with programs.held(interpreter, program, str(tmp_path)) as run:
        assert os.path.exists("/proc/%d" % run.pid)
        answer, = Shell(pid=run.pid, options=interpreter.target_options()).json("cycles")
        # of what nobody refers to, only what came to be after the list: nothing
        assert answer["objects"] == []
        assert answer["unreachable"] == 0 and answer["exact"]
        assert len(run.oracle["types"]) > 20


# What each leak of cycles_samples.py is called, and the sentence for it.
SAMPLES = [
    ("Node ⇄ Node through .partner",
     "Two Node objects hold each other through .partner, so neither is ever the last to be held. "
     "Make one link weak (weakref.ref), or set it to None when it has served."),
    ("list → itself through […]",
     "A list contains itself, at [0]. Take that element out before the last name of it goes."),
    ("Parent ⇄ Child through .children[…] and .parent",
     "A Parent holds a Child through .children[0], and that one holds it back through .parent. "
     "Make the way back weak: keep weakref.ref(...) in .parent."),
    ("Handler ⇄ function through .on_event and closure cell \"self\" of on_event",
     "A Handler holds a function (on_event) through .on_event, and the function remembers the Handler as self. "
     "Let the function remember weakref.ref(self) instead, or be given the object when it is called."),
    ("Worker → ValueError → traceback → frame → Worker through .error, .__traceback__, .tb_frame and local \"self\" of ",
     "A Worker keeps a ValueError in .error; the exception's traceback keeps the frame of "),
    ("Button ⇄ function through .callbacks[…] and closure cell \"self\" of <lambda>",
     "A Button holds a function (<lambda>) through .callbacks[0], and the function remembers the Button as self. "
     "Let the function remember weakref.ref(self) instead, or be given the object when it is called."),
    ("Timer → itself through .action.__self__",
     "A Timer holds a method of its own, bound to itself, through .action.__self__. "
     "A bound method holds its object: keep a weakref.WeakMethod, or look the method up when it is called."),
    ("type → itself through __mro__[…]",
     "A class always refers to itself, through its __mro__ and through what is defined in it, so only the "
     "collector frees a class (here Temporary). Make classes once, not again and again inside of a function."),
    ("function → itself through closure cell \"step\" of step",
     "A function refers to itself by its variable step, as every nested function does that calls itself. "
     "Make it a function of the module, or pass it to itself as an argument."),
    ("ring of Node through .next",
     "4 Node objects hold one another in a ring, each the next through .next. "
     "Make one link weak (weakref.ref), or set it to None when it has served."),
    ("Node → itself through .me", "A Node holds itself through .me. Do without, or keep weakref.ref(self) there."),
]


@pytest.mark.parametrize("run", pairs(["cycles_samples"]), indirect=True)
def test_samples_are_explained(run):
    """Ten of each leak are one group of ten, in the words that its article would use."""
    answer, = shell_for(run).json("cycles")
    groups = answer["groups"]
    assert len(groups) == len(SAMPLES) and answer["exact"]
    assert [r["reason"] for r in answer["reasons"]] == ["disabled"]
    for shape, sentence in SAMPLES:
        group, = [g for g in groups if g["shape"].startswith(shape)]
        assert group["count"] == 10
        assert group["sentence"].startswith(sentence)
        assert int(group["example"], 16) in addresses(answer["objects"])
    assert sum(g["group_objects"] for g in groups) == answer["unreachable"]
    assert sum(g["bytes"] for g in groups) == answer["bytes"]
    assert [g["bytes"] for g in groups] == sorted((g["bytes"] for g in groups), reverse=True)
    # the ring of each closes: every link's object is one that the one before holds
    for group in groups:
        assert group["ring"] and all(link["edge"] for link in group["ring"])


@pytest.mark.parametrize("front_end", [Shell, Gdb, Lldb], ids=["shell", "gdb", "lldb"])
@pytest.mark.parametrize("name", [n for n in ("3.8", "system") if matrix.by_name(n)])
def test_samples_in_every_front_end(name, front_end):
    run = programs.core_of(matrix.by_name(name), PROGRAMS["cycles_samples"])
    text = front_end(core=run.core, exe=exe_for(run.interpreter)).text("cycles")[0]
    plain = re.sub(r"\s+", " ", text)
    assert re.search(r"gc\.collect\(\) would free \d+ objects \([\d.]+ KiB\) now, in 11 kinds of cycles\. "
                     r"They are still here because gc is disabled \(gc\.disable\(\)\)\.", plain), text
    for _, sentence in SAMPLES:
        assert sentence in plain, text


@pytest.mark.parametrize("name", [n for n in ("3.8", "3.13", "system") if matrix.by_name(n)])
def test_one_group_is_drawn(name):
    run = programs.core_of(matrix.by_name(name), PROGRAMS["cycles_samples"])
    shell = shell_for(run)
    answer, = shell.json("cycles")
    group, = [g for g in answer["groups"] if g["shape"].startswith("Parent")]
    text, dot = shell.text("cycles --show %d" % group["group"], "cycles --show %d --format dot" % group["group"])
    parent, child = [link["address"] for link in group["ring"]]
    lines = text.splitlines()
    assert lines[0].startswith("Group %d: 10 × Parent ⇄ Child through" % group["group"])
    drawn = [line.split() for line in lines if line.startswith("  ")]
    assert drawn[0][:3] == ["┌→", parent, "Parent"]
    assert drawn[1] == ["│", ".children[0]"]
    assert drawn[2][:3] == ["│", child, "Child"]
    assert drawn[3][:2] == ["└────", ".parent"] and drawn[3][-2:] == ["make", "weak)"]
    assert dot.startswith("digraph cycle {") and dot.count("->") == 2 and "style=dashed" in dot
    with pytest.raises(Refused):
        shell.text("cycles --show 99")


@pytest.mark.parametrize("run", pairs(["inside_collection"]), indirect=True)
def test_a_finalizer_of_a_running_collection(run):
    """What the collection has found, although a frame holds one of them by now."""
    answer, = shell_for(run).json("cycles")
    assert answer["collection"] == "finalizing" and not answer["exact"]
    assert addresses(answer["objects"]) == set(run.oracle["found"])
    assert len(answer["finalizers"]) == run.oracle["dying"] - 1  # the first one's has been called
    assert answer["groups"][0]["count"] == run.oracle["dying"]
    text = shell_for(run).text("cycles")[0]
    assert text.startswith("A collection is running and has found %d objects" % len(run.oracle["found"]))
    assert "not known       what was freed or brought back since the collection found them" in text


@pytest.mark.parametrize("run", pairs(["collection_begins", "collection_over"]), indirect=True)
def test_a_callback_of_a_running_collection(run):
    answer, = shell_for(run).json("cycles")
    begins = run.program.name == "collection_begins"
    assert answer["collection"] == "starting" and "incomplete" not in answer
    assert addresses(answer["objects"]) == (set(run.oracle["found"]) if begins else set())
    assert [r["reason"] for r in answer["reasons"]] == (["collecting", "disabled"] if begins else [])


@pytest.mark.parametrize("function", ["visit_decref", "visit_reachable"])
@pytest.mark.parametrize("name", [n for n in ("3.7", "3.8", "3.12", "3.13") if matrix.by_name(n)])
def test_in_the_middle_of_deduce_unreachable(name, function, tmp_path, gap):
    """Counts lie in the objects' heads: a core made at a breakpoint there has the same garbage."""
    interpreter, core = matrix.by_name(name), str(tmp_path / "core")
    argv = ["gdb", "-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off"]
    for line in ("set pagination off", "set breakpoint pending off", "handle SIGUSR1 stop nopass", "run",
                 "break " + function, "ignore 1 5000", "continue", "gcore " + core, "kill"):
        argv += ["-ex", line]
    done = subprocess.run(argv + ["--args", interpreter.python,
                                  os.path.join(matrix.DEBUGGEES, "inside_collection.py"), str(tmp_path), "core", "native"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=interpreter.environment(), universal_newlines=True, timeout=120)
    if "not defined" in done.stdout:
        gap("%s has no symbol %s" % (name, function))
    assert os.path.exists(core), done.stdout[-2000:]
    with open(str(tmp_path / "oracle.json")) as f:
        found = set(json.load(f)["found"])
    answer, = Shell(core=core, exe=interpreter.exe).json("cycles")
    assert answer["collection"] == "counting" and answer["exact"]
    assert addresses(answer["objects"]) == found


@pytest.mark.parametrize("run", pairs(["cycles_language", "cycles_samples"]), indirect=True)
def test_census_and_find_of_what_is_unreachable(run):
    cycles, census, found = shell_for(run).json("cycles", "census --unreachable", "find --unreachable --limit 0")
    owned, tracked = cycles["owned_untracked"], cycles["owned_tracked"]
    assert census["gc_objects"] == cycles["unreachable"] + tracked["count"]
    assert census["objects"] == census["gc_objects"] + owned["count"]
    assert census["bytes"] == cycles["bytes"]
    everything = {o["address"] for o in found["objects"]}
    assert len(everything) == census["objects"]
    assert set(cycles["objects"]) <= everything
    rest = [o for o in found["objects"] if o["address"] not in set(cycles["objects"])]
    assert len(rest) == owned["count"] + tracked["count"]
    assert sum(o["size"] for o in rest) == owned["bytes"] + tracked["bytes"]


@pytest.mark.parametrize("run", pairs(["cycles_language"]), indirect=True)
def test_cycles_that_are_in_use(run):
    """`kept` of main() is a cycle that somebody holds; nothing that is garbage is among them."""
    shell = shell_for(run)
    garbage, answer = shell.json("cycles", "cycles --reachable")
    group, = [g for g in answer["groups"] if g["shape"] == "Node ⇄ Node through .partner"]
    kept = run.planted["kept"]
    assert group["count"] == 1 and kept in {int(link["address"], 16) for link in group["ring"]}
    assert group["holder_count"] or group["root"]
    assert answer["cycles_with_modules"] >= 2  # the one of `within` looks the same, but for its module
    last = answer["groups"][-1]["group"]
    shown, = shell.json("cycles --reachable --show %d" % last)
    assert [g["group"] for g in shown["groups"]] == [last]
    members = {int(link["address"], 16) for g in answer["groups"] for link in g["ring"]}
    assert not members & addresses(garbage["objects"])
    assert "cycles are in use, of" in shell.text("cycles --reachable")[0]


def test_generations():
    """A young collection looks at young objects alone: what older ones hold is in use for it."""
    run = programs.core_of(matrix.by_name("system"), PROGRAMS["cycles_language"])
    young, middle, full = shell_for(run).json(*["cycles --generation %d" % g for g in range(3)])
    assert addresses(young["objects"]) <= addresses(middle["objects"]) < addresses(full["objects"])
    assert young["considered"] <= middle["considered"] < full["considered"]


@pytest.mark.parametrize("run", pairs(["frozen"], interpreters=lambda i: i.minor >= (3, 7)), indirect=True)
def test_frozen_garbage_is_told_apart(run):
    """No collection finds what gc.freeze() has set aside; the answer says how much that is."""
    shell = shell_for(run)
    answer, = shell.json("cycles")
    assert answer["frozen"]["objects"] > 150
    assert answer["frozen"]["unreachable"] >= 30 * (1 if run.interpreter.minor >= (3, 11) else 2)
    assert not [g for g in answer["groups"] if g["shape"] == "Node → itself through .me"]
    assert "no collection looks at them until gc.unfreeze()" in shell.text("cycles")[0]


# Why garbage is still there, by what the program did to its collector.
REASONS = {"disabled": "disabled", "threshold_zero": "threshold_zero", "saveall": "young",
           "toy": "young", "stdlib_at_work": "young"}


@pytest.mark.parametrize("run", pairs(sorted(REASONS)), indirect=True)
def test_why_it_is_still_there(run):
    answer, = shell_for(run).json("cycles")
    reasons = [r["reason"] for r in answer["reasons"]]
    if not answer["unreachable"]:
        assert not reasons
        return
    expected = REASONS[run.program.name]
    if expected == "young":  # or what it has come to since: the generation of most of it
        most = max("012", key=lambda g: answer["by_generation"][g])
        expected = {"0": "young", "1": "middle", "2": "old"}[most]
    assert reasons[0] == expected
    assert ("saveall" in reasons) == (run.program.name == "saveall")
    assert sum(answer["by_generation"].values()) == answer["unreachable"]


@pytest.mark.parametrize("run", pairs(["subinterpreters"]), indirect=True)
def test_every_interpreter_collects_for_itself(run):
    """The top level is the main interpreter's answer; with one collector for all there is no other."""
    answer, = shell_for(run).json("cycles")
    rows = answer["by_interpreter"]
    if run.interpreter.minor < (3, 9):
        assert rows == []
        return
    assert len(rows) == 3 and rows[0]["interpreter"] == 0
    assert rows[0]["objects"] == answer["objects"]
    every = [a for row in rows for a in row["objects"]]
    assert len(every) == len(set(every)) == sum(row["unreachable"] for row in rows)


@pytest.mark.parametrize("name", [n for n in ("3.13-debian", "3.14-debian", "3.15-debian") if matrix.by_name(n)])
@pytest.mark.parametrize("program", ["cycles_language", "cycles_library"])
def test_nothing_false_without_the_binaries(name, program):
    """The core alone: types whose code is not there can hide garbage, and never make some."""
    run = programs.core_of(matrix.by_name(name), PROGRAMS[program])
    shell = Shell(core=run.core, options=["--sysroot", "/nonexistent"])
    answer, = shell.json("cycles")
    ours = addresses(answer["objects"])
    assert len(ours) > 500 and ours <= set(run.oracle["collected"])
    guessed = answer["guessed"]
    assert guessed["types"] == len(guessed["names"]) > 5 and not answer["exact"]
    assert [g["type"] for g in guessed["names"]] == sorted(g["type"] for g in guessed["names"])
    assert guessed["hidden"] > 0
    assert "so what they hold counts as in use" in re.sub(r"\s+", " ", shell.text("cycles")[0])


@pytest.mark.parametrize("run", pairs(["cycles_finalizers"]), indirect=True)
def test_finalizers_of_the_old_kind(run):
    """What tp_del keeps for ever: those that have one and what they reach, of the set and told apart."""
    answer, = shell_for(run).json("cycles")
    legacy = addresses(answer["legacy_uncollectable"])
    assert set(run.oracle["legacy"]) <= legacy <= addresses(answer["objects"])
    assert not legacy & addresses(answer["finalizers"])
    assert bool(run.oracle["legacy"]) == bool(legacy) == ("uncollectable" in [r["reason"] for r in answer["reasons"]])
