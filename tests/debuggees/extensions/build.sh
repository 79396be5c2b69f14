#!/bin/sh
# Build the extension modules into a directory: by hand for every Python that has its headers
# here, with Cython and pybind11 for the system's. usage: build.sh DIRECTORY PYTHON
#
# The tests that run together compile them once, in their scratch directory.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
if [ -n "${PYRETAIN_TEST_SCRATCH:-}" ]; then
	made=$PYRETAIN_TEST_SCRATCH/extensions/$(echo "$2" | tr / _)
	mkdir -p "$made"
	exec 9>"$made.lock"
	flock 9
	[ -e "$made/.complete" ] || { PYRETAIN_TEST_SCRATCH='' "$0" "$made" "$2" && touch "$made/.complete"; }
	for module in "$made"/*.so; do
		[ ! -e "$module" ] || cp "$module" "$1"
	done
	exit 0
fi
cd "$1"
include=$("$2" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
[ -f "$include/Python.h" ] || exit 0
${CC:-cc} -O2 -fno-builtin -Wl,-z,lazy -shared -fPIC -I"$include" -o cext.so "$here/cext.c"
case $2 in /usr/bin/*) ;; *) exit 0 ;; esac
if command -v cython3 >/dev/null; then
	cython3 -3 -o cyext.c "$here/cyext.pyx"
	${CC:-cc} -O1 -w -shared -fPIC -I"$include" -o cyext.so cyext.c
fi
if command -v c++ >/dev/null && [ -f /usr/include/pybind11/pybind11.h ]; then
	c++ -O1 -std=c++17 -shared -fPIC -I"$include" -o pbext.so "$here/pbext.cpp"
fi
