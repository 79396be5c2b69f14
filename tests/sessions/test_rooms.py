"""The rooms of core/ stay as its map says: what tools/lint_rooms.py checks, and that it notices."""
import os
import shutil
import subprocess
import sys

import matrix
import pytest


def lint(top):
    done = subprocess.run([sys.executable, os.path.join(top, "tools", "lint_rooms.py")], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    return done.returncode, done.stdout


def test_the_rooms_are_as_the_map_says():
    assert lint(matrix.TOP) == (0, "")


@pytest.fixture
def copy(tmp_path):
    for name in ("core", "tools"):
        shutil.copytree(os.path.join(matrix.TOP, name), str(tmp_path / name))
    return tmp_path


@pytest.mark.parametrize("path, text, said", [
    ("base/vec.h", '#include "target/reader.h"\n', "core/base/vec.h: includes target/reader.h, and target/ stands after base/"),
    ("analysis/census/find.c", '#include "render/json.h"\n', "render/ stands after analysis/census/"),
    ("roots/roots.c", '#include "types/types_internal.h"\n', "which is private to types/"),
    ("objects/extra.c", "int pyr_extra;\n", "core/objects/extra.c: core/README.md does not name it"),
    ("render/json.h", "struct pyr_reader {\n\tint x;\n};\n", "pyr_reader is defined in"),
    ("render/json.h", "#define PYR_VEC 1\n", "PYR_VEC is defined in"),
    ("render/json.c", "enum pyr_shape {\n\tA_SHAPE,\n};\n", "core/render/json.c: defines pyr_shape"),
], ids=["against the stream", "against the stream in a nested room", "private header", "unnamed file",
        "struct twice", "macro twice", "enum twice, once in a .c file"])
def test_what_breaks_a_rule_is_noticed(copy, path, text, said):
    with open(str(copy / "core" / path), "a") as f:
        f.write(text)
    status, out = lint(str(copy))
    assert status == 1 and said in out, out


def test_a_file_that_went_is_noticed(copy):
    os.unlink(str(copy / "core" / "base" / "bits.h"))
    status, out = lint(str(copy))
    assert status == 1 and "core/README.md names base/bits.h, which is not there" in out
