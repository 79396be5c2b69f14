"""numpy and pandas at work: arrays of many dtypes and shapes, views, frames, group-bys, time series."""
import numpy
import pandas

import oracle


def main():
    rng = numpy.random.RandomState(1)
    owned = rng.rand(100, 50)
    structured = numpy.zeros(10, dtype=[("id", "i4"), ("name", "U8"), ("xy", "f8", (2,))])
    objects = numpy.array([None, "text", [1, 2], {"k": 1}], dtype=object)
    frame = pandas.DataFrame({
        "key": ["k%d" % (i % 13) for i in range(1000)], "value": rng.rand(1000),
        "when": pandas.date_range("2024-01-01", periods=1000, freq="h"),
        "n": range(1000)})
    grouped = frame.groupby("key")["value"].agg(["mean", "sum", "count"])
    pivot = frame.assign(day=frame["when"].dt.dayofyear).pivot_table(index="day", columns="key", values="n")
    merged = frame.merge(grouped.reset_index(), on="key")
    categorical = frame["key"].astype("category")
    multi = frame.set_index(["key", "when"]).sort_index()
    large = numpy.array([bytes(1000 + i) for i in range(200)], dtype=object)
    oracle.finish({
        "owned": owned, "view": owned[10:20, ::2], "transposed": owned.T, "zero_d": numpy.array(5),
        "int8": numpy.arange(7, dtype="int8"), "bools": numpy.ones((2, 3, 4), dtype=bool),
        "structured": structured, "objects": objects, "datetime64": numpy.array(["2024-02-29"], dtype="M8[D]"),
        "scalar": numpy.float64(2.5), "dtype": owned.dtype, "masked": numpy.ma.masked_less(owned, 0.5),
        "frame": frame, "series": frame["value"], "index": frame.index, "multi": multi, "pivot": pivot,
        "merged": merged, "categorical": categorical, "timestamp": pandas.Timestamp("2024-02-29"),
        "grouped": grouped, "large": large, "empty": numpy.empty((0, 3)), "bigendian": numpy.arange(3, dtype=">i2"),
    }, lambda: {"large": {"large": [id(o) for o in large]}, "arrays": {name: {"dtype": str(a.dtype), "shape": list(a.shape)} for name, a in (
        ("owned", owned), ("view", owned[10:20, ::2]), ("zero_d", numpy.array(5)),
        ("int8", numpy.arange(7, dtype="int8")), ("bools", numpy.ones((2, 3, 4), dtype=bool)),
        ("empty", numpy.empty((0, 3))))}})


main()
