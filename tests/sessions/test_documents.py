"""Every command line that the documents show is run where they say, and prints what they show; the
programs that they show are the files of docs/examples; `make demo` keeps its word."""
import contextlib
import glob
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import documents
import matrix
import programs
import sessions
from documents import Step

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/guide.md", "docs/how-it-works.md",
             "docs/adding-a-cpython-version.md"]
SECTIONS = [(document, section) for document in DOCUMENTS
            for section in sorted({row.section for row in documents.parse(os.path.join(matrix.TOP, document))})]
# Make's targets that a test cannot make: it is part of the first itself, the second installs packages, the
# third has tools of its own, layouts writes into the sources, bench takes ten minutes and gigabytes. That they exist
# is asked.
NOT_MADE = ("check", "quick", "deps", "lint", "layouts", "bench")
pytestmark = pytest.mark.xdist_group("documents")


class Place(object):
    """A directory that looks like the top of the sources, for the commands to be run in and to write to,
    and a person's home."""

    def __init__(self, directory):
        self.top = os.path.join(directory, "pyretain")
        self.home = os.path.join(directory, "home")
        for path in (self.top, os.path.join(self.top, "build"), os.path.join(self.home, ".config", "gdb")):
            os.makedirs(path)
        for name in os.listdir(matrix.TOP):
            if name != ".git" and not name.startswith("build"):
                os.symlink(os.path.join(matrix.TOP, name), os.path.join(self.top, name))
        for name in os.listdir(os.path.join(matrix.TOP, "build")):
            if name != "demo":
                os.symlink(os.path.join(matrix.TOP, "build", name), os.path.join(self.top, "build", name))
        # A person's settings, not the documents': no pages, no colours, nothing from the network.
        with open(os.path.join(self.home, ".config", "gdb", "gdbinit"), "w") as f:
            f.write("set width 110\nset height 0\nset style enabled off\nset debuginfod enabled off\n"
                    "set confirm off\n")
        self.env = {name: value for name, value in os.environ.items() if name.startswith("CC")}
        self.env.update(HOME=self.home, XDG_CONFIG_HOME=os.path.join(self.home, ".config"), LC_ALL="C.UTF-8",
                        XDG_STATE_HOME=os.path.join(self.home, ".state"), TERM="dumb", DEBUGINFOD_URLS="",
                        PATH=":".join([os.path.join(matrix.TOP, "build"), "/usr/bin", os.environ["PATH"]]))
        self.processes = []

    def shell(self, text, timeout=300, **kwargs):
        """One command line: (status, what it printed)."""
        done = subprocess.run(["bash", "-c", text], cwd=self.top, stdout=subprocess.PIPE, timeout=timeout,
                              stderr=subprocess.STDOUT, universal_newlines=True,
                              env=kwargs.pop("env", self.env), **dict({"stdin": subprocess.DEVNULL}, **kwargs))
        return done.returncode, done.stdout

    def background(self, text, until=None):
        """What a shell says of a command that goes on behind it, and what that printed until a line matches."""
        process = subprocess.Popen(["bash", "-c", "exec " + text], cwd=self.top, env=self.env, bufsize=0,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   preexec_fn=os.setsid)
        self.processes.append(process)
        printed = "" if until is None else read_until(process.stdout, until, 120)
        return "[1] %d\n%s" % (process.pid, printed)

    def end(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
            if process.stdin:
                process.stdin.close()


def read_until(stream, pattern, seconds):
    text, end = "", time.time() + seconds
    while not re.search(pattern, text):
        assert time.time() < end, "%r did not come:\n%s" % (pattern, text[-3000:])
        if select.select([stream], [], [], 0.2)[0]:
            piece = os.read(stream.fileno(), 65536).decode("utf-8", "replace")
            assert piece, "it ended without %r:\n%s" % (pattern, text[-3000:])
            text += piece
    return text


class Debugger(object):
    """A program with a prompt of its own, started by a command line: gdb, lldb."""

    def __init__(self, place, command, prompt):
        self.shows, self.prompt = prompt, re.escape(prompt + " ") + r"\Z"
        self.process = subprocess.Popen(["bash", "-c", "exec " + command], cwd=place.top, env=place.env, bufsize=0,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        preexec_fn=os.setsid)
        place.processes.append(self.process)
        self.greeting = self.answer()

    def answer(self):
        return re.sub(self.prompt, "", read_until(self.process.stdout, self.prompt, 180))

    def ask(self, text):
        self.process.stdin.write((text + "\n").encode())
        return self.answer()


class LldbBatch(object):
    """lldb on a pipe shows no prompt: each command is run in a session of its own, after those before it."""

    def __init__(self, place, command, prompt):
        self.place, self.command, self.shows, self.said = place, command, prompt, []

    def ask(self, text):
        self.said.append(text)
        marked = self.said[:-1] + ["script print('@@' + 'mark')", text]
        status, out = self.place.shell("%s --batch %s" % (self.command, " ".join(
            "-o " + sessions.q(line) for line in marked)))
        assert status == 0, out
        return out.split("@@mark", 1)[1].split(self.shows + " " + text, 1)[1]


@pytest.fixture(scope="module")
def place():
    made = Place(tempfile.mkdtemp(prefix="documents.", dir=matrix.scratch()))
    yield made
    made.end()
    shutil.rmtree(os.path.dirname(made.top), ignore_errors=True)


@pytest.fixture(scope="module")
def demo(place):
    """What `make demo` printed; its core is in build/demo of the place."""
    status, printed = place.shell("ulimit -c 0; make demo")
    assert status == 0, printed
    return printed


@pytest.fixture
def as_shown(gap):
    """Asked for by what compares: a session of the documents was had on Debian 12's own Python."""
    if matrix.by_name("system") is None or matrix.by_name("system").minor != (3, 11):
        gap("the documents' sessions are of Debian 12's Python 3.11")
    with contextlib.suppress(OSError), open("/proc/sys/kernel/yama/ptrace_scope") as f:
        if os.geteuid() and f.read().strip() != "0":
            gap("only root may look at processes here (kernel.yama.ptrace_scope)")


def crashed(place, gap):
    """core.shop.zst, as docs/examples/crash.py leaves it on a Debian 13 that is gone."""
    interpreter = matrix.by_name("3.13-debian")
    if interpreter is None:
        gap("3.13-debian is not here")
    if programs.kernel_cores():
        gap(programs.kernel_cores())
    if os.path.exists("/usr/bin/python3.13"):
        gap("the Python that crashed is on this machine")
    directory = os.path.join(place.home, "crash")
    os.makedirs(directory)
    for path in ("docs/demo/shop.py", "docs/examples/crash.py"):
        shutil.copy(os.path.join(matrix.TOP, path), directory)
    process = subprocess.Popen(["sh", "-c", "ulimit -c unlimited; exec \"$@\"", "sh"] + interpreter.command(
        [interpreter.python, "crash.py"] if not interpreter.root else
        ["sh", "-c", "cd /srv && exec %s crash.py" % interpreter.python], directory), cwd=directory,
        env=interpreter.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True)
    out, _ = process.communicate(timeout=120)
    core = programs.core_in(directory)
    assert core, out
    subprocess.run(["zstd", "-q", "--rm", core, "-o", os.path.join(place.top, "core.shop.zst")], check=True)


class Section(object):
    """One section of a document, run from top to bottom."""

    def __init__(self, document, section, place, request):
        self.rows = [row for row in documents.parse(os.path.join(matrix.TOP, document)) if row.section == section]
        self.document, self.section, self.place, self.request = document, section, place, request
        self.meaning, self.debugger, self.differences, self.served = {}, None, [], None

    def gap(self, why):
        self.request.getfixturevalue("gap")(why)

    def core(self):
        self.request.getfixturevalue("demo")
        return "build/demo/core.shop"

    def pid(self):
        if self.served is None:
            said = self.place.background("python3 docs/demo/shop.py", "waiting for more")
            self.served = re.match(r"\[1\] (\d+)", said).group(1)
        return self.served

    def placed(self, text):
        """A command line with what its capital words stand for."""
        text = re.sub(r"\bCORE\b", lambda _: self.core(), text)
        return re.sub(r"\bPID\b", lambda _: self.pid(), text)

    def run(self):
        if any(isinstance(row, Step) and row.shown for row in self.rows):
            self.request.getfixturevalue("as_shown")
        if any("build/demo/core.shop" in row.text for row in self.rows):
            self.core()
        if any("core.shop.zst" in row.text for row in self.rows):
            crashed(self.place, self.gap)
        for row, following in zip(self.rows, self.rows[1:] + [None]):
            try:
                getattr(self, "run_" + type(row).__name__)(row, following)
            except (documents.Differs, AssertionError) as why:
                self.differences.append("%s:%d: %s\n%s" % (self.document, row.line, row.text, why))
        assert not self.differences, "\n\n".join(self.differences)

    def run_Figure(self, row, following):
        pass

    def run_File(self, row, following):
        """A program of the sources is shown as it is; a debugger's own file makes it load pyretain."""
        path = row.paths[0]
        if os.path.exists(os.path.join(matrix.TOP, path)):
            with open(os.path.join(matrix.TOP, path)) as f:
                assert f.read() == row.text, "%s is another" % path
            return
        home, env = self.place.home, dict(self.place.env)
        auto = re.match(r"/usr/share/gdb/auto-load(/.*/)python3\.\d+-gdb\.py$", path)
        if auto:
            python = auto.group(1) + os.path.basename(os.path.realpath("/usr/bin/python3"))
            path = home + "/auto-load" + python + "-gdb.py"
            command = "gdb -nx -batch -iex 'set auto-load scripts-directory {0}' -iex 'add-auto-load-safe-path {0}' " \
                "{1} -c CORE -ex 'pyretain info'".format(home + "/auto-load", python)
        elif path == "~/.gdbinit":
            path = home + "/.gdbinit"
            command = "gdb -batch -c CORE -ex 'pyretain info'"
            env["XDG_CONFIG_HOME"] = "/nonexistent"  # what is there would be read in its place
        else:
            assert path == "~/.lldbinit"
            path = home + "/.lldbinit"
            command = "lldb -b -c CORE -o 'pyretain info'"
            env.update(sessions.Lldb().environment())
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:  # for the place where `make install` was told to put it
            f.write(row.text.replace("/usr/local/", home + "/installed/usr/local/"))
        status, out = self.place.shell(self.placed(command), env=env)
        assert status == 0 and re.search(r"Python 3\.\d+\.\d+.*objects in", out), out

    def run_Listed(self, row, following):
        words = row.text.split()
        if words[0] == "make":
            targets = [word for word in words[1:] if "=" not in word]
            if "demo" in targets:
                self.core()
                return
            for target in set(targets) & set(NOT_MADE):
                # of make's own database, which -p prints; -n would do what has $(MAKE) in it
                status, out = self.place.shell("make -np help")
                assert status == 0 and re.search("^%s:" % target, out, re.M), "make knows no target " + target
            if set(targets) & set(NOT_MADE):
                return
            text = row.text
            if "install" in targets:
                text += " DESTDIR=" + os.path.join(self.place.home, "installed")
        else:
            text = self.placed(row.text)
        status, out = self.place.shell(text, stdin=None, input="help\n")
        assert status == 0 and out, out[-3000:]

    def run_Step(self, row, following):
        text = documents.translate(self.placed(row.text), self.meaning)
        if row.prompt != "$":
            printed = self.asked(row.prompt, text)
            failed = re.search(r"^(Traceback|error:|pyretain: |Undefined)", printed, re.M)
            assert row.shown or not failed, printed
        elif following and type(following) is Step and following.prompt != "$":
            self.debugger = Debugger(self.place, text, following.prompt)
            printed = self.debugger.greeting
        elif text.endswith("&"):
            shown = row.shown.split("\n")  # its number, and perhaps what it says when it is ready
            printed = self.place.background(text[:-1], documents.one_line(shown[-1]) if shown[1:] else None)
        else:
            self.debugger = None
            status, printed = self.place.shell(text)
            assert status == 0, printed
        if row.shown:
            for top in (os.path.realpath(self.place.top), self.place.top):
                printed = printed.replace(top + "/", "")
            self.meaning = documents.compare(row.shown, printed, self.meaning)

    def asked(self, prompt, text):
        """What a debugger answers; one that no line before started has the demo's core."""
        if self.debugger is None or self.debugger.shows != prompt:
            if prompt == "(lldb)":
                self.debugger = LldbBatch(self.place, "env %s lldb -c %s" % (" ".join(
                    "%s=%s" % pair for pair in sessions.Lldb().environment().items()), self.core()), prompt)
            else:
                self.debugger = Debugger(self.place, "gdb -q -c " + self.core(), prompt)
        return self.debugger.ask(text)


@pytest.mark.parametrize("document, section", SECTIONS, ids=["%s-%s" % (os.path.basename(d), s.split(":")[0])
                                                           for d, s in SECTIONS])
def test_what_a_document_shows(document, section, place, request):
    try:
        Section(document, section, place, request).run()
    finally:
        place.end()
        del place.processes[:]


def test_the_demo_prints_what_to_do_next(place, demo):
    """Three commands, and each works as it is printed, where `make demo` was typed."""
    assert os.path.exists(os.path.join(place.top, "build", "demo", "core.shop"))
    told, commands = demo.rsplit("\n# ", 1)[1].split("\n", 1)
    assert "build/demo/core.shop" in told
    commands = re.findall("^    (.*)", commands, re.M)
    assert len(commands) == 3
    for command in commands:
        status, out = place.shell(command, stdin=None, input="pyretain census --limit 1\n" if "gdb" in command
                                  else "census --limit 1\n")
        assert status == 0 and re.search(r"[\d,]+ objects of \d+ types", out), (command, out)


def test_the_demo_leaves_no_process(place, demo):
    """Not even where nobody reads to the end."""
    status, out = place.shell("docs/demo/run.sh build | head -2")
    assert status == 0 and "A shop service" in out
    end = time.time() + 10
    while True:
        left = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.readlink("/proc/%s/cwd" % pid) == os.path.realpath(place.top):
                    with open("/proc/%s/cmdline" % pid) as f:
                        left.append(f.read().replace("\0", " "))
        if not left or time.time() > end:
            break
        time.sleep(0.1)
    assert left == []


def test_the_demo_runs_as_an_ordinary_user(gap):
    """From sources of their own, where the kernel may write no core; and the build is in another place."""
    home = tempfile.mkdtemp(prefix="ordinary.", dir=matrix.scratch())
    for name in ("Makefile", "core", "docs", "gdb", "tools", "build"):
        subprocess.run(["cp", "-a", os.path.join(matrix.TOP, name), home], check=True)
    shutil.rmtree(os.path.join(home, "build", "demo"), ignore_errors=True)
    os.rename(os.path.join(home, "build"), os.path.join(home, "elsewhere"))
    user = []
    if os.geteuid() == 0:
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        os.chmod(matrix.scratch(), os.stat(matrix.scratch()).st_mode | 0o11)
        subprocess.run(["chown", "-R", "65534:65534", home], check=True)
        if subprocess.run(user + ["test", "-x", home]).returncode:
            gap("an ordinary user can not reach " + home)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MAKE", "BUILD"))}
    env.update(HOME="/nonexistent", DEBUGINFOD_URLS="", PATH="/usr/bin:/bin:/usr/sbin:/sbin")

    def run(command, **kwargs):
        done = subprocess.run(user + ["sh", "-c", command], cwd=home, env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True, timeout=300, **kwargs)
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    try:
        printed = run("ulimit -c 0; make demo BUILD=elsewhere", stdin=subprocess.DEVNULL)
        assert "__main__.SESSIONS" in printed
        command, = re.findall("^    (.*gdb .*)", printed, re.M)
        assert "objects of" in run(command, input="pyretain census --limit 1\n")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def test_options_in_the_text_exist():
    """What stands in the running text as code: a command's options are the command's."""
    shell = sessions.Shell()
    commands = set(re.findall(r"^  (\w+)  ", shell.call("help")[1], re.M))
    assert {"info", "why", "census"} <= commands
    pages = {name: shell.call("help", name)[1] for name in commands}
    everything = "".join(pages.values()) + shell.call("--help")[1]
    wrong, asked = [], 0
    for document in DOCUMENTS:
        with open(os.path.join(matrix.TOP, document)) as f:
            text = re.sub(r"^    .*$", "", f.read(), flags=re.M)
        for span in re.findall(r"`([^`]+)`", text):
            words = span.replace("pyretain ", "").split()
            page = pages.get(words[0]) if words else None
            if page is None and not span.startswith("--"):
                continue
            for option in re.findall(r"--[a-z-]+", span):
                asked += 1
                if not re.search(r"%s\b" % re.escape(option), page or everything):
                    wrong.append("%s: %s" % (document, span))
    assert asked > 10 and not wrong


def test_the_examples_of_the_commands_pages_run(tmp_path):
    """With an address and a thread that are there, in place of those that are shown."""
    shell = sessions.shell_for(programs.core_of(matrix.by_name("system"), programs.PROGRAMS["cycles_samples"]))
    holder = shell.json("find --type 'dict$' --by size --limit 1")[0]["objects"][0]["address"]
    held = shell.json("refs %s --limit 1" % holder)[0]["references"][0]["address"]
    thread = shell.json("threads")[0]["threads"][0]["tid"]
    pages = glob.glob(os.path.join(matrix.TOP, "docs", "commands", "*.md"))
    failed, asked = [], 0
    for page in sorted(pages):
        with open(page) as f:
            examples = re.findall(r"^```\n(pyretain .*?)^```", f.read(), re.M | re.S)[-1:]
        for example in "".join(examples).splitlines():
            first, second = re.subn("0x[0-9a-f]+", str(holder), example, count=1)[0], str(held)
            text = re.sub(r"(%s )0x[0-9a-f]+" % holder, r"\g<1>" + second, first)
            text = re.sub(r"^(pyretain stack) \d+$", r"\1 %d" % thread, text)
            words = sessions.words(text)
            assert words[0] == "pyretain"
            status, out, err = shell.call(*[str(tmp_path / word) if word.endswith((".svg", ".dot")) else word
                                            for word in words[1:]])
            asked += 1
            if status or not (out or "-o" in words):
                failed.append("%s: %d %s" % (text, status, err))
    assert asked > 40 and not failed


def test_what_differs_is_seen():
    """The comparison by itself: what may be another, and what may not."""
    shown = "Held by __main__.A[…] since Apr 28 2025: 12 objects, 3.5 MiB.\n\n  WHO   SIZE  VALUE\n" \
        "  0x7f01  56 B  <Plain obj…\n  …\n\nrefcount 2: 1 attribute, 1 not found\n"
    right = "Held by __main__.A[…] since May 1 2026: 1,012 objects, 350.5 KiB.\n\n  WHO       SIZE  VALUE\n" \
        "  0x7fff9901  156 B  <Plain object that is longer…\n  more\n  and more\n\n" \
        "refcount 2: 1 attribute, 1 not found\n"
    meaning = documents.compare(shown, right)
    assert meaning["0x7f01"] == "0x7fff9901"
    meaning["0x7f010203"] = "0x99"
    assert documents.translate("object 0x7f010203 0x10", meaning) == "object 0x99 0x10"
    for ours, theirs in (("Held", "Kept"), ("WHO  ", "WHOM "), ("350.5 KiB", "some"), ("refcount 2", "refcount 3"),
                         ("1 not found", "0 not found"), ("<Plain object", "<Fancy object"), ("0x7fff9901", "none"),
                         ("refcount 2: 1 attribute, 1 not found\n", ""), ("1 not found\n", "1 not found\nand more\n")):
        assert ours in right
        with pytest.raises(documents.Differs):
            documents.compare(shown, right.replace(ours, theirs))
    for ours, theirs in (("0x7f01 holds 0x7f01", "0x55 holds 0x66"), ("0x55 holds 0x66", "0x7f01 holds 0x7f01")):
        with pytest.raises(documents.Differs):
            documents.compare(ours, theirs)
    with pytest.raises(documents.Differs):
        documents.translate("object 0x7f0102030405", {})


def test_a_block_of_no_kind_is_refused(tmp_path):
    (tmp_path / "x.md").write_text("# Section\n\nWhat is this?\n\n    something\n")
    with pytest.raises(documents.Unclear):
        documents.parse(str(tmp_path / "x.md"))


def test_where_lldb_14_finds_its_python_package():
    """The README says what the tests themselves tell lldb."""
    with open(os.path.join(matrix.TOP, "README.md")) as f:
        told, = re.findall(r"`(PYTHONPATH)=([^`]+)`", f.read())
    if "14" in "".join(sessions.lldbs()[:1]):
        assert sessions.Lldb().environment() == dict([told])
