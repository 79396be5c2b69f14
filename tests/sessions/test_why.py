"""Why objects are alive: truths planted in a program, told by the shell, gdb and lldb alike."""
import os
import re
import subprocess

import pytest

import matrix
import programs
from conftest import pairs
from sessions import BUILD, Gdb, Lldb, Shell, shell_for
from test_transports import exe_for

PROGRAM = ["planted_truths"]

# marker: (kind of root, its name, the path)
HELD = {
    "module_global": ("module", "", r"__main__\.MODULE_GLOBAL"),
    "cached": ("module", "", r"app\.cache\.SESSIONS\['abc'\]\.user"),
    "class_attribute": ("module", "", r"__main__\.Holder\.attribute"),
    "slot": ("module", "", r"__main__\.SLOTS\.held"),
    "inline_values": ("module", "", r"__main__\.INLINE\.user"),
    "instance_dict": ("module", "", r"__main__\.(DICT\.user|DICT_ITSELF\['user'\])"),
    "list_item": ("module", "", r"__main__\.IN_LIST\[0\]\[1\]"),
    "set_member": ("module", "", r"__main__\.IN_SET → element"),
    "dict_key": ("module", "", r"__main__\.KEYED → key <__main__\.Marker .*>"),
    "deque_item": ("module", "", r"__main__\.IN_DEQUE\[100\]"),
    "closure": ("module", "", r'__main__\.CLOSURE → closure cell "captured" of inner'),
    "default_argument": ("module", "", r'__main__\.with_default → default argument "argument" of with_default'),
    "keyword_default": ("module", "",
                        r'__main__\.with_keyword_default → default argument "option" of with_keyword_default'),
    "bound_method": ("module", "", r"__main__\.BOUND\.__self__"),
    "partial_argument": ("module", "", r"__main__\.PARTIAL\.args\[0\]"),
    "lru_cache": ("module", "", r"__main__\.cached_result → cached result for key .*'lru_cache'.*"),
    "generator_local": ("module", "", r'__main__\.GENERATOR → local "in_generator" of generator at .*:\d+'),
    "coroutine_local": ("module", "", r'__main__\.COROUTINE → local "in_coroutine" of coroutine at .*:\d+'),
    "async_generator_local": ("module", "",
                              r'__main__\.ASYNC_GENERATOR → local "in_async_generator" of async_generator at .*:\d+'),
    "traceback": ("module", "", r'__main__\.STORED\.__traceback__\.tb_next\.tb_frame → local "in_failed_frame" of '
                                r'failing at .*:\d+'),
    "contextvar": ("thread", "MainThread", r'.* → context variable "CONTEXT_VARIABLE"'),
    "threading_local": ("module", "", r"__main__\.PER_THREAD.*\['value'\]"),
    "frame_local": ("frame_local", r'local "in_running_frame" of worker at .*planted_truths\.py:\d+ in thread .*worker-1',
                    r"in_running_frame"),
    "queue_of_thread": ("frame_local", r'local "inbox" of worker at .*planted_truths\.py:\d+ in thread .*worker-1',
                        r"inbox\.queue\[0\]"),
    "asyncio_task": ("frame_local", r"in thread .*loop", r'.* → local "in_task" of job at .*:\d+'),
    "logging_handler": ("module", "", r"logging\..*\.loggerDict\['app\.requests'\]\.handlers\[0\]\.marker"),
    "leaked_and_held": ("module", "", r"__main__\.LEAKED_AND_HELD"),
    "weakly_too": ("module", "", r"__main__\.STRONG\[0\]"),
    "viewed_buffer": ("module", "", r"__main__\.VIEW\.obj"),
    "viewed_array": ("module", "", r"__main__\.ARRAY_VIEW\.base"),
    "c_static": ("c_static", "error_print_progname", r".*error_print_progname.*"),
}
# what would let it go, as the sentence says
RELEASED = {
    "module_global": "It would be freed if the variable MODULE_GLOBAL of the module __main__ were deleted",
    "cached": "It would be freed if the key 'abc' were removed from the dict app.cache.SESSIONS.",
    "class_attribute": "It would be freed if the attribute attribute of the type __main__.Holder were deleted",
    "list_item": "It would be freed if the item [1] were removed from the list __main__.IN_LIST[0].",
    "set_member": "It would be freed if it were removed from the set __main__.IN_SET.",
    "closure": "It would be freed if the variable CLOSURE of the module __main__ were deleted",
    "frame_local": "It would be freed if that call returned",
    "leaked_and_held": "but for 1 reference to it that was not found in this heap",
    "leaked": "1 reference to it was not found in this heap",
    "garbage": "Nothing holds this __main__.Marker: it is part of an unreachable cycle",
    "viewed_buffer": "It would be freed if the variable VIEW of the module __main__ were deleted",
}


