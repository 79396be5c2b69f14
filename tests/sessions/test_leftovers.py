"""The tests clean up after themselves."""
import os
import subprocess
import sys

import pytest

import matrix


@pytest.mark.parametrize("workers", [[], ["-n", "2", "--dist", "loadgroup"]], ids=["alone", "workers"])
def test_a_run_leaves_nothing_in_tmp(workers, tmp_path):
    """pytest keeps the directories of the last three runs, and each worker would make scratch of
    its own, unless they are told otherwise (conftest.py)."""
    if workers:
        pytest.importorskip("xdist")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYRETAIN"))}
    env.update(TMPDIR=str(tmp_path), PYRETAIN_TEST_ONLY="system")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "tests/sessions/test_deps.py", "tests/sessions/test_roots.py",
                           "-k", "emulator or asyncio"] + workers, env=env, cwd=matrix.TOP,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    assert os.listdir(str(tmp_path)) == []
