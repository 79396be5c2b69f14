"""What only a debugger's user sees: aliases, expressions, convenience variables, completion,
help, Ctrl-C, and a model that is made anew when the debuggee ran."""
import glob
import os
import re
import signal
import subprocess
import time

import pytest

import matrix
import programs
import sessions
from sessions import Gdb, Lldb
from test_transports import build_in, exe_for

NAME = matrix.preferably("3.11").name


@pytest.fixture
def toy():
    return programs.core_of(matrix.by_name(NAME), programs.PROGRAMS["toy"])


def gdb_lines(run, *lines):
    """The output of gdb commands on the core, pyretain loaded."""
    gdb = Gdb(core=run.core, exe=exe_for(run.interpreter))
    argv = gdb.argv([])
    for line in lines:
        argv += ["-ex", line]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout.split("@@@mark0@@@")[-1]


def lldb_lines(run, *lines):
    lldb = Lldb(core=run.core, exe=exe_for(run.interpreter))
    argv = lldb.argv([])
    for line in lines:  # not as commands of their own: lldb ends its batch at the first that fails
        argv += ["-o", "script lldb.debugger.HandleCommand(%r)" % line]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=120, env=dict(os.environ, **lldb.environment()))
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout.split("@@@mark0@@@")[-1]


@pytest.mark.parametrize("lines", [gdb_lines, lldb_lines], ids=["gdb", "lldb"])
def test_alias_and_help(lines, toy):
    text = lines(toy, "pyr census --limit 3", "pyr help census", "help pyretain")
    assert "builtins." in text and "--generation" in text and "census" in text


def test_gdb_completion(toy):
    text = gdb_lines(toy, "complete pyretain ce", "complete pyr census --ge")
    assert "pyretain census" in text and "--generation" in text


def test_gdb_expressions_and_variables(toy):
    address = toy.planted["list"]
    text = gdb_lines(toy, "set $mine = (long) %#x" % address, "pyr object $mine", "pyr object $mine + 0",
                     "pyr find --type '^__main__\\.Plain$' --limit 2", "print/x $pyr1", "pyr object $pyr1")
    assert text.count("[1, 2, 3]") >= 2
    shown = re.search(r"\$\d+ = (0x[0-9a-f]+)", text)
    assert shown and "__main__.Plain" in text


def test_lldb_expressions(toy):
    address = toy.planted["list"]
    text = lldb_lines(toy, "expression long $mine = %#x" % address, "pyr object $mine", "pyr object $pyr + 8")
    assert text.count("[1, 2, 3]") >= 2


@pytest.mark.parametrize("lines", [gdb_lines, lldb_lines], ids=["gdb", "lldb"])
def test_errors_leave_the_session_alive(lines, toy):
    text = lines(toy, "pyr object 0x10", "pyr no-such-command", "pyr census --no-such-option", "pyr gc")
    assert "Traceback" not in text
    assert "no-such-command" in text and "no-such-option" in text and "enabled" in text


def test_gdb_sees_that_the_debuggee_ran(tmp_path):
    """A breakpoint session: the same question before and after continuing has another answer."""
    interpreter = matrix.by_name(NAME)
    script = tmp_path / "grow.py"
    script.write_text("class Grown(object): pass\nkept = []\nimport os, signal\n"
                      "for n in (5, 50):\n    while len(kept) < n: kept.append(Grown())\n"
                      "    os.kill(os.getpid(), signal.SIGUSR1)\n")
    commands = ["set pagination off", "set confirm off", "set debuginfod enabled off",
                "source " + os.path.join(matrix.TOP, "gdb", "pyretain.py"),
                "handle SIGUSR1 stop nopass", "run " + str(script),
                "pyr census --match '^__main__\\.Grown$' --json -o %s" % (tmp_path / "1"), "continue",
                "pyr census --match '^__main__\\.Grown$' --json -o %s" % (tmp_path / "2"), "kill"]
    argv = ["gdb", "-nx", "-batch"]
    for command in commands:
        argv += ["-ex", command]
    done = subprocess.run(argv + [interpreter.exe], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, timeout=180,
                          env=interpreter.environment())
    import json
    counts = [json.loads((tmp_path / name).read_text())["types"][0]["count"] for name in "12"]
    assert counts == [5, 50], done.stdout[-3000:]


def test_ctrl_c_in_gdb_keeps_the_session():
    """SIGINT during a long command cancels it; the next command answers."""
    run = programs.core_of(matrix.by_name(NAME), programs.PROGRAMS["large"])
    gdb = subprocess.Popen(["gdb", "-nx", "-q", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off",
                            "-ex", "set pagination off", "-ex", "file " + exe_for(run.interpreter),
                            "-ex", "core-file " + run.core,
                            "-ex", "source " + os.path.join(matrix.TOP, "gdb", "pyretain.py")],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           universal_newlines=True, preexec_fn=os.setsid)
    try:
        gdb.stdin.write("pyr find --repr 'nothing is called so'\n")
        gdb.stdin.flush()
        time.sleep(2.5)
        os.kill(gdb.pid, signal.SIGINT)
        time.sleep(0.5)
        out, _ = gdb.communicate("pyr gc\nquit\n", timeout=120)
    finally:
        gdb.kill()
        gdb.wait()
    assert "enabled" in out and "Traceback" not in out
    assert gdb.returncode == 0


