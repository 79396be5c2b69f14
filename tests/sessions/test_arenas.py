"""pymalloc's numbers, equal to sys._debugmallocstats() and sys.getallocatedblocks() at that instant."""
import re
import xml.etree.ElementTree

import pytest

from conftest import pairs
from programs import PROGRAMS
from sessions import shell_for

FORKED = [name for name, program in PROGRAMS.items()
          if not program.apart and not program.threads or program.file == "allocators"]


def nameless(interpreter, until):
    """Has it no symbols, and keeps (before that version) in static variables what is asked for?"""
    return interpreter.minor < until and not interpreter.has_symbols()


def stats_of(text):
    """What sys._debugmallocstats() printed: size classes, sums, free lists."""
    classes, sums, lists = {}, {}, {}
    for line in text.splitlines():
        row = re.match(r"\s*\d+\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$", line)
        if row:
            size, pools, used, free = map(int, row.groups())
            classes[size] = (pools, used, free)
            continue
        row = re.match(r"\s*(-?\d+) free (?:(\d+)-sized )?(\w+?)s? \* (\d+) bytes each", line)
        if row:
            count, length, name, _ = row.groups()
            lists[name + (length or "")] = int(count)
            continue
        row = re.match(r"(.*\S)\s*=\s*([\d,]+)$", line)
        if row and row.group(1) not in sums:  # a second Total is that of the map of arenas
            sums[row.group(1)] = int(row.group(2).replace(",", ""))
    return classes, sums, lists


def classes_of(answer):
    return {row["size"]: (row["pools"], row["blocks_used"], row["blocks_free"]) for row in answer["size_classes"]}


@pytest.mark.parametrize("run", pairs(FORKED), indirect=True)
def test_arenas_equal_cpythons(run):
    oracle = run.oracle["allocator"]
    classes, sums, _ = stats_of(oracle["stats"])
    answer, = shell_for(run).json("arenas")
    assert "incomplete" not in answer
    if not classes:  # 3.6 and 3.7 put the hooks of "debug" on top of malloc()
        assert run.program.name != "allocator_debug" or run.interpreter.minor < (3, 8)
        assert answer["allocator"] == run.program.name.split("_")[1].replace("debug", "malloc_debug")
        assert answer["arenas"] == answer["bytes"] == answer["blocks_used"] == 0
        return
    debug = run.program.name == "allocator_debug" or run.oracle["debug_build"]
    assert answer["allocator"] == ("pymalloc_debug" if debug else "pymalloc")
    assert classes_of(answer) == classes
    assert answer["arenas"] == sums["# arenas allocated current"]
    assert answer["bytes"] == sums["Total"]
    assert answer["bytes_in_use"] == sums["# bytes in allocated blocks"]
    assert answer["bytes_partly_used_pools"] == sums["# bytes in available blocks"]
    assert answer["bytes_pool_headers"] == sums["# bytes lost to pool headers"]
    assert answer["bytes_pool_tails"] == sums["# bytes lost to quantization"]
    assert answer["bytes_alignment"] == sums["# bytes lost to arena alignment"]
    unused = [v for k, v in sums.items() if "unused pools" in k]
    assert answer["bytes_free_pools"] == unused[0]
    assert answer["bytes_unknown"] == 0
    assert answer["bytes_free"] == answer["bytes_partly_used_pools"] + answer["bytes_free_pools"]
    assert 0 < answer["rounding_blocks"] <= answer["blocks_used"]
    assert answer["rounding_blocks"] == answer["blocks_used"] or not debug
    nothing = nameless(run.interpreter, (3, 12))  # of the counter of larger blocks, and of the tree of arenas
    if nothing:
        assert answer["allocated_blocks"] is None
    else:
        assert answer["allocated_blocks"] == oracle["allocated_blocks"]
    if "# arena map mid nodes" in sums and not nothing:
        tree = answer["arena_map"]
        assert tree["mid_nodes"] == sums["# arena map mid nodes"]
        assert tree["bot_nodes"] == sums["# arena map bot nodes"]
        assert tree["bytes_root"] == sums["# bytes lost to arena map root"]
        assert tree["bytes_mid"] == sums["# bytes lost to arena map mid"]
        assert tree["bytes_bot"] == sums["# bytes lost to arena map bot"]
    else:
        assert "arena_map" not in answer
    process = answer["process"]
    assert process["blocks_used"] == sum(row["blocks_used"] for row in answer["by_interpreter"])
    assert process["bytes"] == process["arenas"] * answer["arena_size"]
    assert process["bytes"] == sum(process[key] for key in (
        "bytes_in_use", "bytes_free", "bytes_pool_headers", "bytes_pool_tails", "bytes_alignment"))
    # interpreters of their own: isolated ones, which 3.12 makes unless it is told otherwise
    shared = run.program.name != "allocator_isolated" and not (
        run.program.name == "subinterpreters" and run.interpreter.minor == (3, 12))
    assert len(answer["by_interpreter"]) == (1 if shared else 3)
    assert sorted(i for row in answer["by_interpreter"] for i in row["interpreters"]) == \
        list(range(3 if "made" in run.planted and run.program.name != "toy" else 1))


