"""What pyretain cannot answer: each case has a clear message of its own, and exit status 1."""
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

import matrix
import programs
from sessions import Shell


def refusal(*argv, shell=None, command="info"):
    """The error of `pyretain ARGV info --json`: {"code", "message", "address"}."""
    shell = shell or Shell(options=argv)
    status, out, err = shell.call(command, "--json")
    assert status == 1, (status, out[-500:], err[-500:])
    rows = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert len(rows) == 1, err
    error = rows[0]["error"]
    assert set(error) >= {"code", "message", "address"}
    # without --json the same message, in words
    status, out, err = shell.call(command)
    assert status == 1 and error["message"] in err
    assert "Traceback" not in err
    return error


def dump(argv, directory):
    """The kernel's core of a program that kills itself."""
    subprocess.run(["sh", "-c", "ulimit -c unlimited; exec \"$@\"", "sh"] + argv, cwd=str(directory),
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return programs.core_in(str(directory))


def compiled(directory, source, *flags):
    (directory / "program.c").write_text(source)
    done = subprocess.run(["cc", "-o", str(directory / "program"), str(directory / "program.c")] + list(flags),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    return str(directory / "program") if done.returncode == 0 else None, done.stdout


@pytest.fixture
def sleeping():
    process = subprocess.Popen(["sleep", "600"])
    time.sleep(0.1)
    yield process
    process.kill()
    process.wait()


def test_a_process_that_is_no_python(sleeping):
    error = refusal("-p", str(sleeping.pid))
    assert error["code"] == "not_python"
    assert "Python" in error["message"]


def test_a_core_that_is_no_python(tmp_path, gap):
    if programs.kernel_cores():
        gap(programs.kernel_cores())
    core = dump(["sh", "-c", "kill -ABRT $$"], tmp_path)
    assert refusal("-c", core)["code"] == "not_python"


def test_no_core_at_all(tmp_path):
    (tmp_path / "text").write_text("this is no core\n" * 100)
    (tmp_path / "empty").write_text("")
    for name in ("text", "empty"):
        assert refusal("-c", str(tmp_path / name))["code"] == "bad_file"
    error = refusal("-c", str(tmp_path / "absent"))
    assert "absent" in error["message"]
    assert refusal("-c", "/bin/true")["code"] == "bad_file"  # ELF, and no core


def test_a_32_bit_core(tmp_path, gap):
    if programs.kernel_cores():
        gap(programs.kernel_cores())
    program, why = compiled(tmp_path, "void _start(void) { __builtin_trap(); }", "-m32", "-nostdlib", "-static")
    if not program:
        gap("no 32-bit program can be compiled: " + why[-200:])
    core = dump([program], tmp_path)
    if not core:
        gap("this kernel runs no 32-bit program")
    error = refusal("-c", core)
    assert error["code"] == "unsupported_build" and "32" in error["message"]


def test_pypy(tmp_path, gap):
    root = matrix.roots.path("trixie")
    if not matrix.roots.complete("trixie") or os.geteuid() or programs.kernel_cores():
        gap("PyPy runs in the trixie root, as root, with cores from the kernel")
    pypy = matrix.Interpreter("pypy", "/usr/bin/pypy3", root=root)
    command = pypy.command(["/bin/sh", "-c", "cd /srv && exec /usr/bin/pypy3 -c 'import os; os.abort()'"],
                           str(tmp_path))
    core = dump(command, tmp_path)
    assert core
    error = refusal("-c", core, "--sysroot", root)
    assert error["code"] in ("not_python", "unsupported_build") and "PyPy" in error["message"]


def test_a_stripped_static_embedder(tmp_path, gap):
    """A program with CPython linked into it, and no symbol left: the runtime is found all
    the same, or the message says that it was looked for."""
    system = matrix.by_name("system")
    config = "/usr/bin/python3-config"
    if programs.kernel_cores() or not shutil.which("cc") or not os.path.exists(config):
        gap("an embedder needs libpython3-dev and cores from the kernel")
    flags = subprocess.run([config, "--includes"], stdout=subprocess.PIPE, universal_newlines=True).stdout.split()
    libraries = subprocess.run([config, "--ldflags", "--embed"], stdout=subprocess.PIPE,
                               universal_newlines=True).stdout.split()
    name = "python%d.%d" % system.minor
    archives = [os.path.join("/usr/lib", machine, "lib%s.a" % name) for machine in os.listdir("/usr/lib")
                if os.path.exists(os.path.join("/usr/lib", machine, "lib%s.a" % name))]
    if not archives:
        gap("no lib%s.a to embed" % name)
    libraries = [f for f in libraries if f != "-l" + name]
    program, why = compiled(tmp_path, """
#include <Python.h>
#include <stdlib.h>
int main(void)
{
	Py_Initialize();
	PyRun_SimpleString("class Embedded: pass\\nkept = [Embedded() for _ in range(17)]");
	abort();
}
""", *(flags + [archives[0], "-no-pie"] + libraries + ["-no-pie", "-lm", "-lexpat", "-lz", "-s"]))
    if not program:
        gap("the embedder does not link: " + why[-300:])
    core = dump([program], tmp_path)
    shell = Shell(core=core, exe=program)
    status, out, err = shell.call("census", "--json")
    if status == 0:
        counts = {row["type"]: row["gc_count"] for row in json.loads(out)["types"]}
        assert counts["__main__.Embedded"] == 17
    else:
        assert refusal(shell=shell, command="census")["code"] in ("unknown_layout", "not_python", "unsupported_build")


def test_a_process_without_permission(tmp_path, gap):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        gap("asking as another user needs root and setpriv")
    victim = subprocess.Popen(["/usr/bin/python3", "-c", "import time; time.sleep(600)"])
    try:
        time.sleep(0.3)
        copy = tmp_path / "build"  # nobody may not be able to read the clone
        copy.mkdir()
        for name in ("pyretain", "libpyretain.so"):
            shutil.copy(os.path.join(Shell().binary.rsplit("/", 1)[0], name), str(copy / name))
        for path in [tmp_path] + list(tmp_path.parents)[:-2]:
            os.chmod(str(path), os.stat(str(path)).st_mode | 0o055)
        shell = Shell(pid=victim.pid, build=str(copy), env=dict(os.environ, LD_LIBRARY_PATH=str(copy)),
                      prefix=["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"])
        error = refusal(shell=shell)
        assert error["code"] == "no_permission"
        assert str(victim.pid) in error["message"]
    finally:
        victim.kill()
        victim.wait()


def test_a_pid_that_is_nobodys():
    process = subprocess.Popen(["true"])
    process.wait()
    assert refusal("-p", str(process.pid))["code"] == "target_gone"


def test_a_pid_that_exits_meanwhile(tmp_path):
    """Killed while it is read: an answer from what was copied, or target_gone. Many moments are tried."""
    system = matrix.by_name("system")
    gone = 0
    for number in range(12):
        victim = subprocess.Popen([system.python, "-c",
                                   "kept = [[i] for i in range(400000)]\nprint('up', flush=True)\nimport time\ntime.sleep(600)"],
                                  stdout=subprocess.PIPE)
        victim.stdout.readline()
        shell = Shell(pid=victim.pid)
        asked = subprocess.Popen([shell.binary] + shell.options + ["census", "--json"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        time.sleep(0.004 * number)
        victim.send_signal(signal.SIGKILL)
        out, err = asked.communicate(timeout=60)
        victim.wait()
        victim.stdout.close()
        assert asked.returncode in (0, 1), (asked.returncode, err[-1000:])
        if asked.returncode:
            error = json.loads([line for line in err.splitlines() if line.startswith("{")][-1])["error"]
            assert error["code"] in ("target_gone", "no_permission"), error
            gone += error["code"] == "target_gone"
    assert gone >= 1


def test_wrong_usage_is_exit_status_2():
    shell = Shell(options=["-c", "/nonexistent"])
    for argv in (["no-such-command"], ["census", "--no-such-option"], ["census", "--limit", "many"], ["object"],
                 ["census", "stray"]):
        status, _, err = shell.call(*argv)
        assert status == 2 and err, argv
    status, _, err = shell.call("census", "--no-such-option", "--json")
    assert status == 2 and json.loads(err)["error"]["code"] == "usage"


@pytest.mark.parametrize("address,codes", [("0x10", ("unreadable", "not_an_object")),
                                           ("0xffffffffffffffff", ("unreadable", "not_an_object"))])
def test_addresses_where_no_object_is(address, codes):
    run = programs.core_of(matrix.by_name("system"), programs.PROGRAMS["toy"])
    shell = Shell(core=run.core, exe=run.interpreter.exe)
    status, _, err = shell.call("object", address, "--json")
    assert status == 1
    error = json.loads([line for line in err.splitlines() if line.startswith("{")][-1])["error"]
    assert error["code"] in codes and int(error["address"], 16) == int(address, 16)
