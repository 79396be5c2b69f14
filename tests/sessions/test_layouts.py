"""The layout tables that are checked in are what our generator makes from debug info."""
import os
import subprocess

import matrix


def test_tables_equal_what_the_generator_makes(record_property):
    """For every build whose debug info is here; the rest is listed with its provenance."""
    present = [matrix.roots.path(name) for name in ("trixie-debug", "sid-debug") if matrix.roots.complete(name)]
    done = subprocess.run(["make", "-s", "-C", matrix.TOP, "layouts-check"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
                          env=dict(os.environ, LAYOUT_ROOTS=" ".join(present)), timeout=600)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
