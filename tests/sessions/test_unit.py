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


@pytest.mark.parametrize("binary", binaries(os.path.basename(sessions.BUILD)) + binaries(SANITIZED),
                         ids=lambda p: os.path.relpath(p, matrix.TOP).replace("/tests/unit", "") if isinstance(p, str) else None)
def test_unit(binary):
    done = subprocess.run([binary], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=300, cwd=matrix.TOP,
                          env=dict(os.environ, UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1",
                                   ASAN_OPTIONS="detect_leaks=1"))
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]


def test_every_unit_test_was_built():
    sources = glob.glob(os.path.join(matrix.TESTS, "unit", "test_*.c"))
    names = {os.path.basename(p)[:-2] for p in sources}
    assert names and names == {os.path.basename(p) for p in binaries(os.path.basename(sessions.BUILD))}
