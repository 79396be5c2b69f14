#!/bin/sh
# `make check`: build what the tests need, then run them all. usage: check.sh [PYTEST OPTION...]
#
# MATRIX=full makes every gap of the matrix a failure and makes the Debian roots that are
# missing; without it the tests run on what this machine has, and the gaps are printed.
# QUICK=1 (`make quick`) leaves out the sanitizers and asks one interpreter, the system's.
set -eu
cd "$(dirname "$0")/.."

jobs=$(getconf _NPROCESSORS_ONLN)
begun=$(date +%s)
phase() { echo "check: $(($(date +%s) - begun)) s: $*"; }
build() { ${MAKE:-make} -s -j"$jobs" "$@"; }

phase "building the library, the command and the unit tests"
build all unit
if [ -z "${QUICK:-}" ]; then
	phase "building them with AddressSanitizer and UndefinedBehaviorSanitizer"
	build BUILD=build-asan SANITIZE=address,undefined all unit
	phase "building the library with UndefinedBehaviorSanitizer, for the debuggers"
	build BUILD=build-ubsan SANITIZE=undefined build-ubsan/libpyretain.so
fi
if [ "${MATRIX:-}" = full ]; then
	phase "making the Debian roots that are missing"
	/usr/bin/python3 tests/roots.py
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/pyretain-tests.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
export PYRETAIN_TEST_SCRATCH="$scratch"
workers=
if /usr/bin/python3 -c 'import xdist' 2>/dev/null; then
	workers="-n $jobs --dist loadgroup"
fi
if [ -n "${QUICK:-}" ]; then
	export PYRETAIN_TEST_ONLY=system PYRETAIN_TEST_ASAN_BUILD=none
	set -- -m "not slow" --ignore tests/sessions/test_sanitizers.py "$@"
fi
phase "running the tests${workers:+, $jobs at a time}"
status=0
# shellcheck disable=SC2086  # a list of options
/usr/bin/python3 -m pytest -q --durations=15 $workers "$@" || status=$?
phase "done"
exit $status
