"""The checked-in tables are what the generator makes of the debug info that is here."""
import os
import re
import subprocess

import pytest

import matrix

pytestmark = pytest.mark.slow
GENERATOR = os.path.join(matrix.TOP, "build", "pyretain-layouts")


@pytest.fixture(scope="module")
def check():
    """The output of `make layouts-check` over all debug info that this machine has."""
    subprocess.run(["make", "-s", "build/pyretain-layouts"], cwd=matrix.TOP, check=True, stdin=subprocess.DEVNULL)
    found = [os.environ["LAYOUT_ROOTS"]] if os.environ.get("LAYOUT_ROOTS") else []
    found += [matrix.roots.path(name) for name in ("trixie-debug", "sid-debug") if matrix.roots.complete(name)]
    done = subprocess.run(["sh", "core/layout/gen/regenerate.sh", GENERATOR, "--check"], cwd=matrix.TOP,
                          env=dict(os.environ, LAYOUT_ROOTS=" ".join(found)), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=300)
    print(done.stdout)
    return done


def test_tables_are_what_the_generator_makes(check):
    assert check.returncode == 0, check.stdout
    assert "size " not in check.stdout and ": at " not in check.stdout


def test_every_table_is_checked_or_listed(check, gap, record_property):
    """Each BUILD line was either compared with debug info or is printed with its provenance."""
    tables = os.path.join(matrix.TOP, "core", "layout", "tables")
    builds = 0
    for name in os.listdir(tables):
        with open(os.path.join(tables, name)) as f:
            builds += len(re.findall(r"^BUILD\(", f.read(), re.M))
    compared = re.findall(r"^([0-9a-f]{40}|) (cpython-\S+) (.+)$", check.stdout, re.M)
    absent = re.findall(r"^not present: (\S*) (cpython-\S+) (.+)$", check.stdout, re.M)
    for build_id, table, origin in absent:
        print("not compared here: %s (%s) %s" % (table, origin, build_id))
    record_property("layouts", "%d of %d builds compared with debug info" % (len(compared), builds))
    assert len(compared) + len(absent) == builds, (len(compared), len(absent), builds)
    if not any(build_id for build_id, table, origin in compared):
        gap("no interpreter with debug info that the tables know")


def test_generator_is_idempotent(tmp_path, check):
    """With no image at all it writes what is checked in, byte for byte."""
    subprocess.run([GENERATOR, "-o", str(tmp_path)], check=True, stdin=subprocess.DEVNULL)
    tables = os.path.join(matrix.TOP, "core", "layout", "tables")
    assert sorted(os.listdir(tables)) == sorted(os.listdir(str(tmp_path)))
    for name in os.listdir(tables):
        with open(os.path.join(tables, name)) as a, open(str(tmp_path / name)) as b:
            assert a.read() == b.read(), name
