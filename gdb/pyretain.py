"""pyretain in gdb: `source gdb/pyretain.py`, then `pyretain help` (`pyr` for short).

gdb runs every script that is sourced in one namespace, __main__, which the user's own scripts
share. So this one only loads the adapter, as a module, which is loaded once however often
a script is sourced (~/.gdbinit, auto-loading for each Python that gdb opens)."""
import os
import sys


def _pyretain_load():
    # In a script that another one sources, gdb up to 18 leaves __file__ as the outer script's.
    # The code knows its own file.
    here = os.path.dirname(os.path.realpath(sys._getframe().f_code.co_filename))
    sys.path.insert(0, here)
    try:
        import pyretain_gdb  # noqa: F401  pylint: disable=unused-import,import-outside-toplevel
    finally:
        sys.path.remove(here)


_pyretain_load()
