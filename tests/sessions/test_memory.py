"""Every byte of a process once: the rows add up to what the core holds, or to the resident set."""
import contextlib
import os
import shutil
import struct
import subprocess

import pytest

import matrix
import programs
from conftest import every_interpreter, pairs
from programs import PROGRAMS
from sessions import Gdb, Lldb, Shell, shell_for
from test_transports import stub

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


def dumped(core):
    """The bytes of all PT_LOADs that a core file says it has."""
    with open(core, "rb") as f:
        header = f.read(64)
        phoff, = struct.unpack_from("<Q", header, 32)
        phentsize, phnum = struct.unpack_from("<HH", header, 54)
        f.seek(phoff)
        table = f.read(phentsize * phnum)
    total = 0
    for i in range(phnum):
        kind, = struct.unpack_from("<I", table, i * phentsize)
        total += struct.unpack_from("<Q", table, i * phentsize + 32)[0] if kind == 1 else 0
    return total


def rollup(pid):
    """smaps_rollup in bytes, by name."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        rows = [line.split() for line in f][1:]
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}


def rows_of(answer):
    """{category: bytes}, after the checks that hold for every answer."""
    rows = {row["category"]: row["bytes"] for row in answer["rows"]}
    assert len(rows) == len(answer["rows"])
    assert sum(rows.values()) == answer["total"]
    assert sum(row["swapped"] for row in answer["rows"]) == answer["swapped"]
    assert sum(row["bytes"] for row in answer["unclaimed"]) == rows["unclaimed"]
    if answer["basis"] == "dumped":
        assert all(row["zeros"] <= row["bytes"] for row in answer["rows"])
        assert sum(row["zeros"] for row in answer["rows"]) == answer["zeros"]
    assert answer["trimmable"] <= rows["malloc_free"] + rows["malloc_top"] or rows["malloc_top"] == 0
    return rows


@pytest.mark.parametrize("run", pairs(["toy", "stdlib_at_work", "asyncio_service", "django_app", "pandas_frames"]),
                         indirect=True)
def test_rows_add_up_to_the_core(run):
    answer = shell_for(run).json("memory")[0]
    rows = rows_of(answer)
    assert answer["basis"] == "dumped"
    assert answer["total"] == dumped(run.core)
    limit = 0.05 if run.program.name == "pandas_frames" else 0.02
    assert rows["unclaimed"] <= limit * answer["total"], answer["unclaimed"][:5]
    # the objects, in whatever row their bytes are, are there
    python = rows["objects"] + rows["python_blocks"] + rows["python_buffers"] + rows["garbage"]
    assert python > 500000
    assert "incomplete" not in answer


@pytest.mark.parametrize("run", pairs(["allocator_debug", "allocator_malloc", "allocator_mimalloc",
                                        "threads_and_generators"], interpreters=lambda i: i.minor >= (3, 13)),
                         indirect=True)
def test_other_ways_to_allocate(run):
    """Objects in malloc's chunks, in mimalloc's mappings, behind the debug allocator's heads; many stacks."""
    answer = shell_for(run).json("memory")[0]
    rows = rows_of(answer)
    assert answer["total"] == dumped(run.core)
    assert rows["unclaimed"] <= 0.02 * answer["total"], answer["unclaimed"][:5]
    assert rows["objects"] > MIB
    if run.program.name == "allocator_malloc":
        assert rows["pymalloc_free"] == rows["python_blocks"] == 0
    zeros = {row["category"]: row["zeros"] for row in answer["rows"]}
    if run.program.name == "allocator_mimalloc":
        # the mapping that mimalloc reserved is in the core as a hole
        assert rows["other_allocator"] > 8 * rows["objects"]
        assert zeros["other_allocator"] > 0.9 * rows["other_allocator"]
    if run.program.name == "threads_and_generators":
        assert zeros["stacks"] > 0.9 * rows["stacks"] > 8 * MIB


@pytest.mark.parametrize("interpreter", every_interpreter())
def test_rows_add_up_to_the_resident_set(interpreter, tmp_path):
    with programs.held(interpreter, PROGRAMS["toy"], str(tmp_path)) as run:
        shell = Shell(pid=run.pid, options=interpreter.target_options())
        # a fork's other side has no pages of files yet: our look at the files' heads maps some
        shell.json("info")
        truth = rollup(run.pid)
        answer = shell.json("memory")[0]
    rows = rows_of(answer)
    assert answer["basis"] == "resident"
    assert answer["total"] == answer["rss"] == truth["Rss"]
    assert answer["swapped"] == truth.get("Swap", 0)
    assert rows["unclaimed"] <= 0.02 * answer["total"], answer["unclaimed"][:5]