@pytest.mark.parametrize("run", pairs(["stdlib_at_work"]), indirect=True)
def test_pictures_show_every_pool(run):
    shell = shell_for(run)
    answer, = shell.json("arenas --map")
    assert len(answer["arena_list"]) == answer["arenas"]
    for row in answer["arena_list"]:
        assert len(row["map"]) == answer["arena_size"] // answer["pool_size"] or \
            len(row["map"]) == answer["arena_size"] // answer["pool_size"] - 1
        assert sum(c in "▁▂▃▄▅▆▇█" for c in row["map"]) == row["pools"]
        assert sum(c in " ." for c in row["map"]) == row["free_pools"]
    text, few, svg = shell.text("arenas --map --limit 0", "arenas --map --limit 1", "arenas --format svg")
    assert sum(text.count(c) for c in "▁▂▃▄▅▆▇█") == answer["process"]["pools"] + 8  # and the legend
    if answer["arenas"] > 1:
        assert sum(few.count(c) for c in "▁▂▃▄▅▆▇█") <= answer["arenas"] + 8
    picture = xml.etree.ElementTree.fromstring(svg)
    assert picture.tag.endswith("svg") and "script" not in svg and "href" not in svg
    pools = sum(int(r.get("width")) + 1 for r in picture.iter("{http://www.w3.org/2000/svg}rect")
                if r.get("y") and int(r.get("y")) >= 84)
    assert pools == 10 * sum(len(row["map"]) for row in answer["arena_list"])
    status, _, err = shell.call("arenas", "--format", "svg", "--json")
    assert status == 2 and "exclude each other" in err


# What sys._debugmallocstats() calls the types.
NAMES = {"builtins.dict": "PyDictObject", "PyDictKeysObject": "PyDictKeysObject", "builtins.float": "PyFloatObject",
         "builtins.list": "PyListObject", "builtins.frame": "PyFrameObject", "builtins.method": "PyMethodObject",
         "builtins.builtin_function_or_method": "PyCFunctionObject"}


@pytest.mark.parametrize("run", pairs(FORKED), indirect=True)
def test_free_lists_equal_cpythons(run):
    _, _, lists = stats_of(run.oracle["allocator"]["stats"])
    answer, arenas = shell_for(run).json("freelists", "arenas")
    if nameless(run.interpreter, (3, 10)):
        assert answer["unknown"] and "incomplete" in answer
        # the module has its symbols, and frames are found from their code
        assert {row["type"] for row in answer["types"]} <= {"_asyncio.FutureIter", "frame of a code object"}
        return
    assert not answer["unknown"]
    assert "incomplete" not in answer
    if run.program.name == "asyncio_service":
        futures, = [row for row in answer["types"] if row["type"] == "_asyncio.FutureIter"]
        assert futures["objects"] > 0 or run.interpreter.minor < (3, 7)
    rows = {row["type"]: row for row in answer["types"]}
    assert len(rows) == len(answer["types"])
    # every list's length is the count that CPython keeps
    assert [row["type"] for row in answer["types"] if not row["agrees"]] == []
    ours = {}
    for type_name, row in rows.items():
        if type_name == "builtins.tuple":
            ours.update(("PyTupleObject%d" % n["length"], n["objects"]) for n in row["lengths"])
        elif NAMES.get(type_name) in lists:
            ours[NAMES[type_name]] = row["objects"]
        assert row["objects"] <= row["maximum"]
        assert bool(row["bytes"]) == bool(row["objects"])
    assert ours == {name: n for name, n in lists.items()}
    assert answer["objects"] == sum(row["objects"] for row in answer["types"]) > 0
    assert answer["bytes"] == sum(row["bytes"] for row in answer["types"])
    if arenas["arenas"]:
        assert answer["bytes"] < arenas["bytes_in_use"]
        assert not any(row.get("estimated") for type_name, row in rows.items()
                       if type_name not in ("_PyObjectStackChunk", "block of collections.deque", "builtins.frame", "frame of a code object"))


