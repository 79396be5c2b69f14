"""Sizes, types and reprs of planted objects, as CPython itself tells them."""
import pytest

from conftest import pairs
from sessions import shell_for


def planted(run):
    """[(name, truth, our answer)] for everything the program planted."""
    rows = sorted(run.oracle["planted"].items())
    answers = shell_for(run).json(*["object %#x" % truth["address"] for _, truth in rows])
    return [(name, truth, answer) for (name, truth), answer in zip(rows, answers)]


@pytest.mark.parametrize("run", pairs(["toy"]), indirect=True)
def test_sizes_of_sixty_types_equal_getsizeof(run):
    rows = planted(run)
    wrong = ["%s (%s): ours %s, sys.getsizeof %d" % (name, truth["type"], answer["size"], truth["size"])
             for name, truth, answer in rows if answer["size"] != truth["size"]]
    assert wrong == []
    assert len({truth["type"] for _, truth, _ in rows}) >= 60


@pytest.mark.parametrize("run", pairs(["toy", "pandas_frames", "asyncio_service", "django_app"]), indirect=True)
def test_types_and_tracking(run):
    rows = planted(run)
    assert [(name, answer["type"]) for name, _, answer in rows] == [(name, truth["type"]) for name, truth, _ in rows]
    assert [(name, answer["gc"]["tracked"]) for name, _, answer in rows] == [
        (name, truth["tracked"]) for name, truth, _ in rows]
    assert [(name, int(answer["address"], 16)) for name, _, answer in rows] == [
        (name, truth["address"]) for name, truth, _ in rows]
    census, = shell_for(run).json("census")
    counted = {row["type"]: row["count"] for row in census["types"]}
    assert [name for name, truth, _ in rows if not counted.get(truth["type"])] == [], "objects not in the census"


@pytest.mark.parametrize("run", pairs(["pandas_frames", "asyncio_service", "django_app"]), indirect=True)
def test_sizes_in_real_software(run):
    wrong = ["%s (%s): ours %s, sys.getsizeof %d" % (name, truth["type"], answer["size"], truth["size"])
             for name, truth, answer in planted(run) if answer["size"] != truth["size"]
             and not truth["type"].startswith("pandas.")]  # pandas overrides __sizeof__ in Python
    assert wrong == []


@pytest.mark.parametrize("run", pairs(["toy"]), indirect=True)
def test_reprs(run):
    oracle = run.oracle
    answers = {name: answer for name, _, answer in planted(run)}
    for name, truth in oracle["planted"].items():
        if "repr" in truth and len(truth["repr"]) <= 60:
            assert answers[name]["repr"] == truth["repr"], name
    for name, text in oracle["exact"].items():
        assert answers[name]["repr"] == text, name
    for name, texts in oracle["mentions"].items():
        for text in texts:
            assert text in answers[name]["repr"], name
    for name, answer in answers.items():
        assert 0 < len(answer["repr"]) < 2000, name


@pytest.mark.parametrize("run", pairs(["toy"]), indirect=True)
def test_addresses_inside_an_object_resolve_to_it(run):
    planted_rows = run.oracle["planted"]
    names = ["plain", "list", "bigdict", "function", "longstr"]
    answers = shell_for(run).json(*["object %#x" % (planted_rows[name]["address"] + 8) for name in names])
    for name, answer in zip(names, answers):
        assert int(answer["address"], 16) == planted_rows[name]["address"], name
        assert int(answer["asked"], 16) == planted_rows[name]["address"] + 8, name
        assert answer["offset"] == 8, name


@pytest.mark.parametrize("run", pairs(["pandas_frames"]), indirect=True)
def test_arrays_show_dtype_and_shape(run):
    rows = run.oracle["arrays"]
    addresses = run.planted
    for name, answer in zip(rows, shell_for(run).json(*["object %#x" % addresses[name] for name in rows])):
        assert rows[name]["dtype"] in answer["repr"], (name, answer["repr"])
        for length in rows[name]["shape"]:
            assert str(length) in answer["repr"], (name, answer["repr"])
