"""Which CPythons and debuggers this machine has for the tests, and which are missing.

An `Interpreter` knows how to run a debuggee, on this machine or inside a Debian root
(tests/roots.py); the matrix is the list of those that answered, and every gap has a
reason. With MATRIX=full a gap is a failure (test_matrix.py). With PYRETAIN_TEST_ONLY=system the
matrix is the system's Python, here as in the unit tests, and nothing else is missed."""
import functools
import glob
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
TOP = os.path.dirname(TESTS)
DEBUGGEES = os.path.join(TESTS, "debuggees")
sys.path.insert(0, TESTS)
import roots  # noqa: E402

# A probe tells which Python it is and what real software it has.
PROBE = r"""
import importlib.util, json, os, sys, sysconfig
print(json.dumps({"version": "%d.%d.%d" % sys.version_info[:3], "level": sys.version_info[3],
  "debug": hasattr(sys, "gettotalrefcount"), "nogil": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
  "implementation": sys.implementation.name, "exe": os.path.realpath("/proc/self/exe"),
  "modules": [m for m in ("ctypes", "sqlite3", "django", "numpy", "pandas", "_interpreters", "_xxsubinterpreters")
              if importlib.util.find_spec(m)]}))
"""


class Interpreter(object):
    """One Python to test. `python` is its path as seen inside `root` (None: this machine)."""

    def __init__(self, name, python, root=None, env=None, note=""):
        self.name, self.python, self.root, self.note = name, python, root, note
        self.env = env or {}
        self.about = None

    def __repr__(self):
        return self.name

    @property
    def minor(self):
        return tuple(int(x) for x in self.about["version"].split(".")[:2])

    @property
    def exe(self):
        """The executable's path as seen from this machine."""
        return self.outside(self.about["exe"])

    def outside(self, path):
        return self.root + path if self.root else path

    def target_options(self):
        """What pyretain is told besides the core, for the files of another root to be found."""
        return ["--sysroot", self.root] if self.root else []

    def command(self, argv, workdir=None):
        """The command line that runs `argv` where this interpreter lives.

        In a root the debuggees appear under /mnt and `workdir` under /srv, in a mount
        namespace of the command's own: nothing is left behind."""
        if not self.root:
            return argv
        script = ("mount --bind \"$1\" \"$2/mnt\" && mount -t proc proc \"$2/proc\" && "
                  "{ [ -z \"$3\" ] || mount --bind \"$3\" \"$2/srv\"; } && shift 3 && exec chroot \"$0\" \"$@\"")
        return ["unshare", "--mount", "--propagation=private", "sh", "-c", script,
                self.root, DEBUGGEES, self.root, workdir or ""] + argv

    def environment(self):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("PYTHON", "PYENV", "LD_", "ASAN", "UBSAN", "PYTEST"))}
        env.update(PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0", OPENBLAS_NUM_THREADS="1",
                   OMP_NUM_THREADS="1", PYTHONWARNINGS="ignore", LC_ALL="C.UTF-8", **self.env)
        return env

    def run(self, program, outdir, *args, **popen):
        """Start debuggee `program` with its answers in `outdir`; a Popen."""
        inside = self.root is not None
        argv = [self.python, os.path.join("/mnt" if inside else DEBUGGEES, program + ".py"),
                "/srv" if inside else outdir] + list(args)
        return subprocess.Popen(["sh", "-c", "ulimit -c unlimited; exec \"$@\"", "sh"] +
                                self.command(argv, outdir), env=self.environment(), cwd=outdir, **popen)

    def probe(self):
        """Learn what this is; the reason as a string if it does not run."""
        import json
        try:
            done = subprocess.run(self.command([self.python, "-c", PROBE]), env=self.environment(), cwd="/",
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as why:
            return str(why)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["exit status %d" % done.returncode])[-1]
        self.about = json.loads(done.stdout)
        if "ctypes" not in self.about["modules"]:
            return "has no ctypes"
        return None

    def _has_section(self, name):
        with open(self.exe, "rb") as f:
            return b"\0" + name + b"\0" in f.read()

    def has_debug_info(self):
        """Whether a debugger knows the interpreter's own types: its binary says so itself."""
        return self._has_section(b".debug_info")

    def has_symbols(self):
        """Whether static variables have names: a stripped interpreter has those of .dynsym alone."""
        return self._has_section(b".symtab")

    def has(self, *modules):
        return all(m in self.about["modules"] for m in modules)


# Tested once, as `system`, and not as its version too.
SYSTEM = os.path.realpath("/usr/bin/python3")


