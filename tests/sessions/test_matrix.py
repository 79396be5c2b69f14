"""What was tested: the interpreters this machine has, against those there should be."""
import os

import pytest

import matrix
import programs


def test_no_interpreter_is_missing(record_property):
    found, gaps = matrix.matrix()
    for name, why in gaps:
        record_property("gap", "%s: %s" % (name, why))
    if os.environ.get("MATRIX") == "full":
        assert not gaps
    assert "system" in [i.name for i in found]


def test_kernel_writes_cores(gap):
    why = programs.kernel_cores()
    if why:
        gap(why)


@pytest.mark.parametrize("interpreter", matrix.matrix()[0], ids=repr)
def test_at_least_five_programs_each(interpreter):
    names = [p.name for p in programs.PROGRAMS.values() if p.runs_on(interpreter) is None]
    assert len(names) >= 5 and "stdlib_at_work" in names


def test_two_programs_are_real_software():
    for name in ("django_app", "pandas_frames"):
        if not any(programs.PROGRAMS[name].runs_on(i) is None for i in matrix.matrix()[0]):
            assert os.environ.get("MATRIX") != "full", "%s ran nowhere" % name
