"""Cores cut short and cores with random bytes: an answer that says it is incomplete, or
an error that names what is missing. Never a crash, a hang, or an endless list."""
import json
import os
import random

import pytest

import matrix
import programs
from sessions import Shell

pytestmark = pytest.mark.slow
SEED = int(os.environ["PYRETAIN_TEST_SEED"])  # conftest.py draws it, and pytest's header prints it
CODES = {"not_python", "unsupported_build", "unknown_layout", "unreadable", "corrupt", "not_an_object", "freed",
         "no_such_thread", "no_permission", "target_gone", "no_space", "interrupted", "usage", "bad_file"}
COMMANDS = ("info", "gc", "census", "threads", "stack", "find --type dict --limit 50",
            "arenas --map", "freelists", "memory --waste --quick --limit 50", "memory", "malloc --limit 20",
            "why --type dict --limit 20", "dominators --limit 20", "cycles --limit 20",
            "cycles --reachable --limit 5")
NAMES = [name for name in ("3.6", "3.8", "3.10", "3.11", "3.12", "3.13", "3.14-debian", "3.15-debian", "system")
         if matrix.by_name(name)]


def check(shell, about):
    """Every command answers in one of the permitted ways; the number that did answer."""
    answered = 0
    for command in COMMANDS:
        status, out, err = shell.call(*(command.split() + ["--json"]), timeout=60)
        assert status in (0, 1), (about, command, status, err[-1000:])
        if status == 0:
            answer = json.loads(out)
            assert answer["command"] == command.split()[0], about
            assert len(out) < 64 << 20, (about, command)
            answered += 1
        else:
            error = json.loads([line for line in err.splitlines() if line.startswith("{")][-1])["error"]
            assert error["code"] in CODES and error["message"], (about, command, err)
    return answered


def shell_on(run, path, **kwargs):
    return Shell(core=path, exe=None if run.interpreter.root else run.interpreter.exe,
                 options=run.interpreter.target_options(), **kwargs)


def drawn(kind, number):
    """What decides about a test, and the core of one of the interpreters."""
    interpreter = matrix.by_name(NAMES[number % len(NAMES)])
    return random.Random("%d %s %d" % (SEED, kind, number)), programs.core_of(interpreter, programs.PROGRAMS["toy"])


def contents(run):
    with open(run.core, "rb") as f:
        return bytearray(f.read())


def check_changed(run, data, directory, about):
    """check() of a core like the run's, with these contents."""
    print(about)
    path = str(directory / "core")
    with open(path, "wb") as f:
        f.write(data)
    check(shell_on(run, path), about)
    os.unlink(path)


@pytest.mark.parametrize("number", range(30))
def test_cut(number, tmp_path):
    rng, run = drawn("cut", number)
    size = os.path.getsize(run.core)
    # every third cut in the headers and notes, where each byte matters
    at = rng.randrange(0, 20000) if number % 3 == 0 else rng.randrange(size)
    about = "seed %d, %s cut at %d of %d" % (SEED, run.interpreter, at, size)
    print(about)
    path = str(tmp_path / "core")
    with open(run.core, "rb") as source, open(path, "wb") as cut:
        cut.write(source.read(at))
    shell = shell_on(run, path)
    check(shell, about)
    status, out, _ = shell.call("census", "--json")
    if status == 0:
        assert json.loads(out).get("incomplete"), "%s: not said to be incomplete" % about
    os.unlink(path)


@pytest.mark.parametrize("number", range(20))
def test_flipped(number, tmp_path):
    rng, run = drawn("flip", number)
    data = contents(run)
    start = 0 if number % 4 == 0 else 20000  # the ELF headers and notes too, now and then
    flips = [rng.randrange(start, len(data)) for _ in range(rng.choice((10, 200, 5000)))]
    for at in flips:
        data[at] ^= rng.randrange(1, 256)
    about = "seed %d, %s with %d bytes flipped" % (SEED, run.interpreter, len(flips))
    check_changed(run, data, tmp_path, about)


@pytest.mark.parametrize("number", range(10))
def test_pointers_redirected(number, tmp_path):
    """Words that are heap pointers exchanged with each other: loops, and lists that never end."""
    import struct
    rng, run = drawn("pointers", number)
    data = contents(run)
    planted = sorted(run.planted.values())
    low, high = planted[0], planted[-1]
    places = []
    for at in range(0, len(data) - 8, 8):
        if low <= struct.unpack_from("<Q", data, at)[0] <= high:
            places.append(at)
    chosen = rng.sample(places, min(len(places), rng.choice((20, 400, 4000))))
    values = [struct.unpack_from("<Q", data, at)[0] for at in chosen]
    rng.shuffle(values)
    for at, value in zip(chosen, values):
        struct.pack_into("<Q", data, at, value)
    about = "seed %d, %s with %d pointers exchanged" % (SEED, run.interpreter, len(chosen))
    check_changed(run, data, tmp_path, about)
