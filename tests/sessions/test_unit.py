"""The unit tests in C: each binary is a test here, as built and under the sanitizers."""
import glob
import os
import subprocess

import pytest

import matrix
import sessions


def binaries(build):
    directory = os.path.join(matrix.TOP, build, "tests", "unit")
    return [p for p in sorted(glob.glob(os.path.join(directory, "test_*"))) if os.access(p, os.X_OK)
            and not p.endswith((".o", ".d"))]


SANITIZED = os.environ.get("PYRETAIN_TEST_ASAN_BUILD", "build-asan")
SLOW = ("test_extensions",)  # it compiles extension modules


def parameters(build):
    return [pytest.param(path, id="%s/%s" % (build, os.path.basename(path)),
                         marks=[pytest.mark.slow] if os.path.basename(path) in SLOW else [])
            for path in binaries(build)]


@pytest.mark.parametrize("binary", parameters(os.path.basename(sessions.BUILD)) + parameters(SANITIZED))
def test_unit(binary):
    done = subprocess.run([binary], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=600, cwd=matrix.TOP,
                          env=sessions.sanitizer_env())
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]


def test_every_unit_test_was_built():
    sources = glob.glob(os.path.join(matrix.TESTS, "unit", "test_*.c"))
    names = {os.path.basename(p)[:-2] for p in sources}
    assert names and names == {os.path.basename(p) for p in binaries(os.path.basename(sessions.BUILD))}
