"""The `pyretain` command as a person at a terminal meets it: editing, completion, history, Ctrl-C,
Ctrl-D; and as a script meets it: pipes, files, commands from standard input."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

import matrix
import programs
from sessions import Shell


@pytest.fixture
def shell():
    run = programs.core_of(matrix.by_name("system"), programs.PROGRAMS["toy"])
    return Shell(core=run.core, exe=run.interpreter.exe)


class Terminal(object):
    """The interactive shell on a terminal of our own."""

    def __init__(self, shell, state, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", XDG_STATE_HOME=str(state), LC_ALL="C.UTF-8", **env)
            os.environ.pop("NO_COLOR", None) if "NO_COLOR" not in env else None
            os.execv(shell.binary, [shell.binary] + shell.options)
        self.resize(100)
        self.text = ""

    def resize(self, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def expect(self, pattern, timeout=30):
        """Wait for what matches; answers the text up to and with it."""
        end = time.time() + timeout
        while True:
            found = re.search(pattern, self.text, re.S)
            if found:
                text, self.text = self.text[:found.end()], self.text[found.end():]
                return text
            assert time.time() < end, "%r did not come:\n%s" % (pattern, self.text)
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    assert re.search(pattern, self.text, re.S), "ended without %r:\n%s" % (pattern, self.text)

    def send(self, text):
        os.write(self.fd, text.encode())

    def end(self, timeout=20):
        """The exit status, once it left by itself."""
        end = time.time() + timeout
        while time.time() < end:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                os.close(self.fd)
                return status
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    pass
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError("the shell did not leave")


def test_a_person_at_a_terminal(shell, tmp_path):
    terminal = Terminal(shell, tmp_path)
    terminal.expect(r"Ctrl-D leaves.*pyretain> ")
    terminal.send("cen\t--b\tm\t--limit 2\r")
    assert "\033[1m" in terminal.expect("MODULE.*pyretain> ")
    terminal.send("this is no command")
    terminal.send("\x03")  # Ctrl-C drops the line, not the shell
    terminal.expect(r"\^C.*pyretain> ")
    terminal.send("find --\t")
    terminal.expect("--min-size")
    terminal.send("\x15gc\r")
    terminal.expect("The collector is .*pyretain> ")
    terminal.send("nonsense\r")
    terminal.expect("no command 'nonsense'.*pyretain> ")
    terminal.send("\x04")
    assert terminal.end() == 0
    with open(str(tmp_path / "pyretain" / "history")) as f:
        assert "gc" in f.read()
    terminal = Terminal(shell, tmp_path, NO_COLOR="1")  # the history is there the next time
    terminal.expect("pyretain> ")
    terminal.send("\x1b[A\x1b[A\r")
    assert "\033[1m" not in terminal.expect("The collector is .*pyretain> ")
    terminal.send("quit\r")
    assert terminal.end() == 0


def test_tables_fit_the_terminal(shell, tmp_path):
    terminal = Terminal(shell, tmp_path, NO_COLOR="1")
    terminal.expect("pyretain> ")
    terminal.resize(60)
    terminal.send("find --type dict --limit 5\r")
    text = terminal.expect("show.? all.*pyretain> ")
    rows = [line for line in text.split("\r\n") if re.match(r"  0x", line)]
    assert rows and max(len(line) for line in rows) <= 60
    terminal.send("\x04")
    terminal.end()


def test_an_interrupt_cancels_the_command(tmp_path):
    """Ctrl-C during long work: status 1 and the code, at once; the shell lives on."""
    program = ("kept = [[i] for i in range(3000000)]\nprint('up', flush=True)\nimport time\ntime.sleep(600)")
    victim = subprocess.Popen([matrix.by_name("system").python, "-c", program], stdout=subprocess.PIPE)
    try:
        victim.stdout.readline()
        shell = Shell(pid=victim.pid)
        asked = subprocess.Popen([shell.binary] + shell.options + ["find", "--repr", "no such value", "--json"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 universal_newlines=True)
        time.sleep(0.7)
        sent = time.time()
        asked.send_signal(signal.SIGINT)
        out, err = asked.communicate(timeout=30)
        assert time.time() - sent < 5
        assert asked.returncode == 1 and json.loads(err)["error"]["code"] == "interrupted", err
        assert out == ""
        with open("/proc/%d/status" % victim.pid) as f:
            state, = [line.split()[1] for line in f if line.startswith("State:")]
        assert state in "SR"  # asleep, or on its way back to that
    finally:
        victim.kill()
        victim.wait()
        victim.stdout.close()


def test_a_script_on_standard_input(shell):
    status, out, err = shell.call(stdin=b"# a comment\n\ngc\nnonsense\ncensus --limit 1\n")
    assert status == 2
    assert "The collector is" in out and "The collector tracks" in out and "nonsense" in err
    assert "pyretain>" not in out
    status, out, err = shell.call(stdin=b"gc\nquit\nnonsense\n")
    assert status == 0 and err == ""


def test_into_a_file_and_into_a_pipe(shell, tmp_path):
    path = str(tmp_path / "out.json")
    status, out, err = shell.call("census", "--json", "-o", path)
    assert (status, out, err) == (0, "", "")
    with open(path) as f:
        assert json.load(f)["command"] == "census"
    status, out, err = shell.call("census", "-o", str(tmp_path / "nowhere" / "x"))
    assert status == 1 and "nowhere" in err
    status, _, err = shell.call("object", "0x10", "-o", str(tmp_path / "not-made"))
    assert status == 1 and not os.path.exists(str(tmp_path / "not-made"))
    done = subprocess.run(["sh", "-c", "\"$0\" \"$@\" | head -1", shell.binary] + shell.options +
                          ["find", "--type", ".", "--limit", "0"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    assert re.match(r"[\d,]+ objects match", done.stdout) and done.stderr == ""


def test_forgotten_options_are_recognized(shell):
    status, _, err = Shell().call("123", "census")
    assert status == 2 and "-p 123" in err
    status, _, err = Shell().call(shell.options[1], "census")
    assert status == 2 and "-c " in err
    for argv in (["--nonsense"], ["-p"], ["-p", "many", "info"], ["-c", "x", "-p", "1", "info"], ["--force=1", "info"]):
        status, _, err = Shell().call(*argv)
        assert status == 2 and "usage:" in err, argv
    status, out, _ = Shell().call("--version")
    assert status == 0 and re.match(r"pyretain \d", out)
    status, out, _ = Shell().call("--help")
    assert status == 0 and "--max-pause" in out and "census" in out


@pytest.mark.parametrize("command, key", [("census", "gc_objects"), ("cycles", "unreachable")])
def test_a_core_that_was_replaced_is_opened_again(command, key, tmp_path):
    """The model belongs to a file, not to a name."""
    first = programs.core_of(matrix.by_name("system"), programs.PROGRAMS["toy"])
    second = programs.core_of(matrix.by_name("system"), programs.PROGRAMS["cycles_language"])
    path = str(tmp_path / "core")
    os.symlink(first.core, path)
    shell = Shell(core=path, exe=first.interpreter.exe)
    process = subprocess.Popen([shell.binary] + shell.options, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               universal_newlines=True, bufsize=1)
    answers = []
    for core in (first.core, second.core):
        os.unlink(path)
        os.symlink(core, path)
        process.stdin.write(command + " --json\n")
        process.stdin.flush()
        text = ""
        while not text.endswith("\n}\n"):
            text += process.stdout.readline()
        answers.append(json.loads(text))
    process.communicate()
    expected = [run.oracle["tracked"] if command == "census" else len(run.oracle["collected"])
                for run in (first, second)]
    assert expected[0] != expected[1]
    assert [answer[key] for answer in answers] == expected
    assert "opened again" in answers[1]["diagnostics"][0]["message"]