# --- the articles' experiments ---

FEW = ("3.6", "3.8", "3.10", "3.11", "3.12", "3.13", "3.14-debian")


def few(name):
    return pairs([name], lambda interpreter: interpreter.name in FEW)


@pytest.mark.parametrize("run", few("list_dropped"), indirect=True)
def test_a_dropped_list_leaves_free_blocks(run):
    """200,000 floats of 24 bytes died between as many that live: nothing can go back."""
    answer, = shell_for(run).json("arenas --pins")
    row, = [c for c in answer["size_classes"] if c["size"] == (24 if run.interpreter.minor < (3, 7) and
            any(c["size"] == 24 for c in answer["size_classes"]) else 32)]
    assert row["blocks_free"] >= 199000
    assert row["blocks_used"] >= 200000
    assert answer["bytes_partly_used_pools"] >= row["blocks_free"] * row["size"]
    # every arena of theirs is half full: none is kept by a few blocks alone
    arenas = {a for a in (int(run.oracle["planted"]["kept"]["address"]) >> 20,)}
    assert arenas and all(row["bytes_in_use"] <= row["bytes"] // 10 for row in answer["pins"]["arenas"])


@pytest.mark.parametrize("run", few("survivors"), indirect=True)
def test_one_survivor_keeps_an_arena(run):
    oracle = run.oracle
    answer, = shell_for(run).json("arenas --pins --below 2")
    pins = answer["pins"]
    group, = [g for g in pins["kept_by"] if g["what"] == "__main__.Survivor"]
    assert group["arenas_alone"] >= 18
    assert group["bytes_alone"] == group["arenas_alone"] * answer["arena_size"]
    assert pins["bytes"] == len(pins["arenas"]) * answer["arena_size"]
    assert pins["blocks"] == sum(len(row["blocks"]) for row in pins["arenas"])
    assert pins["bytes_in_use"] == sum(b["size"] for row in pins["arenas"] for b in row["blocks"])
    # each is named, with what holds it
    for row in pins["arenas"]:
        assert all("held_by" in b for b in row["blocks"] if b["kind"] in ("object", "buffer") and "address" in b)
    names = [b["held_by"] for row in pins["arenas"] for b in row["blocks"] if b.get("type") == "__main__.Survivor"]
    assert len(names) == group["blocks"] and all("kept" in name for name in names)
    assert pins["held_by"][0]["held_by"].endswith("['kept'][…]")
    assert pins["held_by"][0]["arenas"] == group["arenas"]
    assert pins["held_by"][0]["blocks"] >= group["blocks"]
    # and that is what goes back when the survivors go, but for a few that what happens meanwhile uses
    assert abs(oracle["arenas_before"] - oracle["arenas_after"] - group["arenas_alone"]) <= 4
    text, = shell_for(run).text("arenas --pins --below 2")
    assert "would go back to the system if" in text and "__main__.Survivor" in text


@pytest.mark.parametrize("run", few("free_lists"), indirect=True)
def test_free_lists_hold_what_died(run):
    answer, = shell_for(run).json("freelists")
    rows = {row["type"]: row for row in answer["types"]}
    assert rows["builtins.float"]["objects"] >= 80  # of 100
    pairs_kept, = [n for n in rows["builtins.tuple"]["lengths"] if n["length"] == 2]
    assert pairs_kept["objects"] >= 1700  # of 2000
    size = pairs_kept["bytes"] // pairs_kept["objects"]
    assert pairs_kept["bytes"] == size * pairs_kept["objects"] and 56 <= size <= 80
    # a frame for every function that was called, none for those that were not
    zombies = rows.get("frame of a code object")
    assert bool(zombies) == (run.interpreter.minor < (3, 11))
    if zombies:
        assert zombies["objects"] >= 300 and zombies["maximum"] - zombies["objects"] >= 300
        assert zombies["bytes"] >= 300 * 400


@pytest.mark.parametrize("run", pairs(["waste"]), indirect=True)
def test_waste_is_what_a_copy_would_save(run):
    oracle, planted = run.oracle, run.planted
    answer, = shell_for(run).json("memory --waste --quick")
    rows = {int(row["address"], 16): row for row in answer["objects"]}
    expected = dict(oracle["waste"])
    if run.interpreter.minor < (3, 7):
        # dict(x) and set(x) were not yet as small as they could be
        for name in ("deleted", "discarded"):
            assert rows[planted[name]]["bytes"] >= expected.pop(name)
    copies = {name: expected.pop(name) for name in ("string", "blob", "wide")}
    ours = {name: rows.get(planted[name], {"bytes": 0})["bytes"] for name in expected}
    assert ours == expected
    by_bytes = {(row["kind"], row["bytes"], row["room"]) for row in answer["objects"]}
    assert ("str", copies["string"], 100000) in by_bytes
    assert ("bytes", copies["blob"], 1000) in by_bytes
    assert ("str", copies["wide"], 500) in by_bytes
    # the buffer that ten bytes of view keep, and one that has a name besides
    row = rows[oracle["buffer"]]
    assert (row["kind"], row["used"], row["room"]) == ("view", 10, 50 << 20)
    assert row["bytes"] == (50 << 20) - 10
    assert planted["shared"] not in rows
    assert ("deque" in {row["kind"] for row in answer["objects"] if int(row["address"], 16) == planted["queue"]}) == \
        (run.interpreter.minor >= (3, 11))  # spare blocks are its own since then
    for kind in answer["waste"]:
        items = [row for row in answer["objects"] if row["kind"] == kind["kind"]]
        assert kind["bytes"] == sum(row["bytes"] for row in items)
    assert answer["bytes"] == sum(kind["bytes"] for kind in answer["waste"])


@pytest.mark.parametrize("run", pairs(["array_views"]), indirect=True)
def test_views_of_arrays_keep_all_of_them(run):
    answer, = shell_for(run).json("memory --waste --quick")
    rows = {int(row["address"], 16): row for row in answer["objects"] if row["kind"] == "view"}
    ten, row = (rows[address] for address in run.oracle["bases"])
    assert (ten["used"], ten["room"], ten["bytes"]) == (80, 80000000, 80000000 - 80)
    assert (row["used"], row["room"], row["bytes"]) == (2000, 2000000, 2000000 - 2000)
    assert run.planted["named"] not in rows
    through = rows[run.oracle["through"]]
    assert (through["used"], through["room"]) == (100, 4 << 20)


@pytest.mark.parametrize("run", few("waste"), indirect=True)
def test_waste_is_told_with_its_holder(run):
    text, = shell_for(run).text("memory --waste --limit 12")
    for line in ("views show 10 B of 50.0 MiB", "100,000 times", "strings that are there more than once"):
        assert line in text, text
    assert re.search(r"5,000 items, room for [\d,]+ +\S*\['deleted'\]", text), text


@pytest.mark.parametrize("run", few("lru_cache"), indirect=True)
def test_a_cache_is_named_as_the_holder(run):
    wrapper = run.planted["rendered"]
    why, dominators = shell_for(run).json("why %#x --paths 3" % run.planted["page"], "dominators %#x" % wrapper)
    assert why["held"] == "exact"
    assert any(path["path"] in ("__main__.rendered → cached result for key 7",
                                "__main__.rendered → cached result for key (7,)") for path in why["paths"])
    # it alone keeps every page but the one that has another name
    assert dominators["type"] == "functools._lru_cache_wrapper"
    assert 999 * 20000 < dominators["retained"] < 1000 * 20400


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("run", pairs(["toy"], lambda interpreter: interpreter.name in ("3.9", "3.12")), indirect=True)
def test_pins_of_a_damaged_core(run, number, tmp_path):
    """Every arena counts as almost empty; pools and free lists lie."""
    import os
    import random
    from test_damaged import SEED, shell_on
    rng = random.Random("%d pins %s %d" % (SEED, run.interpreter, number))
    with open(run.core, "rb") as f:
        data = bytearray(f.read())
    for _ in range(3000):
        data[rng.randrange(20000, len(data))] ^= rng.randrange(1, 256)
    path = os.path.join(str(tmp_path), "core")
    with open(path, "wb") as f:
        f.write(data[:rng.randrange(len(data) // 2, len(data))] if number % 2 else data)
    status, out, err = shell_on(run, path).call("arenas", "--pins", "--below", "100", "--limit", "50", "--json",
                                                timeout=60)
    assert status in (0, 1), (SEED, number, err[-1000:])
