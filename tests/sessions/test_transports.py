"""The same numbers by every way to the same process: kernel core, gcore, live, gdb and lldb
on both, gdbserver, compressed cores, a core whose binaries are gone, other namespaces.

Ways × versions pairwise: every way meets old, middle and new CPythons, every version
meets every kind of way."""
import contextlib
import fcntl
import glob
import gzip
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

import matrix
import programs
import sessions
from sessions import Gdb, Lldb, Shell

TOY = programs.PROGRAMS["toy"]


def interpreter_or_gap(name, gap):
    interpreter = matrix.by_name(name)
    if not interpreter:
        gap("%s is not here" % name)
    return interpreter


def equal(session, oracle):
    """What the session answers equals CPython's own; the answers."""
    census, gc, info = session.json("census", "gc", "info")
    ours = {row["type"]: row["gc_count"] for row in census["types"] if row["gc_count"]}
    assert ours == {name: n if isinstance(n, int) else sum(n) for name, n in oracle["types"].items()}
    assert census["gc_objects"] == oracle["tracked"]
    assert [row["count"] for row in gc["generations"]] == oracle["gc"]["count"]
    assert [row["threshold"] for row in gc["generations"]] == oracle["gc"]["threshold"]
    assert (gc["frozen"], gc["garbage"]) == (oracle["gc"]["frozen"], oracle["gc"]["garbage"])
    assert info["python"] == oracle["python"]
    return census, gc, info