def check(planted, answers):
    wrong = []
    for name, (kind, root, path) in HELD.items():
        if name not in planted:
            continue
        answer = answers[name]
        if not answer["paths"]:
            wrong.append("%s: no path" % name)
            continue
        first = answer["paths"][0]
        if first["root"]["kind"] != kind or not re.search(root, first["root"]["name"]) or \
                not re.fullmatch(path, first["path"]):
            wrong.append("%s: %s: %s" % (name, first["root"], first["path"]))
        if int(first["steps"][-1]["address"], 16) != planted[name]:
            wrong.append("%s: ends at %s" % (name, first["steps"][-1]))
        if answer["unreachable"] or answer["not_found"] != (1 if name in ("leaked_and_held", "c_static") else 0):
            wrong.append("%s: unreachable %s, %s not found" % (name, answer["unreachable"], answer["not_found"]))
        certainty = "possible" if name == "c_static" else "exact"
        if first["certainty"] != certainty:
            wrong.append("%s: %s" % (name, first["certainty"]))
    assert wrong == []
    for name in ("garbage", "held_by_garbage"):
        assert answers[name]["paths"] == [] and answers[name]["unreachable"] is True, name
    assert answers["leaked"]["unreachable"] is False and answers["leaked"]["not_found"] == 1
    assert [p for p in answers["leaked"]["paths"] if p["certainty"] != "possible"] == []


@pytest.mark.parametrize("run", pairs(PROGRAM), indirect=True)
def test_every_way_to_keep_an_object_alive(run):
    planted = run.planted
    shell = shell_for(run)
    names = sorted(planted)
    found, *answers = shell.json(r"find --type ^__main__\\.Marker$", *["why %#x" % planted[name] for name in names])
    assert {int(row["address"], 16) for row in found["objects"]} == {
        address for name, address in planted.items() if not name.startswith("viewed")}
    check(planted, dict(zip(names, answers)))


@pytest.mark.parametrize("run", pairs(PROGRAM, lambda i: not i.root), indirect=True)
@pytest.mark.parametrize("front_end", [Gdb, Lldb], ids=["gdb", "lldb"])
def test_debuggers_say_the_same(run, front_end):
    planted = run.planted
    names = sorted(planted)
    session = front_end(core=run.core, exe=exe_for(run.interpreter))
    check(planted, dict(zip(names, session.json(*["why %#x" % planted[name] for name in names]))))


@pytest.mark.parametrize("run", pairs(PROGRAM, lambda i: not i.name.endswith("-stripped")), indirect=True)
def test_the_sentence_says_who_and_what_would_let_it_go(run):
    planted = run.planted
    names = [name for name in RELEASED if name in planted]
    status, text, err = shell_for(run).call(stdin="".join("why %#x\n" % planted[name] for name in names).encode())
    assert status == 0, err
    for name in names:
        assert RELEASED[name] in text, name


@pytest.mark.parametrize("run", pairs(PROGRAM), indirect=True)
def test_every_step_is_a_reference_in_memory(run):
    """Each step of each path is among what `refs` reads again; and no path is through a weak reference."""
    planted = run.planted
    shell = shell_for(run)
    names = ["cached", "instance_dict", "closure", "traceback", "queue_of_thread", "asyncio_task", "logging_handler",
             "weakly_too", "lru_cache"]
    answers = shell.json(*["why %#x --paths 3" % planted[name] for name in names])
    edges = [(a["address"], b["address"], a["type"], b["edge"]) for answer in answers for path in answer["paths"]
             for a, b in zip(path["steps"], path["steps"][1:])]
    owners = sorted({edge[0] for edge in edges})
    refs = dict(zip(owners, shell.json(*["refs %s --raw" % owner for owner in owners])))
    assert len(edges) > 20
    for owner, target, kind, edge in edges:
        assert target in {row["address"] for row in refs[owner]["references"]}, (owner, target, edge)
        assert "weak" not in kind.lower(), (owner, kind)