def test_what_a_person_reads(gap):
    run = programs.core_of(matrix.preferably("3.11"), PROGRAMS["toy"])
    text, quick = shell_for(run).text("memory", "memory --quick")
    assert text.startswith("The core holds ")
    assert "live Python objects" in text and "total" in text
    assert "A core does not say what was resident" in text
    assert "not looked for" in quick and "not looked for" not in text


@pytest.mark.parametrize("debugger", [Gdb, Lldb])
def test_the_same_in_debuggers(debugger, gap):
    run = programs.core_of(matrix.preferably("3.11"), PROGRAMS["toy"])
    try:
        asked = debugger(core=run.core, exe=run.interpreter.exe)
        theirs, their_malloc = asked.json("memory", "malloc")
    except FileNotFoundError:
        gap("no %s" % debugger.kind)
    ours, our_malloc = shell_for(run).json("memory", "malloc")
    assert theirs["rows"] == ours["rows"] and theirs["total"] == ours["total"]
    assert their_malloc["mallinfo2"] == our_malloc["mallinfo2"]
    assert their_malloc["owners"] == our_malloc["owners"]


def test_a_core_cut_short(tmp_path):
    """What is not there is not counted, and that it is not there is said."""
    run = programs.core_of(matrix.preferably("3.11"), PROGRAMS["toy"])
    path = str(tmp_path / "core")
    with open(run.core, "rb") as source, open(path, "wb") as cut:
        cut.write(source.read(os.path.getsize(run.core) * 2 // 3))
    shell = Shell(core=path, exe=run.interpreter.exe)
    answer = shell.json("memory --quick")[0]
    rows_of(answer)
    assert answer["incomplete"]
    assert 0 < answer["total"] < dumped(run.core)


def test_through_a_debugger(tmp_path, gap):
    """A process that gdb holds is looked at directly; through a stub nothing tells what is
    resident: whole mappings are told, and so it is said."""
    if not shutil.which("gdbserver"):
        gap("no gdbserver")
    with programs.held(matrix.preferably("3.11"), PROGRAMS["toy"], str(tmp_path)) as run:
        truth = rollup(run.pid)
        direct = Gdb(pid=run.pid, exe=run.interpreter.exe).json("memory --quick")[0]
        with stub(run.pid) as address:
            remote, malloc = Gdb(remote=address, exe=run.interpreter.exe).json("memory --quick", "malloc")
    assert direct["basis"] == "resident" and direct["total"] == direct["rss"] >= truth["Rss"]
    ours, theirs = rows_of(direct), rows_of(remote)
    if remote["basis"] == "mapped":
        assert remote["summary"].endswith(".") and "cannot be known" in remote["summary"]
        assert remote["total"] > direct["total"]
    # where all pages are touched it is the same, however it is read
    for name in ("objects", "python_blocks", "malloc_free", "malloc_cached"):
        assert abs(ours[name] - theirs[name]) <= 16 * PAGE, name
    assert malloc["mallinfo2"]["arena"] > 0
    # through a stub mapped chunks are looked for only beside what is known; others are missed, and said
    assert all("mapped chunks" in line for line in malloc.get("incomplete", ()))


# --- the experiments ---

class Experiment(object):
    def __init__(self, process, pid):
        self.process, self.pid = process, pid

    def ask(self, *commands):
        return Shell(pid=self.pid).json(*commands)

    def memory(self):
        answer = self.ask("memory")[0]
        assert answer["total"] == answer["rss"]
        return answer, rows_of(answer)

    def act(self):
        """Do what the experiment is about; by how much the process's anonymous memory fell."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        word, count = self.process.stdout.readline().split()
        assert word == "done"
        return int(count)


@contextlib.contextmanager
def experiment(name, directory, interpreter="system"):
    process = matrix.by_name(interpreter).run("memory_experiments", str(directory), name, stdin=subprocess.PIPE,
                                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("holding "), process.stderr.read()[-2000:]
        yield Experiment(process, int(line.split()[1]))
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()
        process.stderr.close()


def numpy_or(gap):
    interpreter = matrix.by_name("system")
    if not interpreter or not interpreter.has("numpy"):
        gap("no system Python with numpy")


def test_large_array_is_not_there_any_more(gap, tmp_path):
    numpy_or(gap)
    with experiment("big_array", tmp_path) as e:
        answer, rows = e.memory()
        assert rows["python_buffers"] > 64 * MIB
        malloc = e.ask("malloc")[0]
        largest = malloc["largest"][0]
        assert largest["mmapped"] and largest["buffer"] == "ndarray data" and largest["type"] == "numpy.ndarray"
        fell = e.act()
        after, now = e.memory()
        assert fell >= 64 * MIB
        assert abs(answer["total"] - after["total"] - fell) < MIB
        assert now["python_buffers"] < 4 * MIB and now["malloc_free"] < 4 * MIB


def test_small_arrays_stay_in_malloc(gap, tmp_path):
    numpy_or(gap)
    with experiment("small_arrays", tmp_path) as e:
        _, before = e.memory()
        fell = e.act()
        answer, rows = e.memory()
        gone = before["python_buffers"] - rows["python_buffers"]
        assert gone > 15 * MIB and fell < 2 * MIB
        assert rows["malloc_free"] + rows["malloc_top"] - before["malloc_free"] - before["malloc_top"] > 0.95 * gone
        # between two that stay there is not one whole page
        assert answer["trimmable"] < gone / 10


def test_trim_returns_what_was_said(tmp_path):
    with experiment("fragmented", tmp_path) as e:
        answer, rows = e.memory()
        assert rows["malloc_free"] > 25 * MIB
        assert answer["trimmable"] > 20 * MIB
        assert "malloc_trim could return" in answer["summary"]
        fell = e.act()
        assert abs(fell - answer["trimmable"]) <= 16 * PAGE
        after, now = e.memory()
        assert abs(answer["total"] - after["total"] - fell) <= 64 * PAGE
        assert after["trimmable"] <= 16 * PAGE


@pytest.mark.parametrize("name", ["view", "array_view"])
def test_a_view_keeps_a_buffer(name, gap, tmp_path):
    numpy_or(gap)
    with experiment(name, tmp_path) as e:
        _, rows = e.memory()
        largest = e.ask("malloc --holders")[0]["largest"][0]
        assert rows["python_buffers"] > 24 * MIB
        assert "kept.view" in largest["held_by"]
        assert largest["size"] >= 24 * MIB and largest["python"]
        assert largest["type"] == ("builtins.bytearray" if name == "view" else "numpy.ndarray")
        fell = e.act()
        assert fell >= 24 * MIB
        assert e.memory()[1]["python_buffers"] < 4 * MIB


def test_cycles_that_the_collector_does_not_reach(tmp_path):
    with experiment("cycles", tmp_path) as e:
        answer, rows = e.memory()
        quick = rows_of(e.ask("memory --quick")[0])
        assert answer["unreachable"] >= 40000
        assert rows["garbage"] > 10 * MIB
        assert "garbage cycles that the collector has not reached: gc is disabled" in answer["summary"]
        for name in rows:  # only what Python owns is told apart further
            if name not in ("objects", "garbage", "python_blocks", "python_buffers"):
                assert rows[name] == quick[name], name
        e.act()
        after, now = e.memory()
        assert after["unreachable"] == 0 and now["garbage"] == 0


def test_dropped_list_stays_in_arenas(tmp_path):
    with experiment("big_list", tmp_path) as e:
        _, before = e.memory()
        e.act()
        _, rows = e.memory()
        gone = before["objects"] - rows["objects"]
        assert gone > 8 * MIB
        # arenas that became empty went back; the others hold what is free
        assert rows["python_buffers"] < before["python_buffers"] - 4 * MIB
        assert rows["pymalloc_free"] >= before["pymalloc_free"]


def test_stacks_of_living_and_ended_threads(tmp_path):
    with experiment("threads", tmp_path) as e:
        _, rows = e.memory()
    assert rows["stacks"] > 5 * PAGE  # the main thread's and those of four others
    assert rows["stacks"] + rows["ended_stacks"] < 8 * MIB
    assert rows["unclaimed"] < 32 * PAGE


def test_shared_and_unknown_mappings(tmp_path):
    with experiment("shared", tmp_path) as e:
        _, rows = e.memory()
        assert rows["shared"] == 16 * MIB
        e.act()
        assert e.memory()[1]["shared"] == 0
    with experiment("anonymous_mapping", tmp_path) as e:
        answer, rows = e.memory()
        assert 8 * MIB <= rows["unclaimed"] + rows["python_buffers"] < 8 * MIB + 64 * PAGE + rows["python_buffers"]
        if rows["unclaimed"] >= 8 * MIB:
            assert answer["unclaimed"][0]["looks_like"] == "text"
