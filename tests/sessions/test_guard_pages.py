"""glibc 2.42 makes the guard page of a thread's stack with MADV_GUARD_INSTALL. The pagemap shows
it with the bit of a swapped page, and nobody can read it: nothing of the process is missing."""
import os
import struct

import pytest

import matrix
import programs
from sessions import Shell

PAGE = os.sysconf("SC_PAGE_SIZE")


def guard_pages(pid):
    """How many pages the kernel says are guard regions (bit 58)."""
    count = 0
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/pagemap" % pid, "rb", buffering=0) as pagemap:
        for line in maps:
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            if line.split()[4] != "0" or end - start > 1 << 30 or "[v" in line:
                continue
            pagemap.seek(start // PAGE * 8)
            data = pagemap.read((end - start) // PAGE * 8)
            count += sum(bool(entry >> 58 & 1) for entry, in struct.iter_unpack("=Q", data))
    return count


@pytest.mark.parametrize("interpreter", [i for i in matrix.matrix()[0] if i.minor >= (3, 14)], ids=repr)
def test_nothing_is_missing_and_nothing_in_swap(interpreter, gap, tmp_path):
    program = programs.PROGRAMS["threads_and_generators"]
    with programs.held(interpreter, program, str(tmp_path)) as run:
        guards = guard_pages(run.pid)
        shell = Shell(pid=run.pid, options=interpreter.target_options())
        answers = shell.json("info", "census", "threads", "memory")
        text, = shell.text("memory")
    if not guards:
        gap("no guard regions: glibc before 2.42 or Linux before 6.15 (%s)" % interpreter)
    assert guards >= 4  # a thread, a page
    for answer in answers:
        assert "incomplete" not in answer, answer["incomplete"]
    assert answers[3]["swapped"] == 0
    assert "swap" not in text.lower() and "incomplete" not in text


@pytest.mark.parametrize("interpreter", [i for i in matrix.matrix()[0] if i.minor >= (3, 14)][:1], ids=repr)
def test_stacks_that_gcore_left_out(interpreter, gap, tmp_path):
    """It is said once, and not thread by thread."""
    with programs.held(interpreter, programs.PROGRAMS["threads_and_generators"], str(tmp_path)) as run:
        core = str(tmp_path / "core.gcore")
        log = programs.gcore(run, core)
    if not [line for line in log.splitlines() if "Memory read failed" in line and "0xffffffffff" not in line]:
        gap("gdb's gcore leaves out no stack (%s)" % interpreter)
    shell = Shell(core=core, options=interpreter.target_options())
    for answer in shell.json("info", "threads", "stack"):
        lost = [line for line in answer["incomplete"] if "stack" in line]
        assert len(lost) == 1 and "the stacks of 4 of 5 threads" in lost[0] and "guard pages" in lost[0]
