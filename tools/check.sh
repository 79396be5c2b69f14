#!/bin/sh
# `make check`: build what the tests need, then run them all. usage: check.sh [PYTEST OPTION...]
#
# MATRIX=full makes every gap of the matrix a failure and makes the Debian roots that are
# missing; without it the tests run on what this machine has, and the gaps are printed.
set -eu
cd "$(dirname "$0")/.."

jobs=$(getconf _NPROCESSORS_ONLN)
${MAKE:-make} -s -j"$jobs" all unit
${MAKE:-make} -s -j"$jobs" BUILD=build-asan SANITIZE=address,undefined all unit
${MAKE:-make} -s -j"$jobs" BUILD=build-ubsan SANITIZE=undefined all

if [ "${MATRIX:-}" = full ]; then
	/usr/bin/python3 tests/roots.py
fi
workers=
if /usr/bin/python3 -c 'import xdist' 2>/dev/null; then
	workers="-n $jobs --dist loadgroup"
fi
# shellcheck disable=SC2086  # a list of options
exec /usr/bin/python3 -m pytest -q $workers "$@"
