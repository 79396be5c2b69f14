"""How much of all reference counts is explained, that nothing is told twice, and what the roots are called."""
import pytest

from conftest import pairs
from sessions import shell_for

STDLIB = ["toy", "stdlib_at_work", "threads_and_generators", "asyncio_service", "subinterpreters"]
FOREIGN = ["django_app", "pandas_frames"]


@pytest.mark.parametrize("run", pairs(STDLIB + FOREIGN), indirect=True)
def test_every_count_is_explained(run, record_property):
    explained = shell_for(run).json("info")[0]["explained"]
    line = "%s %s: %.2f %% of %d references" % (run.interpreter, run.program.name, 100 * explained["ratio"],
                                                explained["refcount_total"])
    print(line)
    record_property("explained", line)
    assert explained["negative"] == 0
    assert explained["ratio"] >= (0.995 if run.program.name in STDLIB else 0.98), line
    assert 0 < explained["references_found"] <= explained["refcount_total"]
