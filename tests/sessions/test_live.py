"""A live process: it is stopped for a measured moment, and running afterwards, always."""
import json
import os
import re
import select
import signal
import subprocess
import time

import pytest

import matrix
import programs
from conftest import every_interpreter
from sessions import Shell

BUSY = r"""
import sys, threading, time
n = int(sys.argv[1])
kept = [{"id": i, "tags": [str(i)]} for i in range(n)]
def churn():
    while True:
        kept[len(kept) // 2] = [dict(a=[i]) for i in range(100)]
threads = [threading.Thread(target=churn) for _ in range(2)]
for t in threads:
    t.daemon = True
    t.start()
print("up", flush=True)
while True:
    time.sleep(0.01)
"""


def state(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def assert_running(pid):
    """Not stopped, not traced, and getting on with its work (or asleep because it chose to be)."""
    for _ in range(50):
        row = state(pid)
        if row["State"][0] not in "tT" and row["TracerPid"].strip() == "0":
            break
        time.sleep(0.02)
    assert row["State"][0] not in "tTZX", row["State"]
    assert row["TracerPid"].strip() == "0"
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/stat" % (pid, task)) as f:
            assert f.read().rsplit(")", 1)[1].split()[0] not in "tT"


def cpu(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def assert_works_on(pid):
    before = cpu(pid)
    for _ in range(100):
        if cpu(pid) > before:
            return
        time.sleep(0.05)
    raise AssertionError("the process runs no more")


@pytest.fixture
def busy():
    """A process of the system's Python that changes its heap all the time."""
    made = []

    def start(n=20000):
        process = subprocess.Popen([matrix.by_name("system").python, "-c", BUSY, str(n)], stdout=subprocess.PIPE)
        made.append(process)
        process.stdout.readline()
        return process
    yield start
    for process in made:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("interpreter", every_interpreter())
def test_the_same_numbers_live(interpreter, tmp_path):
    with programs.held(interpreter, programs.PROGRAMS["toy"], str(tmp_path)) as run:
        shell = Shell(pid=run.pid, options=interpreter.target_options())
        census, gc = shell.json("census", "gc")
        oracle = run.oracle
        assert census["gc_objects"] == oracle["tracked"]
        ours = {row["type"]: row["gc_count"] for row in census["types"] if row["gc_count"]}
        assert ours == {name: n if isinstance(n, int) else sum(n) for name, n in oracle["types"].items()}
        assert [row["count"] for row in gc["generations"]] == oracle["gc"]["count"]
        assert gc["enabled"] == oracle["gc"]["enabled"]
        assert_running(run.pid)


def test_a_changing_process_is_consistent(busy):
    """Two threads churn, and the copy is one instant all the same: every list closes.

    Only the instant itself may be in the middle of linking an object; that is said then,
    and it is seldom."""
    process = busy()
    torn = 0
    for _ in range(8):
        status, out, err = Shell(pid=process.pid).call("census", "--json")
        assert status == 0, err
        answer = json.loads(out)
        torn += bool(answer.get("incomplete"))
        counts = {row["type"]: row["gc_count"] for row in answer["types"]}
        assert 20000 <= counts["builtins.dict"] <= 24000
        assert_running(process.pid)
    assert torn <= 4
    assert_works_on(process.pid)


def test_the_pause_is_measured_and_printed(busy):
    process = busy(200000)
    shell = Shell(pid=process.pid)
    status, out, err = shell.call("info")
    assert status == 0
    said = re.search(r"stopped for ([\d.]+) ?(ms|s)\b", out + err)
    assert said, out + err
    pause = float(said.group(1)) * (1 if said.group(2) == "ms" else 1000)
    assert 0 < pause < 5000
    assert_works_on(process.pid)
    answer, = shell.json("info")
    assert 0 < answer["target"]["pause_ms"] < 5000


def test_no_stop_never_stops(busy):
    """With --no-stop nobody traces the process and it is never seen stopped."""
    process = busy(200000)
    asked = subprocess.Popen([Shell().binary, "--no-stop", "-p", str(process.pid), "census", "--json"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             universal_newlines=True)
    seen = set()
    while asked.poll() is None and len(seen) < 1000:
        row = state(process.pid)
        seen.add((row["State"][0] in "tT", row["TracerPid"].strip() != "0"))
        if not select.select([asked.stdout], [], [], 0)[0]:
            continue
        break  # it is answering: the reading is over
    out, err = asked.communicate(timeout=60)
    assert asked.returncode in (0, 1), err
    assert seen == {(False, False)}
    if asked.returncode == 0:
        assert not json.loads(out)["target"].get("pause_ms")
    assert_works_on(process.pid)


@pytest.mark.parametrize("number", range(12))
def test_killed_in_mid_pause_the_process_goes_on(busy, number):
    """SIGKILL and Ctrl-C of pyretain at any moment leave the process running."""
    process = busy(300000)
    asked = subprocess.Popen([Shell().binary, "-p", str(process.pid), "census"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    signum = signal.SIGKILL if number % 2 == 0 else signal.SIGINT
    stopped = False
    deadline = time.time() + 10
    if number % 3:  # at a moment when it is stopped for certain
        while asked.poll() is None and time.time() < deadline and not stopped:
            stopped = state(process.pid)["State"][0] in "tT" or state(process.pid)["TracerPid"].strip() != "0"
    else:
        time.sleep(0.02 * number)
    asked.send_signal(signum)
    asked.wait(timeout=30)
    assert_running(process.pid)
    assert_works_on(process.pid)


def test_a_stopped_process_stays_stopped(busy):
    """One that somebody else stopped (SIGSTOP) is not ours to resume."""
    process = busy()
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    status, out, err = Shell(pid=process.pid).call("census", "--json")
    assert status == 0, err
    assert state(process.pid)["State"][0] in "tT"
    process.send_signal(signal.SIGCONT)
    assert_works_on(process.pid)


def test_never_stopped_at_a_prompt(busy):
    """The interactive shell lets the process run while it waits for the next line."""
    process = busy()
    shell = subprocess.Popen([Shell().binary, "-p", str(process.pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, universal_newlines=True)
    try:
        shell.stdin.write("info --json\n")
        shell.stdin.flush()
        assert shell.stdout.readline()
        time.sleep(0.3)
        assert_running(process.pid)
        assert_works_on(process.pid)
        shell.stdin.close()
        shell.stdout.read()
        assert shell.wait(timeout=30) == 0
    finally:
        shell.kill()
        shell.wait()
        shell.stdout.close()


def test_traced_by_another_debugger(busy):
    """A process that gdb holds: an answer without stopping it again, or a message that says so."""
    process = busy()
    gdb = subprocess.Popen(["gdb", "-nx", "-q", "-p", str(process.pid)], stdin=subprocess.PIPE,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, universal_newlines=True)
    try:
        deadline = time.time() + 30
        while state(process.pid)["TracerPid"].strip() == "0" and time.time() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        status, out, err = Shell(pid=process.pid).call("info", "--json")
        assert status in (0, 1)
        if status:
            error = json.loads([line for line in err.splitlines() if line.startswith("{")][-1])["error"]
            assert error["code"] == "no_permission" and "trace" in error["message"].lower()
    finally:
        gdb.communicate("detach\nquit\n", timeout=30)
    assert_works_on(process.pid)


@pytest.fixture
def group():
    """The directory of a memory control group (version 1)."""
    with open("/proc/self/cgroup") as f:
        ours = [line.rstrip("\n").split(":", 2)[2] for line in f if ":memory:" in line]
    path = "/sys/fs/cgroup/memory%s/pyretain-test-%d" % (ours[0] if ours else "", os.getpid())
    try:
        os.mkdir(path)
    except OSError as error:
        pytest.skip("no memory control group can be made here: %s" % error)
    yield path
    for _ in range(100):
        try:
            return os.rmdir(path)
        except OSError:  # its last process is on its way out
            time.sleep(0.05)


def test_not_inside_the_targets_own_full_group(group):
    """Where our memory is the target's, and little is left, it is not taken unasked."""
    join = ["sh", "-c", "echo $$ > %s/cgroup.procs; exec \"$@\"" % group, "sh"]
    process = subprocess.Popen(join + [matrix.by_name("system").python, "-c", BUSY, "100000"], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        with open(group + "/memory.usage_in_bytes") as f:
            used = int(f.read())
        with open(group + "/memory.limit_in_bytes", "w") as f:
            f.write(str(used + (30 << 20)))
        inside = Shell(pid=process.pid)
        inside.prefix = join + inside.prefix
        status, out, err = inside.call("info")
        assert status == 1 and "shares the memory limit of control group" in err and "--force" in err, err
        assert_works_on(process.pid)
        status, out, err = Shell(pid=process.pid).call("info")
        assert status == 0 and out.startswith("Python "), err
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
