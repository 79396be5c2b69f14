"""Ways to ask pyretain: a shell, gdb and lldb, on a core, a live pid or a stub.

All three have the same two calls, so that one expectation serves them alike:

    .json(*commands)   each command with --json; a list of the decoded answers
    .text(*commands)   what each command printed

A command that fails raises `Refused` with the exit status (the shell's) and what was
printed as an error. `timeout` is the hang that a test reports as such."""
import ctypes
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile

import matrix

BUILD = os.path.join(matrix.TOP, os.environ.get("BUILD", "build"))
TIMEOUT = int(os.environ.get("PYRETAIN_TEST_TIMEOUT", "120"))


def sanitizer_env():
    """The environment of a build with sanitizers: the first finding and every leak is a failure.

    libunicorn 2.1.0 and 2.1.1 leak 32 bytes in the first uc_mem_map() of each emulator, and
    uc_close() does not free them: there, and only there, what is allocated in it is passed over."""
    env = dict(os.environ, UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1", ASAN_OPTIONS="detect_leaks=1")
    try:
        version = ctypes.CDLL("libunicorn.so.2").uc_version(None, None) >> 8
    except OSError:
        version = None
    if version in (0x20100, 0x20101):
        env["LSAN_OPTIONS"] = "print_suppressions=0:suppressions=" + os.path.join(matrix.TESTS, "libunicorn-2.1.supp")
    return env


class Refused(Exception):
    """The command answered with an error. `error` is its decoded JSON, if it was JSON."""

    def __init__(self, status, stderr, stdout=""):
        super().__init__("status %s: %s" % (status, stderr.strip()[-2000:]))
        self.status, self.stderr, self.stdout = status, stderr, stdout
        self.error = None
        for line in stderr.splitlines():
            try:
                self.error = json.loads(line)["error"]
            except (ValueError, KeyError, TypeError):
                continue


def documents(text):
    """The JSON values that follow each other in `text`."""
    decoder, rows, at = json.JSONDecoder(), [], 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return rows
        row, at = decoder.raw_decode(text, at)
        rows.append(row)


class Shell(object):
    """The `pyretain` command. One process per text(), one for a whole json()."""
    kind = "shell"

    def __init__(self, core=None, pid=None, exe=None, options=(), build=None, prefix=(), env=None):
        self.options = (["-c", core] if core else []) + (["-p", str(pid)] if pid else []) + \
            (["-e", exe] if exe else []) + list(options)
        self.binary = os.path.join(build or BUILD, "pyretain")
        self.prefix, self.env = list(prefix), env

    def call(self, *argv, stdin=None, timeout=None):
        """(status, stdout, stderr) of one process. A signal or a hang fails the test at once."""
        command = self.prefix + [self.binary] + self.options + list(argv)
        try:
            done = subprocess.run(command, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env,
                                  timeout=timeout or TIMEOUT)
        except subprocess.TimeoutExpired:
            raise AssertionError("no answer within %d s: %s" % (timeout or TIMEOUT, " ".join(command)))
        out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        assert done.returncode >= 0, "killed by signal %d: %s\n%s" % (-done.returncode, " ".join(command), err[-4000:])
        assert "ERROR: AddressSanitizer" not in err and "runtime error:" not in err, err[-6000:]
        return done.returncode, out, err

    def ask(self, command):
        """One command in a process of its own, as JSON; Refused if the status is not 0."""
        status, out, err = self.call(*(words(command) + ["--json"]))
        if status:
            raise Refused(status, err, out)
        return json.loads(out)

    def json(self, *commands):
        if len(commands) == 1:
            return [self.ask(commands[0])]
        status, out, err = self.call(stdin="".join(c + " --json\n" for c in commands).encode())
        rows = documents(out)
        if len(rows) != len(commands):
            raise Refused(status, err, out[-500:])
        return rows

    def text(self, *commands):
        rows = []
        for command in commands:
            status, out, err = self.call(*words(command))
            if status:
                raise Refused(status, err, out)
            rows.append(out)
        return rows


def words(command):
    import shlex
    return shlex.split(command)


class _Debugger(object):
    """What gdb and lldb have in common: one batch run, commands told apart by marks."""

    def __init__(self, core=None, pid=None, remote=None, exe=None, options=(), debugger=None, root=None,
                 build=None):
        self.core, self.pid, self.remote, self.exe = core, pid, remote, exe
        self.options, self.debugger, self.root, self.build = list(options), debugger, root, build or BUILD
        self.adapter = os.path.join(matrix.TOP, self.kind, "pyretain.py")

    def environment(self):
        return {}

    def run(self, commands):
        """What was printed between the marks around each command."""
        argv = self.argv(commands)
        env = dict(os.environ, LC_ALL="C.UTF-8", TERM="dumb", DEBUGINFOD_URLS="")
        env.pop("PYTHONPATH", None)
        env.update(self.environment())
        if self.root:
            argv = inside(self.root, argv, self.build)
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, env=env, timeout=TIMEOUT * 2)
        except subprocess.TimeoutExpired as late:
            raise AssertionError("%s hung: %s" % (self.kind, (late.stdout or b"").decode("utf-8", "replace")[-3000:]))
        text = done.stdout.decode("utf-8", "replace")
        assert done.returncode >= 0, "%s killed by signal %d:\n%s" % (self.kind, -done.returncode, text[-4000:])
        assert "runtime error:" not in text, text[-6000:]
        parts = re.split(r"^.*@@@mark\d+@@@.*$", text, flags=re.M)
        # lldb echoes each command: the mark's own echo matches too
        rows = [p.strip("\n") for p in parts[1:]]
        return text, rows

    def json(self, *commands):
        with tempfile.TemporaryDirectory(dir=matrix.scratch()) as directory:
            files = [os.path.join(directory, "%d.json" % i) for i in range(len(commands))]
            text, _ = self.run(["%s --json -o %s" % pair for pair in zip(commands, files)])
            rows = []
            for path in files:
                if not os.path.exists(path) or not os.path.getsize(path):
                    raise Refused(None, text)
                with open(path) as f:
                    rows.append(json.load(f))
            return rows

    def text(self, *commands):
        text, rows = self.run(commands)
        assert len(rows) >= len(commands), text
        return rows


