"""The census and the collector's numbers, equal to CPython's own at that instant."""
import re

import pytest

from conftest import pairs
from programs import PROGRAMS
from sessions import shell_for


def differences(got, expected):
    """Rows that differ, as text: type, ours, CPython's."""
    return ["%s: ours %s, CPython's %s" % (key, got.get(key, 0), expected.get(key, 0))
            for key in sorted(set(got) | set(expected)) if got.get(key, 0) != expected.get(key, 0)]


def tracked_by_type(census):
    """{type: how many the collector tracks}; a name stands in one row only."""
    names = [row["type"] for row in census["types"]]
    assert len(names) == len(set(names)), "two rows of one name"
    return {row["type"]: row["gc_count"] for row in census["types"] if row["gc_count"]}


ONE_INTERPRETER = [name for name, program in PROGRAMS.items()
                   if not program.threads and not program.apart and name != "subinterpreters"]


@pytest.mark.parametrize("run", pairs(ONE_INTERPRETER), indirect=True)
def test_heap_equals_cpythons(run):
    oracle = run.oracle
    asked = ["census", "gc"]
    by_generation = oracle["generations"] is not None
    if by_generation:
        asked += ["census --generation %d" % g for g in range(3)]
    answers = shell_for(run).json(*asked)
    census, gc = answers[:2]

    if "collecting" not in oracle:  # inside a collection a list may be told as unfinished
        assert "incomplete" not in census and "incomplete" not in gc
    assert census["command"] == "census" and gc["command"] == "gc"
    ours = tracked_by_type(census)
    cpythons = {name: sum(n) if by_generation else n for name, n in oracle["types"].items()}
    assert differences(ours, cpythons) == []
    assert census["gc_objects"] == oracle["tracked"]
    assert census["objects"] == sum(row["count"] for row in census["types"]) >= oracle["tracked"]
    assert census["bytes"] == sum(row["bytes"] for row in census["types"]) > 0

    truth = oracle["gc"]
    assert gc["enabled"] == truth["enabled"]
    assert gc["collecting"] == oracle.get("collecting", False)
    assert gc["debug"] == truth["debug"]
    assert [row["threshold"] for row in gc["generations"]] == truth["threshold"]
    assert [row["count"] for row in gc["generations"]] == truth["count"]
    assert [[s["collections"], s["collected"], s["uncollectable"]] for s in gc["stats"]] == truth["stats"]
    assert gc["frozen"] == truth["frozen"]
    assert gc["garbage"] == truth["garbage"]
    assert sum(row["objects"] for row in gc["generations"]) == oracle["tracked"]
    if by_generation:
        assert [row["objects"] for row in gc["generations"]] == oracle["generations"]
        for generation, answer in enumerate(answers[2:]):
            ours = tracked_by_type(answer)
            cpythons = {name: n[generation] for name, n in oracle["types"].items() if n[generation]}
            assert differences(ours, cpythons) == [], "generation %d" % generation


@pytest.mark.parametrize("run", pairs(["toy", "django_app"]), indirect=True)
def test_find_lists_the_same_objects(run):
    """Not only as many: the very same addresses, for types that have few objects."""
    rows = sorted(run.oracle["addresses"].items())[:60]
    rows = [(name, set(addresses)) for name, addresses in rows]
    answers = shell_for(run).json(*["find --type '^%s$'" % re.escape(name) for name, _ in rows])
    for (name, addresses), answer in zip(rows, answers):
        found = {int(o["address"], 16) for o in answer["objects"]}
        assert addresses - found == set(), name


@pytest.mark.parametrize("run", pairs(["inside_collection"]), indirect=True)
def test_objects_being_collected_are_not_lost(run):
    """A core taken inside a collection: what is off the generation lists is in the census."""
    census, = shell_for(run).json("census")
    rows = {row["type"]: row for row in census["types"]}
    assert rows["__main__.Dying"]["count"] == run.oracle["dying"]
    assert rows["__main__.Survivor"]["count"] == run.oracle["surviving"]


@pytest.mark.parametrize("run", pairs(["subinterpreters"]), indirect=True)
def test_every_interpreter_has_its_own_numbers(run):
    """The collector is each interpreter's own (one for all up to 3.8); the census is of the process."""
    oracle = run.oracle
    info, gc, census = shell_for(run).json("info", "gc", "census")
    assert info["interpreters"] == 3
    assert [g["objects"] for g in gc["generations"]] == oracle["generations"]
    assert [g["threshold"] for g in gc["generations"]] == oracle["gc"]["threshold"]
    shared = run.interpreter.minor < (3, 9)
    expected = {name: sum(n) for name, n in oracle["types"].items()}
    for other in [] if shared else oracle["others"]:
        for name, n in other["types"].items():
            expected[name] = expected.get(name, 0) + n
    assert differences(tracked_by_type(census), expected) == []
    assert expected["__main__.Tenant"] == 14
    if shared:
        return
    rows = gc["by_interpreter"]
    assert len(rows) == 3
    ours = sorted([g["objects"] for g in row["generations"]] for row in rows)
    assert ours == sorted([oracle["generations"]] + [other["generations"] for other in oracle["others"]])
    thresholds = sorted([g["threshold"] for g in row["generations"]] for row in rows)
    assert thresholds == sorted([oracle["gc"]["threshold"]] + [other["threshold"] for other in oracle["others"]])
