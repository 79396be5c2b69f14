"""`make install` into a DESTDIR: what is installed works from there, and `make uninstall` removes it all."""
import os
import shutil
import subprocess

import pytest

import matrix
import programs
from sessions import BUILD, Gdb, Shell
from test_transports import equal, exe_for


def make(*args):
    done = subprocess.run(["make", "-s", "-C", matrix.TOP] + list(args), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def files(top):
    return sorted(os.path.relpath(os.path.join(d, f), top) for d, _, names in os.walk(top) for f in names)


@pytest.fixture
def installed(tmp_path):
    make("install", "DESTDIR=%s" % tmp_path, "PREFIX=/opt/pyretain")
    yield tmp_path
    make("uninstall", "DESTDIR=%s" % tmp_path, "PREFIX=/opt/pyretain")
    assert files(str(tmp_path)) == []


def test_install(installed, monkeypatch):
    rows = files(str(installed))
    for suffix in ("bin/pyretain", "libpyretain.so", "gdb/pyretain.py", "lldb/pyretain.py", "man1/pyretain.1"):
        assert any(row.endswith(suffix) for row in rows), (suffix, rows)
    run = programs.core_of(matrix.by_name("system"), programs.PROGRAMS["toy"])
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    equal(Shell(core=run.core, exe=exe_for(run.interpreter), build=str(installed / "opt/pyretain/bin")), run.oracle)


def test_gdb_loads_the_installed_place(installed, monkeypatch):
    run = programs.core_of(matrix.by_name("system"), programs.PROGRAMS["toy"])
    adapter = next(str(installed / row) for row in files(str(installed)) if row.endswith("gdb/pyretain.py"))
    gdb = Gdb(core=run.core, exe=exe_for(run.interpreter))
    gdb.adapter = adapter
    equal(gdb, run.oracle)
