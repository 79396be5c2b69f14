"""The matrix as test parameters, the gaps as part of the report."""
import ctypes.util
import os
import random
import shutil

import pytest

import matrix
import programs

FULL = os.environ.get("MATRIX") == "full"
os.environ.setdefault("PYRETAIN_TEST_SEED", str(random.SystemRandom().randrange(10 ** 6)))


@pytest.hookimpl(tryfirst=True)  # before pytest makes itself a directory
def pytest_configure(config):
    config.addinivalue_line("markers", "slow: left out by `make quick`")
    config.addinivalue_line("markers", "xdist_group(name): tests that share one interpreter's cores")
    if not hasattr(config, "workerinput"):
        if not config.option.basetemp:
            config.option.basetemp = os.path.join(matrix.scratch(), "pytest")
        matrix.matrix()  # before the workers start: they find the scratch directory and what is in it


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput") and not os.environ.get("PYRETAIN_TEST_KEEP"):
        shutil.rmtree(matrix.scratch(), ignore_errors=True)


def pytest_collection_modifyitems(items):
    """What takes longest begins first: no worker is left alone with it at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/sessions/test_unit.py"))


def pytest_report_header(config):
    return matrix.describe() + ["scratch: " + matrix.scratch(),
                                 "PYRETAIN_TEST_SEED=" + os.environ["PYRETAIN_TEST_SEED"]]


def pytest_terminal_summary(terminalreporter):
    gaps = set()
    for reports in terminalreporter.stats.values():
        for report in reports:
            gaps.update(value for name, value in getattr(report, "user_properties", ()) if name == "gap")
    terminalreporter.section("matrix")
    # an interpreter that is not here is said once, by the matrix
    absent = [name for name, why in matrix.matrix()[1]]
    gaps = [gap for gap in gaps if not any(gap in (name + " is not here", "no " + name) or gap.startswith(name + ": ")
                                           for name in absent)]
    for line in matrix.describe() + sorted("gap: " + gap for gap in gaps):
        terminalreporter.write_line(line)


# what natively known types do not cover is then guessed at
needs_emulator = pytest.mark.skipif(not ctypes.util.find_library("unicorn"), reason="no libunicorn")


@pytest.fixture
def gap(record_property):
    """gap(why): what this test is about cannot be had here. Fatal with MATRIX=full."""
    def report(why):
        record_property("gap", why)
        if FULL:
            pytest.fail("gap: " + why)
        pytest.skip(why)
    return report


def pairs(only=None, interpreters=None):
    """Every interpreter × program that can run, as parameters with readable names.

    `only` narrows the programs, `interpreters` the interpreters (a predicate)."""
    rows = []
    for interpreter in matrix.matrix()[0]:
        if interpreters and not interpreters(interpreter):
            continue
        for program in programs.PROGRAMS.values():
            if (only is None and (program.threads or program.apart)) or (only is not None and program.name not in only):
                continue
            if program.runs_on(interpreter) is None:
                rows.append(pytest.param((interpreter, program), id="%s-%s" % (interpreter, program.name),
                                         marks=pytest.mark.xdist_group(interpreter.name)))
    return rows


def every_interpreter():
    return [pytest.param(i, id=i.name, marks=pytest.mark.xdist_group(i.name)) for i in matrix.matrix()[0]]


@pytest.fixture
def run(request):
    """The core of one interpreter × program (indirect parameter)."""
    interpreter, program = request.param
    return programs.core_of(interpreter, program)