def pyenv_pythons():
    """{'3.8': path}: the newest patch level of each minor that pyenv or PATH has, besides the
    system's own."""
    found = {}
    home = os.environ.get("PYENV_ROOT")
    if not home and shutil.which("pyenv"):
        home = subprocess.run(["pyenv", "root"], stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()
    versions = {}
    for path in glob.glob(os.path.join(home, "versions", "3.*", "bin", "python3")) if home else []:
        version = path.split(os.sep)[-3]
        if all(part.isdigit() for part in version.split(".")):
            versions[tuple(int(part) for part in version.split("."))] = path
    for version in sorted(versions):
        found["%d.%d" % version[:2]] = versions[version]
    for minor in range(6, 16):
        name = "3.%d" % minor
        for path in ("/usr/local/bin/python" + name, "/usr/bin/python" + name):
            if name not in found and os.path.exists(path) and os.path.realpath(path) != SYSTEM:
                found[name] = path
    return found


# name, root, path inside: what Debian ships, stripped; sid's debug root also holds the Py_DEBUG builds
DEBIAN = [
    ("3.13-debian", "trixie", "/usr/bin/python3.13"),
    ("3.14-debian", "sid", "/usr/bin/python3.14"),
    ("3.15-debian", "sid", "/usr/bin/python3.15"),
    ("3.15.0-debian", "forky", "/usr/bin/python3.15"),
    ("3.14d", "sid-debug", "/usr/bin/python3.14d"),
]
PYENV = ["3.%d" % minor for minor in range(6, 14)]
STRIPPED = ["3.8", "3.12"]  # copies of these, without symbols


def stripped_copy(python, directory):
    """Copy an interpreter's binary and its libpython without symbols into @directory, unless it is there.

    Several test workers may do so at once: the directory appears whole, by its renaming."""
    if os.path.exists(directory):
        return
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(python)))
    new = tempfile.mkdtemp(prefix=os.path.basename(directory) + ".", dir=os.path.dirname(directory))
    os.chmod(new, 0o755)
    shutil.copy(os.path.realpath(python), os.path.join(new, "python3"))
    for lib in glob.glob(os.path.join(prefix, "lib", "libpython3.*.so.1.0")):
        shutil.copy(lib, new)
    for path in glob.glob(os.path.join(new, "*")):
        os.chmod(path, 0o755)
        subprocess.run(["strip", "--strip-all", path], check=True)
    try:
        os.rename(new, directory)
    except OSError:  # another worker was first
        shutil.rmtree(new)
        if not os.path.exists(directory):
            raise


def scratch():
    """A directory for binaries made for the matrix, shared by the test workers of a run."""
    directory = os.environ.get("PYRETAIN_TEST_SCRATCH")
    if not directory:
        directory = os.environ["PYRETAIN_TEST_SCRATCH"] = tempfile.mkdtemp(prefix="pyretain-tests.")
    return directory


@functools.lru_cache(maxsize=None)
def matrix():
    """(interpreters, gaps): gaps is a list of (name, reason)."""
    found, gaps, absent = [], [], []

    def consider(interpreter, wanted=None):
        why = interpreter.probe()
        if not why and wanted and not interpreter.about["version"].startswith(wanted + "."):
            why = "is Python %s" % interpreter.about["version"]
        if why:
            gaps.append((interpreter.name, why))
        else:
            found.append(interpreter)
        return not why

    only_system = "PYRETAIN_TEST_ONLY" in os.environ  # `make quick`
    pythons = {} if only_system else pyenv_pythons()
    for name in [] if only_system else PYENV:
        if name in pythons:
            consider(Interpreter(name, pythons[name]), name)
        else:
            absent.append((name, "neither pyenv nor /usr has it"))
    for name in [] if only_system else STRIPPED:
        if name not in pythons:
            gaps.append((name + "-stripped", "no %s to copy" % name))
        elif not shutil.which("strip"):
            gaps.append((name + "-stripped", "no strip"))
        else:
            directory = os.path.join(scratch(), "stripped-" + name)
            stripped_copy(pythons[name], directory)
            consider(Interpreter(name + "-stripped", os.path.join(directory, "python3"), env={
                "LD_LIBRARY_PATH": directory,
                "PYTHONHOME": os.path.dirname(os.path.dirname(os.path.realpath(pythons[name])))}), name)
    if os.path.exists("/usr/bin/python3"):
        consider(Interpreter("system", SYSTEM))
    else:
        gaps.append(("system", "no /usr/bin/python3"))
    gaps[:0] = [gap for gap in absent if gap[0] not in ["%d.%d" % i.minor for i in found]]
    for name, root, python in [] if only_system else DEBIAN:
        try:
            if os.environ.get("MATRIX") == "full":
                roots.make(root)
            if not roots.complete(root):
                raise roots.Unavailable("no root %s (tests/roots.py makes it)" % root)
            if os.geteuid() != 0:
                raise roots.Unavailable("running in a root needs root")
            consider(Interpreter(name, python, root=roots.path(root)), name.split(".")[0] + "." +
                     name.split(".")[1].split("-")[0].rstrip("d"))
        except roots.Unavailable as why:
            gaps.append((name, str(why)))
    return found, gaps


def by_name(name):
    for interpreter in matrix()[0]:
        if interpreter.name == name:
            return interpreter
    return None


def preferably(name):
    """That interpreter, or the system's: for tests that any one of them can answer."""
    return by_name(name) or by_name("system")


def describe():
    """The matrix as lines of text, for pytest's header and summary."""
    found, gaps = matrix()
    lines = ["matrix: " + ", ".join("%s (%s)" % (i.name, i.about["version"]) for i in found)]
    lines += ["gap: %s: %s" % gap for gap in gaps]
    return lines


if __name__ == "__main__":
    print("\n".join(describe()))
