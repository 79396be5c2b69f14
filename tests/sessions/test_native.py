"""What native code holds: C variables, C stacks, thread-local storage, malloc's chunks, and a
reference that was counted and forgotten; named alike in the shell, gdb and lldb."""
import fnmatch

import pytest

import matrix
import programs
from conftest import needs_emulator, pairs
from sessions import Gdb, Lldb, shell_for

PLACES = {
    "static": ("c_static", "native_holder.so:holder_cache"),
    "entry": ("c_static", "native_holder.so:holder_table+0x18"),
    "hidden": ("c_static", "native_holder.so:holder_hidden"),
    "store": ("native", "malloc chunk 0x* (1?? bytes, probably an instance of app::Store)+0x10"),
    "large": ("native", "malloc chunk 0x* (21????? bytes)+0x1000"),
    "stack": ("c_stack", "C stack of thread * at sp+0x*"),
    "local": ("c_static", "thread-local storage of thread * at tp-0x*"),
    "register": ("register", "register r12 of thread *"),
}


def interpreters():
    return [i for i in matrix.matrix()[0] if not i.root and i.name in ("3.6", "3.8", "3.11", "3.13", "system")]


@pytest.fixture(params=interpreters(), ids=lambda i: i.name)
def holders(request):
    return programs.core_of(request.param, programs.PROGRAMS["native_holders"])


def ways(run):
    yield shell_for(run)
    if run.interpreter.name in ("3.11", "system"):
        yield Gdb(core=run.core, exe=run.interpreter.exe)
        yield Lldb(core=run.core, exe=run.interpreter.exe)


def test_each_place_by_name(holders):
    run = holders
    held = run.oracle["held"]
    for session in ways(run):
        answers = dict(zip(sorted(held), session.json(*("referrers %#x" % held[name] for name in sorted(held)))))
        for name, (kind, pattern) in PLACES.items():
            if name not in held:  # x86-64's alone
                continue
            answer = answers[name]
            if name == "stack" and session.kind != "shell":
                pattern += " in blocked_in_c"
            roots = [(r["kind"], r["name"]) for r in answer["roots"]]
            assert [r for r in roots if r[0] == kind and fnmatch.fnmatchcase(r[1], pattern)], (session.kind, name, roots)
            assert all(r["certainty"] == "possible" for r in answer["roots"]), (session.kind, name)
            # what C holds is shown beside what was not found, never taken off
            assert (answer["refcount"], answer["unexplained"]) == (1, 1), (session.kind, name)
        for name in ("leaked", "kept"):
            kinds = {r["kind"] for r in answers[name]["roots"]}
            assert not kinds & {"c_static", "native"}, (session.kind, name, answers[name]["roots"])
        assert (answers["leaked"]["refcount"], answers["leaked"]["unexplained"]) == (1, 1)
        assert answers["kept"]["unexplained"] == 0


def test_a_type_at_the_end_of_a_library(holders):
    """A C variable is smaller than a heap type: nothing has to be there behind it."""
    answer, = shell_for(holders).json("referrers %#x --raw" % holders.oracle["held"]["last"])
    assert answer["type"] == "builtins.type" and [row["edge"] for row in answer["referrers"]] == ["[0]"]


@pytest.mark.parametrize("debugger", [Gdb, Lldb], ids=["gdb", "lldb"])
def test_live_threads_in_a_debugger(debugger, tmp_path):
    """Of a process that it stopped only the debugger knows the registers; lldb 14 not where
    thread-local storage is, which is then part of the stack."""
    interpreter = matrix.by_name("system") or matrix.by_name("3.11")
    with programs.held(interpreter, programs.PROGRAMS["native_holders"], str(tmp_path)) as run:
        names = [name for name in ("stack", "local", "register") if name in run.oracle["held"] and
                 (name != "local" or debugger is Gdb)]
        answers = debugger(pid=run.pid).json(*("referrers %#x" % run.oracle["held"][name] for name in names))
    for name, answer in zip(names, answers):
        kind, pattern = PLACES[name]
        pattern += " in blocked_in_c" if name == "stack" else ""
        roots = [(r["kind"], r["name"]) for r in answer["roots"]]
        assert [r for r in roots if r[0] == kind and fnmatch.fnmatchcase(r[1], pattern)], (name, roots)


@needs_emulator
@pytest.mark.parametrize("run", pairs(["pandas_frames", "toy", "stdlib_at_work"]), indirect=True)
def test_nothing_is_guessed_where_the_binaries_are(run):
    """Every type's references are certain: natively, as learned, or from its own code."""
    info, = shell_for(run).json("info")
    assert info["inferred_references"] == 0
