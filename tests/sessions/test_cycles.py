"""What gc.collect() would free: the very set that CPython's collector finds in the same heap."""
import os

import pytest

import programs
from conftest import pairs
from programs import PROGRAMS
from sessions import Shell, shell_for

# Every program with one interpreter, frozen outside of a collection.
ORDINARY = [name for name, program in PROGRAMS.items()
            if not program.threads and name not in ("inside_collection", "large")]
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
    if run.program.name.startswith("cycles_"):
        assert len(ours) > 500


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
