"""The debuggees, and one process, core and oracle for each interpreter × program."""
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess

import matrix


class Program(object):
    def __init__(self, name, file=None, args=(), modules=(), any_of=(), skip=None, threads=False, apart=False):
        self.name, self.file, self.args = name, file or name, list(args)
        self.modules, self.any_of, self.skip, self.threads = modules, any_of, skip, threads
        self.apart = apart  # only for the tests that ask for it by name

    def runs_on(self, interpreter):
        """None, or why this program is no program for that interpreter."""
        missing = [m for m in self.modules if not interpreter.has(m)]
        if missing:
            return "no " + ", ".join(missing)
        if self.any_of and not any(interpreter.has(m) for m in self.any_of):
            return "no " + " or ".join(self.any_of)
        return self.skip(interpreter) if self.skip else None


def _packages(interpreter):
    # Debian builds extension modules for the suite's default Python only; 3.15 sees the
    # files of numpy and pandas and has nothing to import.
    return "packaged for the suite's default Python only" if interpreter.minor >= (3, 15) else None


def _from(minor):
    return lambda interpreter: None if interpreter.minor >= minor else "from Python %d.%d on" % minor


PROGRAMS = {p.name: p for p in (
    Program("toy", modules=("sqlite3",)),
    Program("references"),
    Program("stdlib_at_work", modules=("sqlite3",)),
    Program("asyncio_service"),
    Program("django_app", modules=("django", "sqlite3")),
    Program("pandas_frames", modules=("numpy", "pandas"), skip=_packages),
    Program("populations", "gc_states", ["populations"]),
    Program("frozen", "gc_states", ["frozen"]),
    Program("disabled", "gc_states", ["disabled"]),
    Program("saveall", "gc_states", ["saveall"]),
    Program("thresholds", "gc_states", ["thresholds"]),
    Program("threshold_zero", "gc_states", ["threshold_zero"]),
    Program("resurrected", "gc_states", ["resurrected"]),
    Program("large", "gc_states", ["large"]),
    Program("inside_collection"),
    Program("collection_begins", "inside_collection", ["start"]),
    Program("collection_over", "inside_collection", ["stop"]),
    Program("cycles_language"),
    Program("cycles_library", modules=("sqlite3",)),
    Program("cycles_finalizers"),
    Program("cycles_samples"),
    Program("cycles_exempt", apart=True),
    Program("cycles_odd_names", apart=True),
    Program("counts_like_addresses", apart=True),
    Program("subinterpreters", any_of=("_interpreters", "_xxsubinterpreters")),
    Program("threads_and_generators", threads=True),
    Program("planted_truths", threads=True),
    Program("native_holders", threads=True, apart=True,
            skip=lambda interpreter: "no compiler in its root" if interpreter.root else None),
    # not of the kind that every test can ask: what they tell is malloc's
    Program("malloc_at_work", threads=True, apart=True),
    Program("malloc_alone", "malloc_at_work", ["single"], threads=True, apart=True),
    Program("allocator_debug", "allocators", ["debug"], apart=True),
    Program("allocator_malloc", "allocators", ["malloc"], apart=True),
    Program("allocator_mimalloc", "allocators", ["mimalloc"], apart=True, skip=_from((3, 13))),
    Program("allocator_threads", "allocators", ["threads"], apart=True),
    Program("allocator_isolated", "allocators", ["isolated"], apart=True, skip=_from((3, 12)),
            any_of=("_interpreters", "_xxsubinterpreters")),
    Program("list_dropped", "arena_experiments", ["list_dropped"], apart=True),
    Program("survivors", "arena_experiments", ["survivors"], apart=True),
    Program("free_lists", "arena_experiments", ["free_lists"], apart=True),
    Program("waste", "arena_experiments", ["waste"], apart=True),
    Program("array_views", "arena_experiments", ["array_views"], modules=("numpy",), skip=_packages, apart=True),
    Program("lru_cache", "arena_experiments", ["lru_cache"], apart=True),
)}


