"""Sessions written as they are typed (scripts/*.session), in the shell, gdb and lldb alike.

    target   PROGRAM             the debuggee whose core is looked at
    run      COMMAND             $name is the address of what the program planted
    expect   TEXT                the answer holds this text, runs of blanks being equal
    refuse   TEXT                the answer does not hold it
"""
import glob
import os
import re

import pytest

import matrix
import programs
from sessions import Gdb, Lldb, Shell
from test_transports import exe_for

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = sorted(glob.glob(os.path.join(HERE, "scripts", "*.session")))
NAMES = [n for n in ("3.6", "3.9", "3.12", "system") if matrix.by_name(n)]


def read(path):
    """(program, [(command, [(verb, text)])]) of a script."""
    program, steps = None, []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.split("#", 1)[0].strip() if line.startswith("#") else line.strip()
            if not line:
                continue
            verb, _, rest = line.partition(" ")
            rest = rest.strip()
            if verb == "target":
                program = rest
            elif verb == "run":
                steps.append((rest, []))
            elif verb in ("expect", "refuse"):
                steps[-1][1].append((verb, rest))
            else:
                raise ValueError("%s:%d: no verb %r" % (path, number, verb))
    return program, steps


def plain(text):
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("front_end", [Shell, Gdb, Lldb], ids=["shell", "gdb", "lldb"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: os.path.basename(p)[:-8])
def test_session(script, name, front_end):
    program, steps = read(script)
    run = programs.core_of(matrix.by_name(name), programs.PROGRAMS[program])
    planted = run.planted

    def fill(text):
        return re.sub(r"\$(\w+)", lambda m: "%#x" % planted[m.group(1)] if m.group(1) in planted else m.group(0), text)
    answers = front_end(core=run.core, exe=exe_for(run.interpreter)).text(*[fill(command) for command, _ in steps])
    for (command, expectations), answer in zip(steps, answers):
        for verb, text in expectations:
            found = plain(fill(text)) in plain(answer)
            assert found == (verb == "expect"), "%s: %s %r in:\n%s" % (command, verb, text, answer)
