"""Sessions under AddressSanitizer and UndefinedBehaviorSanitizer.

The shell runs the instrumented build of the command. A preloaded libasan hangs gdb and
lldb, so those run with a build that has UBSan only, and the library is driven through
its C interface from a plain python3 with libasan preloaded, as the adapters drive it."""
import json
import os
import subprocess
import sys

import pytest

import matrix
import programs
from sessions import Gdb, Lldb, Shell, sanitizer_env, shell_for
from test_damaged import check
from test_transports import equal, exe_for

ASAN = os.path.join(matrix.TOP, "build-asan")
UBSAN = os.path.join(matrix.TOP, "build-ubsan")
ENV = sanitizer_env()
NAMES = [i.name for i in matrix.matrix()[0]]


@pytest.fixture(autouse=True)
def built(gap):
    if not os.path.exists(os.path.join(ASAN, "pyretain")) or not os.path.exists(os.path.join(UBSAN, "libpyretain.so")):
        gap("`make check` builds build-asan and build-ubsan")


@pytest.mark.parametrize("name", NAMES)
def test_shell(name):
    run = programs.core_of(matrix.by_name(name), programs.PROGRAMS["toy"])
    shell = shell_for(run, build=ASAN, env=ENV)
    equal(shell, run.oracle)
    shell.json("threads", "stack", "find --type dict --limit 5", "object %#x" % run.planted["plain"])
    shell.json(*["object %#x" % address for address in run.planted.values()])
    shell.text("info", "census", "gc", "threads", "stack", "cycles", "cycles --reachable", "help")


@pytest.mark.parametrize("name", [n for n in ("3.7", "3.11", "3.14-debian") if n in NAMES])
@pytest.mark.parametrize("number", range(3))
def test_damage(name, number, tmp_path):
    import random
    rng = random.Random("%s sanitized %s %d" % (os.environ["PYRETAIN_TEST_SEED"], name, number))
    run = programs.core_of(matrix.by_name(name), programs.PROGRAMS["toy"])
    with open(run.core, "rb") as f:
        data = bytearray(f.read())
    for _ in range(2000):
        data[rng.randrange(20000, len(data))] ^= rng.randrange(1, 256)
    path = str(tmp_path / "core")
    with open(path, "wb") as f:
        f.write(data[:rng.randrange(len(data) // 2, len(data))] if number else data)
    check(Shell(core=path, exe=exe_for(run.interpreter), options=run.interpreter.target_options(), build=ASAN,
                env=ENV), "seed %s" % os.environ["PYRETAIN_TEST_SEED"])


HOSTED = r"""
import ctypes, sys
lib = ctypes.CDLL(sys.argv[1])
lib.pyr_session_create.restype = ctypes.c_void_p
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t)
PROGRESS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64)
class Sink(ctypes.Structure):
    _fields_ = [("ctx", ctypes.c_void_p), ("write", WRITE), ("progress", PROGRESS), ("width", ctypes.c_int),
                ("color", ctypes.c_int), ("catch_sigint", ctypes.c_int)]
def write(ctx, stream, text, length):
    (sys.stdout if stream == 1 else sys.stderr).write(ctypes.string_at(text, length).decode())
sink = Sink(None, WRITE(write), PROGRESS(lambda *a: 0), 0, 0, 0)
session = ctypes.c_void_p(lib.pyr_session_create())
assert lib.pyr_session_use_core(session, sys.argv[2].encode()) == 0
for option in sys.argv[3].split("\n"):
    if option:
        name, value = option.split("=", 1)
        assert lib.pyr_session_option(session, name.encode(), value.encode()) == 0
for line in sys.argv[4:]:
    status = lib.pyr_run_line(session, line.encode(), ctypes.byref(sink))
    assert status == 0, (line, status)
lib.pyr_session_invalidate(session)
assert lib.pyr_run_line(session, b"gc --json", ctypes.byref(sink)) == 0
lib.pyr_session_destroy(session)
"""


@pytest.mark.parametrize("name", [n for n in ("3.6", "3.8", "3.11", "3.13", "system", "3.15-debian") if n in NAMES])
def test_library_hosted_in_python(name):
    """The calls that the adapters make, from a python3 under the preloaded libasan."""
    run = programs.core_of(matrix.by_name(name), programs.PROGRAMS["toy"])
    asan = subprocess.run(["cc", "-print-file-name=libasan.so"], stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()
    options = ["exe=" + exe_for(run.interpreter)] + (
        ["sysroot=" + run.interpreter.root] if run.interpreter.root else [])
    env = dict(ENV, LD_PRELOAD=asan, PYTHONMALLOC="malloc", ASAN_OPTIONS="detect_leaks=0")
    done = subprocess.run(["/usr/bin/python3", "-c", HOSTED, os.path.join(ASAN, "libpyretain.so"), run.core,
                           "\n".join(options), "census --json", "info", "threads", "stack", "census",
                           "object %#x" % run.planted["toy" if "toy" in run.planted else "plain"]],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                          universal_newlines=True, timeout=300)
    assert done.returncode == 0, done.stderr[-6000:]
    assert "AddressSanitizer" not in done.stderr and "runtime error" not in done.stderr
    census, _ = json.JSONDecoder().raw_decode(done.stdout)
    assert census["gc_objects"] == run.oracle["tracked"]


@pytest.mark.parametrize("front_end", [Gdb, Lldb], ids=["gdb", "lldb"])
@pytest.mark.parametrize("name", [n for n in ("3.7", "3.11", "3.13") if n in NAMES])
def test_debuggers_under_ubsan(front_end, name, monkeypatch):
    run = programs.core_of(matrix.by_name(name), programs.PROGRAMS["toy"])
    monkeypatch.setenv("PYRETAIN_LIBRARY", os.path.join(UBSAN, "libpyretain.so"))
    monkeypatch.setenv("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    equal(front_end(core=run.core, exe=exe_for(run.interpreter)), run.oracle)