@pytest.mark.parametrize("run", pairs(PROGRAM, lambda i: i.name in ("3.7", "3.12", "system", "3.14-debian")),
                         indirect=True)
def test_paths_are_apart_and_exclude_leaves_some_out(run):
    planted = run.planted
    shell = shell_for(run)
    address = "%#x" % planted["instance_dict"]
    both, = shell.json("why %s --paths 5" % address)
    inside = [{step["address"] for step in path["steps"][3 if path["root"]["kind"] == "module" else 0:-1]}
              for path in both["paths"]]
    for i, one in enumerate(inside):
        for other in inside[i + 1:]:
            assert not one & other
    excluded, = shell.json("why %#x --exclude SESSIONS" % planted["cached"])
    assert excluded["paths"] == [] or "SESSIONS" not in excluded["paths"][0]["path"]
    kept, = shell.json("why %#x --exclude nothing_of_this_name" % planted["cached"])
    assert kept["paths"][0]["path"] == "app.cache.SESSIONS['abc'].user"


@pytest.mark.parametrize("run", pairs(PROGRAM), indirect=True)
def test_path_from_one_to_another(run):
    planted = run.planted
    shell = shell_for(run)
    why, = shell.json("why %#x" % planted["cached"])
    steps = why["paths"][0]["folded"]
    sessions = steps[-3]["address"]
    there, back, itself = shell.json("path %s %#x" % (sessions, planted["cached"]),
                                     "path %#x %s" % (planted["module_global"], steps[0]["address"]),
                                     "path %s %s" % (sessions, sessions))
    assert there["found"] and [s["edge"] for s in there["paths"][0]["folded"]] == [None, "['abc']", ".user"]
    assert itself["found"] and len(itself["paths"][0]["steps"]) == 1
    # a marker's class is in its module: all roads lead to sys.modules
    assert back["found"]


@pytest.mark.parametrize("run", pairs(PROGRAM), indirect=True)
def test_merged_paths(run):
    merged, = shell_for(run).json(r"why --type ^__main__\\.Session$")
    rows = {row["path"]: row["count"] for row in merged["merged"]}
    assert rows["app.cache.SESSIONS[…]"] == 21
    assert rows["__main__.INLINE"] == rows["__main__.DICT"] == 1
    assert rows[None] == 1  # the garbage
    assert merged["objects"] == sum(rows.values())
    chain, = shell_for(run).json(r"why --type ^__main__\\.Link$")
    assert {row["path"]: row["count"] for row in chain["merged"]} == {
        "__main__.LINKED": 1, "__main__.LINKED.next…": 99}


@pytest.mark.parametrize("run", pairs(PROGRAM, lambda i: i.root), indirect=True)
def test_without_the_binaries(run):
    """Nothing but the core: what is inferred is said to be, and nothing that is held is called garbage."""
    planted = run.planted
    names = sorted(planted)
    answers = dict(zip(names, Shell(core=run.core).json(*["why %#x" % planted[name] for name in names])))
    for name in names:
        assert answers[name]["unreachable"] == (name in ("garbage", "held_by_garbage")), name
        assert answers[name]["paths"] or name in ("garbage", "held_by_garbage", "leaked"), name
    for name in ("cached", "slot", "generator_local", "frame_local", "logging_handler", "viewed_buffer"):
        assert answers[name]["paths"][0]["certainty"] in ("exact", "inferred"), name
    assert answers["cached"]["paths"][0]["path"] == "app.cache.SESSIONS['abc'].user"
    assert answers["cached"]["paths"][0]["certainty"] == "exact"


