"""Threads, their Python stacks, lines and locals, as CPython tells them."""
import pytest

from conftest import pairs
from sessions import shell_for


def line_of(frame):
    return frame["function"], frame["file"].rsplit("/", 1)[-1], frame["line"]


@pytest.mark.parametrize("run", pairs(["threads_and_generators"]), indirect=True)
def test_threads_are_cpythons(run):
    oracle = run.oracle
    threads, = shell_for(run).json("threads")
    ours = {row["ident"]: row for row in threads["threads"]}
    cpythons = {row["ident"]: row for row in oracle["threads"]}
    assert set(ours) == set(cpythons)
    for ident, truth in cpythons.items():
        assert ours[ident]["name"] == truth["name"]
        assert ours[ident]["main"] == truth["main"]
        if truth["native_id"] is not None:  # 3.8+
            assert ours[ident]["tid"] == truth["native_id"]
        if not truth["main"]:
            assert ours[ident]["frames"] == len(truth["frames"])


@pytest.mark.parametrize("run", pairs(["threads_and_generators"]), indirect=True)
def test_stacks_lines_and_locals(run):
    oracle = run.oracle
    stack, = shell_for(run).json("stack")
    ours = {row["ident"]: row for row in stack["threads"]}
    for truth in oracle["threads"]:
        frames = ours[truth["ident"]]["frames"]
        expected = truth["frames"]
        if truth["main"]:
            # it waits in `wait`, whose own line moved on after it told its stack
            assert frames[0]["function"] == expected[0]["function"] == "wait"
            frames, expected = frames[1:], expected[1:]
        assert [line_of(f) for f in frames] == [line_of(f) for f in expected], truth["name"]
        for frame, true_frame in zip(frames, expected):
            named = {v["name"]: int(v["address"], 16) for v in frame["locals"] if v["name"]}
            # a cell is shown as the cell or as what it holds; f_locals tells what it holds
            missing = {name for name, address in true_frame["locals"].items()
                       if named.get(name) != address and frame["function"] != "<module>"}
            cells = {v["name"] for v in frame["locals"] if v["type"] == "builtins.cell"}
            assert missing - cells == set(), (truth["name"], frame["function"])


@pytest.mark.parametrize("run", pairs(["threads_and_generators"]), indirect=True)
def test_planted_locals_by_name(run):
    """Each planted marker is a local of the frame that planted it."""
    planted = run.planted
    stack, = shell_for(run).json("stack")
    ours = {(thread["name"], variable["name"]): int(variable["address"], 16)
            for thread in stack["threads"] for frame in thread["frames"] for variable in frame["locals"]
            if variable["type"] == "__main__.Marker"}
    assert ours[("r\u00e9veil", "planted_sleep")] == planted["sleeper"]
    assert ours[("deep-thread", "marker")] == planted["deep_argument"]
    assert ours[("MainThread", "main_local")] == planted["main_local"]


@pytest.mark.parametrize("run", pairs(["threads_and_generators"]), indirect=True)
def test_one_thread_by_its_id(run):
    truth = next(t for t in run.oracle["threads"] if t["name"] == "deep-thread")
    shell = shell_for(run)
    threads, = shell.json("threads")
    row = next(t for t in threads["threads"] if t["name"] == "deep-thread")
    stack, = shell.json("stack %d" % row["tid"])
    assert [t["ident"] for t in stack["threads"]] == [truth["ident"]]
    assert sum(f["function"] == "recurse" for f in stack["threads"][0]["frames"]) == 41


@pytest.mark.parametrize("run", pairs(["threads_and_generators"]), indirect=True)
def test_no_such_thread(run):
    status, _, err = shell_for(run).call("stack", "1", "--json")
    assert status == 1 and '"no_such_thread"' in err


@pytest.mark.parametrize("run", pairs(["threads_and_generators"]), indirect=True)
def test_suspended_generators(run):
    oracle, planted = run.oracle, run.planted
    for name, truth in oracle["suspended"].items():
        answer, = shell_for(run).json("object %#x" % planted[name])
        assert answer["frame"]["function"] == truth["function"]
        assert answer["frame"]["line"] == truth["line"]
        values = {int(v["address"], 16) for v in answer["frame"]["locals"]}
        marker = {"generator_0": "in_generator_0", "delegating": "in_outer"}[name]
        assert planted[marker] in values
    done, = shell_for(run).json("object %#x" % planted["finished"])
    assert not done.get("frame")
