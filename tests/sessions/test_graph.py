"""The references of whole programs: native walks equal what the types' own functions visit,
run in the emulator, on every object; and heaps of extreme shapes are answered about."""
import json
import os
import subprocess

import pytest

import matrix
import sessions
from conftest import every_interpreter, pairs

BENCH = os.path.join(sessions.BUILD, "tests", "bench", "graph_bench")


@pytest.fixture(scope="module")
def graph_bench():
    subprocess.check_call(["make", "-s", "BUILD=" + sessions.BUILD, BENCH], cwd=matrix.TOP)
    return BENCH


@pytest.mark.parametrize("run", pairs(("stdlib_at_work", "asyncio_service", "django_app", "pandas_frames")), indirect=True)
def test_native_walks_equal_the_emulator(run, graph_bench, gap):
    root = run.interpreter.root
    done = subprocess.run([graph_bench, run.core, "--check"] + ([root] if root else []), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = dict(line.split(None, 1) for line in done.stdout.splitlines() if " " in line)
    if "no_emulation" in said:
        gap("no emulator: " + said["no_emulation"])
    differing = [line for line in done.stdout.splitlines() if line.startswith("differs")]
    assert differing == []
    assert int(said["compared"]) > 15000
    print(done.stdout)


SHAPES = {"deep": 1000000, "wide": 2000000}


@pytest.mark.slow
@pytest.mark.parametrize("interpreter", every_interpreter()[-1:])
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_extreme_shapes(shape, interpreter, tmp_path):
    """No recursion, no quadratic step: every question is answered within any command's time.
    (`make bench-extremes` asks the same of ten and of fifty millions.)"""
    count = SHAPES[shape]
    process = interpreter.run("extremes", str(tmp_path), str(count), shape, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    try:
        facts = json.loads(process.stdout.readline())
        planted, innermost = "0x%x" % facts["planted"], "0x%x" % facts["innermost"]
        shell = sessions.Shell(pid=facts["pid"], options=interpreter.target_options())
        why, refs, referrers, dominators, path = shell.json(
            "why " + innermost, "refs %s --limit 1" % planted, "referrers %s --limit 1" % innermost,
            "dominators --limit 1", "path %s %s" % (planted, innermost))
    finally:
        process.kill()
        process.communicate()
    assert why["paths"][0]["root"]["kind"] == "frame_local" and why["not_found"] == 0
    largest = dominators["objects"][0]
    assert largest["address"] == planted and largest["retained"] > 50 * count
    assert path["found"]
    if shape == "deep":
        assert len(path["paths"][0]["steps"]) == count
        assert (refs["objects"], refs["omitted"]) == (1, 0)
    else:
        assert len(path["paths"][0]["steps"]) == 2
        assert refs["omitted"] > 0 and referrers["refcount"] == count + 1