@pytest.mark.parametrize("run", pairs(["django_app", "stdlib_at_work"] + PROGRAM,
                                      lambda i: not i.name.endswith("-stripped")), indirect=True)
def test_what_the_collector_would_free_is_held_by_nothing(run):
    """Two analyses that share no code: the collector's own algorithm, and paths from roots."""
    shell = shell_for(run)
    cycles, found = shell.json("cycles", "find --type .")
    garbage = set(cycles["objects"])
    freed = sorted(garbage)[::max(1, len(garbage) // 20)]
    held = [row["address"] for row in found["objects"] if row["address"] not in garbage]
    held = held[::max(1, len(held) // 40)]
    answers = shell.json(*["why " + address for address in freed + held])
    for address, answer in zip(freed + held, answers):
        if address in garbage:
            assert answer["unreachable"] and not answer["paths"], answer
        elif answer["unreachable"]:
            # what only garbage owns goes with it; the collector lists what it tracks
            known, = shell.json("object " + address)
            assert not known["gc"]["tracked"], answer


@pytest.mark.parametrize("run", pairs(["subinterpreters"]), indirect=True)
def test_which_interpreter_holds_it(run):
    shell = shell_for(run)
    merged, = shell.json(r"why --type ^__main__\\.Tenant$")
    paths = {row["path"] for row in merged["merged"]}
    assert {path for path in paths if "of interpreter" in path}, paths
    text, = shell.text("why " + merged["merged"][0]["example"])
    assert re.search(r"the module __main__ of interpreter \d+ holds it: __main__\.tenants\[", text)


@pytest.mark.parametrize("run", pairs(PROGRAM, lambda i: i.minor >= (3, 12)), indirect=True)
def test_immortal_objects_are_never_freed(run):
    shell = shell_for(run)
    none, = shell.json("find --type NoneType")
    text, = shell.text("why " + none["objects"][0]["address"])
    assert "This NoneType is never freed: it is immortal." in text


@pytest.mark.parametrize("run", pairs(PROGRAM), indirect=True)
def test_a_view_retains_its_buffer(run):
    planted = run.planted
    shell = shell_for(run)
    buffer = "%#x" % planted["viewed_buffer"]
    why, = shell.json("why %s" % buffer)
    view = why["paths"][0]["folded"][-2]["address"]
    own, of_view, whole, census = shell.json("dominators " + buffer, "dominators %s" % view, "dominators --limit 50",
                                             "census --retained")
    assert own["retained"] == own["shallow"] >= 8 << 20
    assert of_view["retained"] > own["retained"]
    assert buffer in {row["address"] for row in of_view["objects"]}
    assert view in {row["address"] for row in whole["objects"]}
    for row in whole["objects"]:
        assert row["retained"] >= row["shallow"]
        parents = [other for other in whole["objects"] if other["address"] == row["parent"]]
        assert row["parent"] is None or parents[0]["retained"] >= row["retained"]
    retained = {row["type"]: row for row in census["types"]}
    assert retained["builtins.memoryview"]["retained"] >= of_view["retained"]
    for row in census["types"]:
        assert row["retained"] <= census["bytes"]


@pytest.mark.parametrize("run", pairs(["toy", "stdlib_at_work", "asyncio_service", "django_app", "pandas_frames",
                                       "subinterpreters", "inside_collection"] + PROGRAM), indirect=True)
def test_retained_sizes_equal_those_of_removal(run):
    """tests/unit/test_retained.c on this core: take an object away, see what is reached no more."""
    binary = os.path.join(BUILD, "tests", "unit", "test_retained")
    root = run.interpreter.root
    done = subprocess.run([binary, run.core, root or "", *([] if root else [run.interpreter.exe])],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("name", [n for n in ("3.8", "3.12", "system") if matrix.by_name(n)])
def test_why_of_no_object_says_so(name):
    run = programs.core_of(matrix.by_name(name), programs.PROGRAMS["planted_truths"])
    shell = shell_for(run)
    status, _, err = shell.call("why", "0x10", "--json")
    assert status == 1 and '"not_an_object"' in err or '"unreadable"' in err
    status, _, err = shell.call("why")
    assert status == 2 and "--type" in err
    assert isinstance(shell, Shell)