@contextlib.contextmanager
def stub(pid):
    """A gdbserver attached to the process; its address."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen(["gdbserver", "--attach", "127.0.0.1:%d" % port, str(pid)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for line in server.stderr:
            if b"Listening" in line:
                break
        yield "127.0.0.1:%d" % port
    finally:
        server.terminate()
        server.wait()
        server.stderr.close()


def exe_for(interpreter):
    return interpreter.exe


# way: a function(run, tmp_path) that yields a session on the held process or its core
def kernel_core(run, tmp_path):
    yield Shell(core=programs.core_of(run.interpreter, TOY).core, exe=exe_for(run.interpreter),
                options=run.interpreter.target_options())


def gcore_shell(run, tmp_path):
    programs.gcore(run, str(tmp_path / "gcore"))
    yield Shell(core=str(tmp_path / "gcore"), exe=exe_for(run.interpreter), options=run.interpreter.target_options())


def gcore_gdb(run, tmp_path):
    programs.gcore(run, str(tmp_path / "gcore"))
    yield Gdb(core=str(tmp_path / "gcore"), exe=exe_for(run.interpreter))


def gcore_lldb(run, tmp_path):
    programs.gcore(run, str(tmp_path / "gcore"))
    yield Lldb(core=str(tmp_path / "gcore"), exe=exe_for(run.interpreter))


def live_shell(run, tmp_path):
    yield Shell(pid=run.pid, options=run.interpreter.target_options())


def live_gdb(run, tmp_path):
    yield Gdb(pid=run.pid)


def live_lldb(run, tmp_path):
    yield Lldb(pid=run.pid)


def gdbserver_gdb(run, tmp_path):
    with stub(run.pid) as address:
        yield Gdb(remote=address, exe=exe_for(run.interpreter))


def gdbserver_lldb(run, tmp_path):
    with stub(run.pid) as address:
        yield Lldb(remote=address, exe=exe_for(run.interpreter))


HELD = [gcore_shell, gcore_gdb, gcore_lldb, live_shell, live_gdb, live_lldb, gdbserver_gdb, gdbserver_lldb]
# every way with at least three versions; the debuggers live in this machine's root, so no other root's processes
PAIRS = [(way, name) for way, names in (
    (gcore_shell, ("3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "system", "3.12-stripped",
                   "3.13-debian", "3.14-debian", "3.15-debian", "3.14d")),
    (gcore_gdb, ("3.6", "3.9", "3.11", "3.13", "3.8-stripped")),
    (gcore_lldb, ("3.7", "3.10", "3.12", "system")),
    (live_shell, ("3.6", "3.13", "system", "3.14-debian")),
    (live_gdb, ("3.7", "3.10", "3.12", "3.12-stripped")),
    (live_lldb, ("3.6", "3.8", "3.11", "3.13")),
    (gdbserver_gdb, ("3.8", "3.11", "system", "3.13")),
    (gdbserver_lldb, ("3.9", "3.12")),
) for name in names]


@pytest.mark.parametrize("way,name", PAIRS, ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_held_process(way, name, tmp_path, gap):
    interpreter = interpreter_or_gap(name, gap)
    with programs.held(interpreter, TOY, str(tmp_path / "run")) as run:
        ways = way(run, tmp_path)
        session = next(ways)
        try:
            equal(session, run.oracle)
        finally:
            next(ways, None)
        with open("/proc/%d/status" % run.pid) as f:
            assert [line.split()[1] for line in f if line.startswith("State:")] == ["S"]


@pytest.mark.parametrize("front_end", [Gdb, Lldb], ids=["gdb", "lldb"])
@pytest.mark.parametrize("name", ["3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "system", "3.12-stripped"])
def test_kernel_core_in_debuggers(front_end, name, gap):
    run = programs.core_of(interpreter_or_gap(name, gap), TOY)
    equal(front_end(core=run.core, exe=exe_for(run.interpreter)), run.oracle)


@pytest.mark.parametrize("root,debugger", [("trixie", "/usr/bin/gdb"), ("trixie", "/usr/bin/lldb-19"),
                                           ("sid", "/usr/bin/gdb"), ("sid", "/usr/bin/lldb-22")])
@pytest.mark.parametrize("name", ["3.8", "3.13-debian", "3.14-debian"])
def test_newer_debuggers(root, debugger, name, gap):
    """gdb 16 and 18, lldb 19 and 22, with the library built where they live."""
    run = programs.core_of(interpreter_or_gap(name, gap), TOY)
    build = build_in("trixie", gap)
    kind = Gdb if debugger.endswith("gdb") else Lldb
    session = kind(core=run.core, exe=exe_for(run.interpreter), root=matrix.roots.path(root), debugger=debugger,
                   build=build)
    equal(session, run.oracle)


def build_in(root, gap):
    """The library built inside a root (a newer compiler, the newer libdwarf); its directory."""
    if not matrix.roots.complete(root) or os.geteuid():
        gap("the root %s is not here" % root)
    directory = os.path.join(matrix.scratch(), "build-" + root)
    with open(directory + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(directory, "pyretain")):
            os.makedirs(directory, exist_ok=True)
            done = subprocess.run(sessions.inside(matrix.roots.path(root), [
                "make", "-s", "-j2", "-C", matrix.TOP, "BUILD=" + directory]),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
            assert done.returncode == 0, done.stdout[-4000:]
    return directory


def compress(core, kind, tmp_path):
    path = str(tmp_path / ("core." + {"gzip": "gz", "zstd": "zst", "lz4": "lz4"}[kind]))
    if kind == "gzip":
        with open(core, "rb") as source, gzip.open(path, "wb", 1) as to:
            shutil.copyfileobj(source, to)
    else:
        subprocess.run([kind, "-q", "-f", core] + (["-o", path] if kind == "zstd" else [path]), check=True)
    return path


@pytest.mark.parametrize("kind,name", [("zstd", "3.6"), ("zstd", "3.11"), ("zstd", "3.14-debian"), ("lz4", "3.8"),
                                       ("lz4", "3.13"), ("gzip", "3.10"), ("gzip", "3.15-debian")])
def test_compressed_cores(kind, name, tmp_path, gap):
    if kind != "gzip" and not shutil.which(kind):
        gap("no %s to compress with" % kind)
    run = programs.core_of(interpreter_or_gap(name, gap), TOY)
    path = compress(run.core, kind, tmp_path)
    equal(Shell(core=path, exe=exe_for(run.interpreter),
                options=run.interpreter.target_options() + ["--tmpdir", str(tmp_path)]), run.oracle)
    assert os.listdir(str(tmp_path)) == [os.path.basename(path)], "something was left in --tmpdir"


def equal_but_for_names(session, oracle):
    """Every number exact; of the types' names, which lie in the binaries, most are known by
    inference and none is wrong."""
    census, gc, info = session.json("census", "gc", "info")
    ours = {row["type"]: row["gc_count"] for row in census["types"] if row["gc_count"]}
    cpythons = {name: n if isinstance(n, int) else sum(n) for name, n in oracle["types"].items()}
    named = {name: n for name, n in ours.items() if not name.startswith("<type at ")}
    assert {name: n for name, n in named.items() if cpythons.get(name) != n} == {}
    assert len(ours) == len(cpythons)
    assert sum(ours.values()) == sum(cpythons.values()) == census["gc_objects"] == oracle["tracked"]
    assert sum(named.values()) >= 0.99 * oracle["tracked"] and len(named) >= 0.9 * len(ours)
    assert [row["count"] for row in gc["generations"]] == oracle["gc"]["count"]
    assert gc["garbage"] == oracle["gc"]["garbage"]
    assert info["python"] == oracle["python"]


def without_binaries(interpreter, gap):
    """The start of a command line: what follows runs where the interpreter's files do not exist."""
    if interpreter.root:
        return []  # nor do they here
    if os.geteuid() or subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode:
        gap("files can not be hidden in a mount namespace here")  # not root, or a root that is no mount
    exe = os.path.realpath(interpreter.exe)
    prefix = os.path.dirname(os.path.dirname(exe))
    if prefix != "/usr":
        return ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', prefix]
    return ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$0" && mount -t tmpfs none "$1" && shift && '
            'exec "$@"', exe, "/usr/lib/python%d.%d" % interpreter.minor]