class Gdb(_Debugger):
    kind = "gdb"

    def argv(self, commands):
        lines = ["set pagination off", "set confirm off", "set width 0", "set height 0",
                 "set debuginfod enabled off"]
        if self.remote and self.exe and self.root is None:
            lines.append("set sysroot /")
        if self.exe:
            lines.append("file " + self.exe)
        if self.core:
            lines.append("core-file " + self.core)
        if self.pid:
            lines.append("attach %d" % self.pid)
        if self.remote:
            lines.append("target remote " + self.remote)
        lines.append("source " + self.adapter)
        for number, command in enumerate(commands):
            lines += ["echo \\n@@@mark%d@@@\\n" % number, "pyretain " + command]
        lines.append("echo \\n@@@mark%d@@@\\n" % len(commands))
        if self.pid or self.remote:
            lines.append("detach")
        argv = [self.debugger or "gdb", "-nx", "-batch", "-iex", "set auto-load off"]
        for line in lines:
            argv += ["-ex", line]
        return argv


def lldbs():
    """The lldb binaries of this machine, newest first; `lldb` may be a wrapper for one of them."""
    found = [p for p in glob.glob("/usr/bin/lldb-[0-9]*") if re.search(r"lldb-\d+$", p)]
    return sorted(found, key=lambda p: -int(p.rsplit("-", 1)[1])) or [p for p in [shutil.which("lldb")] if p]


class Lldb(_Debugger):
    kind = "lldb"

    def environment(self):
        """Debian's lldb 14 does not find its own Python package unless it is told."""
        major = re.search(r"lldb-(\d+)$", self.debugger or lldbs()[0])
        found = glob.glob("/usr/lib/llvm-%s/lib/python3*/*-packages/lldb/embedded_interpreter.py"
                          % (major.group(1) if major else "*"))
        return {"PYTHONPATH": os.path.dirname(os.path.dirname(found[0]))} if found and not self.root else {}

    def argv(self, commands):
        lines = ["settings set interpreter.stop-command-source-on-error false",
                 "settings set target.load-script-from-symbol-file false"]
        if self.core:
            lines.append("target create %s --core %s" % (self.exe or "", self.core))
        elif self.exe:
            lines.append("target create " + self.exe)
        if self.pid:
            lines.append("process attach -p %d" % self.pid)
        if self.remote:
            lines.append("gdb-remote " + self.remote)
        lines.append("command script import " + self.adapter)
        for number, command in enumerate(commands):
            lines += ["script print('@@@' + 'mark%d' + '@@@')" % number, "pyretain " + command]
        lines.append("script print('@@@' + 'mark%d' + '@@@')" % len(commands))
        if self.pid or self.remote:
            lines.append("process detach")
        argv = [self.debugger or lldbs()[0], "--no-lldbinit", "-b"]
        for line in lines:
            argv += ["-o", line]
        return argv


def inside(root, argv, build=None):
    """The command line that runs `argv` in a Debian root, where the clone, the tests'
    scratch, pyenv's Pythons and /tmp are seen under their own paths.

    `build`, if it is another directory than the usual one, is seen in its place: a
    debugger of a newer Debian loads the library that was built for it."""
    binds = [(matrix.TOP, matrix.TOP), (matrix.scratch(), matrix.scratch())]
    for python in matrix.pyenv_pythons().values():
        prefix = os.path.dirname(os.path.dirname(python))
        if not prefix.startswith("/usr"):
            binds.append((prefix, prefix))
    for other in matrix.roots.ROOTS:
        if matrix.roots.complete(other):
            binds.append((matrix.roots.path(other), matrix.roots.path(other)))
    if build and os.path.realpath(build) != os.path.realpath(os.path.join(matrix.TOP, "build")):
        binds.append((build, os.path.join(matrix.TOP, "build")))
    script = "".join("mkdir -p %s && mount --bind %s %s && " % (q(root + to), q(source), q(root + to))
                     for source, to in binds)
    script += "mount -t proc proc %s && exec chroot %s \"$@\"" % (q(root + "/proc"), q(root))
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh"] + argv


def q(path):
    import shlex
    return shlex.quote(path)


def shell_for(run, **kwargs):
    """A shell on the core of `run`, told all it needs to find the files."""
    return Shell(core=run.core, options=run.interpreter.target_options(),
                 exe=run.interpreter.exe if not run.interpreter.root else None, **kwargs)
