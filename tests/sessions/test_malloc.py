"""malloc's totals, equal to what the C library says of itself in the same instant."""
import glob
import re

import pytest

import matrix
import programs
from programs import PROGRAMS
from sessions import Shell, shell_for

# The system's glibc, and those of Debian's later suites.
LIBCS = ("3.11", "3.13-debian", "3.14-debian", "3.15.0-debian")
NAMES = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "fsmblks", "uordblks", "fordblks", "keepcost")


def pair(name, program, gap):
    interpreter = matrix.by_name(name)
    if not interpreter:
        gap("no " + name)
    return interpreter, PROGRAMS[program]


def by_arena(xml):
    """What malloc_info() told last: (fast chunks, other free chunks and the top, bytes got) of each heap."""
    rows = []
    for heap in re.findall(r"<heap nr=.*?</heap>", xml.split("<malloc")[-1], re.S):
        count = dict(re.findall(r'<total type="(\w+)" count="(\d+)"', heap))
        system = re.search(r'<system type="current" size="(\d+)"', heap).group(1)
        rows.append((int(count.get("fast", 0)), int(count["rest"]), int(system)))
    return rows


def check(answer, oracle):
    ours, theirs = answer["mallinfo2"], oracle["mallinfo2"]
    assert {n: ours[n] for n in NAMES} == {n: theirs[n] for n in NAMES}
    assert by_arena(oracle["malloc_info"]) == [
        (a["fast_chunks"], a["unsorted_chunks"] + a["small_chunks"] + a["large_chunks"] + 1, a["system"])
        for a in answer["arenas"]]
    assert "incomplete" not in answer  # every mapped chunk was found, every region walked to its end
    assert answer["mmapped"] == theirs["hblkhd"]
    assert answer["free"] + answer["top"] == theirs["fordblks"]
    assert answer["in_use"] + answer["tcache"] == theirs["uordblks"] + theirs["hblkhd"]
    # the walk over the chunks and the lists tell the same
    assert sum(row["bytes"] for row in answer["owners"]) == answer["python_bytes"] + answer["native_bytes"]
    assert sum(row["bytes"] for row in answer["sizes"]) == answer["python_bytes"] + answer["native_bytes"]
    assert 0 <= answer["in_use"] - answer["python_bytes"] - answer["native_bytes"] < 16384 * len(answer["arenas"])
    assert len(answer["arenas"]) == oracle["threads"] + 1
    count, size = oracle["tcached"]
    assert answer["tcaches"] == oracle["threads"] + 1
    for arena in answer["arenas"]:
        assert arena["tcache_chunks"] >= count and arena["tcache"] >= count * size


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.xdist_group(n)) for n in LIBCS])
def test_totals_equal_mallinfo2(name, gap, tmp_path):
    interpreter, program = pair(name, "malloc_at_work", gap)
    run = programs.core_of(interpreter, program)
    check(shell_for(run).json("malloc")[0], run.oracle)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.xdist_group(n)) for n in LIBCS])
def test_one_thread_and_what_trim_returns(name, gap, tmp_path):
    """The prediction for the living process, against the same process's own malloc_trim(0)."""
    interpreter, program = pair(name, "malloc_alone", gap)
    with programs.held(interpreter, program, str(tmp_path)) as run:
        answer, memory = Shell(pid=run.pid).json("malloc", "memory --quick")
        oracle = run.oracle
    check(answer, oracle)
    assert oracle["trimmed"] > 1000000
    # between the copy and the trim the interpreter itself may touch a few pages
    assert abs(answer["trimmable"] - oracle["trimmed"]) <= 8 * 4096
    assert memory["trimmable"] == answer["trimmable"]


def test_by_size_and_limit(gap):
    interpreter, program = pair("3.11", "malloc_at_work", gap)
    run = programs.core_of(interpreter, program)
    shell = shell_for(run)
    text, sizes, few = shell.text("malloc", "malloc --by size", "malloc --limit 3")
    assert text.startswith("malloc (glibc) has handed out ")
    assert "ARENA" in text and "mapped chunks" in text and "WHOSE" in text and "LARGEST" in text
    assert "CHUNKS OF" in sizes and "ARENA" not in sizes
    assert "more owners" in few


# The name that an allocator is told by, and what its library is called.
OTHERS = {"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4", "mimalloc": "libmimalloc.so.[0-9]*"}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_another_allocator_is_named(name, gap, tmp_path):
    """A library that takes malloc's place is named, and its memory is not libc's."""
    found = glob.glob("/usr/lib/*/" + OTHERS[name]) + glob.glob("/usr/lib/" + OTHERS[name])
    if not found:
        gap("%s is not installed" % OTHERS[name])
    interpreter = matrix.preferably("3.11")
    preloaded = matrix.Interpreter(interpreter.name, interpreter.python, env={"LD_PRELOAD": found[0]})
    preloaded.about = interpreter.about
    with programs.held(preloaded, PROGRAMS["toy"], str(tmp_path)) as run:
        malloc, memory = Shell(pid=run.pid).json("malloc", "memory --quick")
        text = Shell(pid=run.pid).text("malloc")[0]
    assert malloc["allocator"] == name and memory["allocator"] == name
    assert name in text
    rows = {row["category"]: row["bytes"] for row in memory["rows"]}
    assert rows["other_allocator"] > 100000
    assert rows["native"] < 100000 and rows["malloc_top"] < 200000
    assert rows["unclaimed"] < memory["total"] / 50