class NoKernelCore(Exception):
    """The kernel of this machine does not write a core into the working directory."""


def core_in(directory):
    for name in os.listdir(directory):
        if name == "core" or name.startswith("core."):
            return os.path.join(directory, name)
    return None


def kernel_cores():
    """None, or why the kernel's cores cannot be had here."""
    with open("/proc/sys/kernel/core_pattern") as f:
        pattern = f.read().strip()
    if pattern not in ("core", "core.%p"):
        return "kernel.core_pattern is %r: cores go elsewhere" % pattern
    return None


class Run(object):
    """A debuggee frozen at one instant: `pid` (while held), `oracle`, and its `core` file."""

    def __init__(self, interpreter, program, directory):
        self.interpreter, self.program, self.directory = interpreter, program, directory
        self.pid = None

    @property
    def oracle(self):
        with open(os.path.join(self.directory, "oracle.json")) as f:
            return json.load(f)

    @property
    def core(self):
        return core_in(self.directory)

    @property
    def planted(self):
        return {name: row["address"] for name, row in self.oracle["planted"].items()}


def _start(run, *args):
    process = run.interpreter.run(run.program.file, run.directory, *args, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    for line in process.stdout:
        if line.startswith("holding "):
            run.pid = int(line.split()[1])
            return process
    process.wait()
    raise AssertionError("%s on %s ended with %s: %s" % (
        run.program.name, run.interpreter, process.returncode, process.stderr.read()[-2000:]))


@contextlib.contextmanager
def held(interpreter, program, directory):
    """The program's process, frozen and alive, for live pids, gcore and debuggers."""
    os.makedirs(directory, exist_ok=True)
    run = Run(interpreter, program, directory)
    process = _start(run, "hold", *program.args)
    try:
        yield run
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()


def _make_core(run):
    if kernel_cores():
        # as good a core, by gdb; which transports were tested says test_matrix.py
        with held(run.interpreter, run.program, run.directory):
            gcore(run, os.path.join(run.directory, "core"))
        return
    if run.program.threads:
        process = _start(run, "hold", *run.program.args)
        os.kill(run.pid, signal.SIGABRT)
        process.communicate(timeout=60)
    else:
        done = run.interpreter.run(run.program.file, run.directory, "core", *run.program.args,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, universal_newlines=True)
        text, _ = done.communicate(timeout=240)
        assert done.returncode == 0, "%s on %s: exit %d: %s" % (
            run.program.name, run.interpreter, done.returncode, text[-2000:])
    assert run.core, "no core in %s" % run.directory
    with open(run.core, "r+b") as f:  # readable by nobody else: 0600 by the kernel's choice
        os.fchmod(f.fileno(), 0o644)


def gcore(run, path):
    """gdb's gcore of the held process `run`, written to `path`; what gdb said."""
    done = subprocess.run(["gdb", "-nx", "-batch", "-ex", "set pagination off", "-iex", "set auto-load off",
                           "-iex", "set debuginfod enabled off", "-p", str(run.pid),
                           "-ex", "gcore " + path, "-ex", "detach"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=180)
    assert os.path.exists(path), done.stdout[-2000:]
    return done.stdout


def core_of(interpreter, program):
    """The Run with the core of `program` under `interpreter`, made once per test run.

    Test workers share it: whoever comes first makes it, under a lock."""
    directory = os.path.join(matrix.scratch(), "cores", interpreter.name, program.name)
    os.makedirs(directory, exist_ok=True)
    run = Run(interpreter, program, directory)
    with open(directory + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        failed = os.path.join(directory, "failed")
        if os.path.exists(failed):
            with open(failed) as f:
                raise AssertionError("the debuggee failed before: " + f.read())
        if not os.path.exists(os.path.join(directory, "done")):
            try:
                _make_core(run)
            except Exception as why:
                with open(failed, "w") as f:
                    f.write(str(why))
                raise
            open(os.path.join(directory, "done"), "w").close()
    return run


def remove(directory):
    shutil.rmtree(directory, ignore_errors=True)