def test_ctrl_c_in_lldb_keeps_the_session():
    """On a terminal, because lldb installs its own handler for one."""
    import pty
    import select
    run = programs.core_of(matrix.by_name(NAME), programs.PROGRAMS["large"])
    lldb = Lldb(core=run.core, exe=exe_for(run.interpreter))
    argv = [lldb.debugger or sessions.lldbs()[0], "--no-lldbinit",
            "-o", "target create %s --core %s" % (exe_for(run.interpreter), run.core),
            "-o", "command script import " + lldb.adapter, "-o", "script print('load' + 'ed')"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, dict(os.environ, TERM="dumb", **lldb.environment()))
    said = ""

    def until(words, seconds):
        nonlocal said
        end = time.time() + seconds
        while words not in said and time.time() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    said += os.read(terminal, 65536).decode("utf-8", "replace")
                except OSError:
                    break
        assert words in said, said[-3000:]
        said = said.split(words, 1)[1]

    try:
        until("loaded", 60)
        os.write(terminal, b"pyr find --repr 'nothing is called so'\n")
        time.sleep(0.3)
        os.write(terminal, b"\x03")
        until("(lldb)", 20)
        os.write(terminal, b"pyr gc\n")
        until("is enabled", 60)
        os.write(terminal, b"quit\n")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.mark.parametrize("lines", [gdb_lines, lldb_lines], ids=["gdb", "lldb"])
def test_expressions_of_the_program(lines, toy):
    """What the debugger's own symbols name: a pointer, and a struct by its address."""
    if NAME != "3.11" or not matrix.by_name(NAME).has_debug_info():
        pytest.skip("no CPython 3.11 with debug information on this machine")
    text = lines(toy, "pyr object _PyRuntime.interpreters.head->sysdict --limit 1", "pyr object PyLong_Type --limit 1")
    assert "'__name__': 'sys'" in text and "<class 'int'>" in text


def test_lldb_says_in_one_line_what_is_wrong(toy):
    text = lldb_lines(toy, "pyr object nosuchvar", "pyr object main()", "pyr object 1.5")
    assert re.search(r"^pyretain: nosuchvar: .*undeclared identifier", text, re.M), text
    assert re.search(r"^pyretain: main\(\): .+", text, re.M), text


def test_adapters_hold_no_table_of_their_own():
    """Commands are declared once: the adapters name none of them."""
    for adapter in glob.glob(os.path.join(matrix.TOP, "[gl]*db", "*.py")):
        with open(adapter) as f:
            text = f.read()
        for command in ("census", "threads", "referrers"):
            assert not re.search(r"[\"']%s[\"']" % command, text), (adapter, command)


@pytest.mark.slow
@pytest.mark.parametrize("root", [None, "trixie", "sid"])
def test_every_gdb_loads_it_by_itself(root, gap, tmp_path):
    """From an auto-load script, which sources it: again for each program, and once more by hand. The
    names of other scripts, which gdb runs in the same namespace, are theirs."""
    if root and (not matrix.roots.complete(root) or os.geteuid()):
        gap("the root %s is not here" % root)
    build = build_in("trixie", gap) if root else None
    python = os.path.join(matrix.roots.path(root) if root else "/", "usr/bin/python3")
    python = "/" + os.path.relpath(os.path.realpath(python), matrix.roots.path(root) if root else "/")
    directory = os.path.join(matrix.scratch(), "auto-load-%s" % root)
    script = os.path.join(directory, python[1:] + "-gdb.py")
    os.makedirs(os.path.dirname(script), exist_ok=True)
    adapter = os.path.join(matrix.TOP, "gdb", "pyretain.py")
    with open(script, "w") as f:
        f.write("import gdb\nadapter, re, invoke = 'mine', 'mine', 'mine'\ngdb.execute('source %s')\n" % adapter)
    argv = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set confirm off",
            "-iex", "set auto-load scripts-directory " + directory, "-iex", "add-auto-load-safe-path " + directory]
    for line in ("file " + python, "file", "file " + python, "source " + adapter, "pyr help census",
                 "complete pyr ce", "pyr info", "python print([adapter, re, invoke])"):
        argv += ["-ex", line]
    argv = sessions.inside(matrix.roots.path(root), argv, build) if root else argv
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=120,
                          env=dict(os.environ, DEBUGINFOD_URLS="", PYTHONPATH=""))
    assert "Traceback" not in done.stdout and "rror:" not in done.stdout, done.stdout
    assert "--generation" in done.stdout and "\npyr census\n" in done.stdout, done.stdout
    assert "there is no process and no core" in done.stdout, done.stdout
    assert "['mine', 'mine', 'mine']" in done.stdout, done.stdout


@pytest.mark.parametrize("root, debugger", [(None, None), ("trixie", "/usr/bin/lldb-19"), ("sid", "/usr/bin/lldb-22")])
def test_lldb_imports_it_twice(root, debugger, gap, tmp_path):
    if root and (not matrix.roots.complete(root) or os.geteuid()):
        gap("the root %s is not here" % root)
    link = os.path.join(matrix.scratch(), "import-twice-%s" % root)
    os.makedirs(link, exist_ok=True)
    adapter = os.path.join(matrix.TOP, "lldb", "pyretain.py")
    link = os.path.join(link, "pyretain.py")
    if not os.path.lexists(link):
        os.symlink(adapter, link)
    build = build_in("trixie", gap) if root else None
    lldb = Lldb(debugger=debugger, root=matrix.roots.path(root) if root else None)
    argv = [debugger or sessions.lldbs()[0], "--no-lldbinit", "-b"]
    for line in ("command script import " + adapter, "command script import " + adapter,
                 "command script import " + link, "pyr help census"):
        argv += ["-o", line]
    done = subprocess.run(sessions.inside(lldb.root, argv, build) if root else argv, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=120,
                          env=dict(os.environ, TERM="dumb", **lldb.environment()))
    assert "Traceback" not in done.stdout and "error" not in done.stdout, done.stdout
    assert "--generation" in done.stdout, done.stdout