@pytest.mark.parametrize("name", ["3.%d" % minor for minor in range(7, 14)] + ["system", "3.13-debian", "3.14-debian",
                                                                                 "3.15-debian"])
def test_core_whose_binaries_are_gone(name, gap):
    """Numbers of the collector stay exact; what is inferred is said."""
    run = programs.core_of(interpreter_or_gap(name, gap), TOY)
    shell = Shell(core=run.core, prefix=without_binaries(run.interpreter, gap))
    equal_but_for_names(shell, run.oracle)
    text, = shell.text("info")
    assert "inferred" in text and "missing here" in text and os.path.basename(run.interpreter.exe) + ":" in text, text


def test_core_of_a_deleted_interpreter(tmp_path, gap):
    """A copied interpreter, run, dumped, and removed: `core` and `(deleted)` files only."""
    pythons = matrix.pyenv_pythons()
    name = next((n for n in ("3.11", "3.10", "3.8") if n in pythons), None)
    if not name:
        gap("no pyenv interpreter to copy")
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(pythons[name])))
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(os.path.realpath(pythons[name]), str(home / "python3"))
    for lib in glob.glob(os.path.join(prefix, "lib", "libpython3.*.so.1.0")):
        shutil.copy(lib, str(home))
    copy = matrix.Interpreter("copy", str(home / "python3"),
                              env={"LD_LIBRARY_PATH": str(home), "PYTHONHOME": prefix})
    assert copy.probe() is None
    with programs.held(copy, TOY, str(tmp_path / "run")) as run:
        shutil.rmtree(str(home))
        equal(Shell(pid=run.pid), run.oracle)  # live: the kernel still shows the deleted files
        if programs.kernel_cores():
            gap(programs.kernel_cores())
        os.kill(run.pid, signal.SIGABRT)
        deadline = time.time() + 20
        while time.time() < deadline and not run.core:
            time.sleep(0.05)
        time.sleep(0.5)  # the kernel is still writing when the name appears
        equal_but_for_names(Shell(core=run.core), run.oracle)


@pytest.mark.parametrize("name", ["3.13-debian", "3.14-debian", "3.15-debian", "3.14d"])
def test_live_in_another_mount_namespace(name, tmp_path, gap):
    """A process in a container's root needs no --sysroot: /proc/PID/root leads to its files."""
    with programs.held(interpreter_or_gap(name, gap), TOY, str(tmp_path)) as run:
        equal(Shell(pid=run.pid), run.oracle)
