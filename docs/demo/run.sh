#!/bin/sh
# `make demo`: a small leaking service, its core, and a commented gdb session on it. The core stays, in
# BUILD/demo, and the last lines printed are commands that go on from there. They are typed where this is.
# usage, in the top directory of the sources: docs/demo/run.sh BUILD
set -eu

build=${1%/}
here=docs/demo
python=${PYTHON:-/usr/bin/python3}
work=$build/demo
pid=
cleanup() { [ -z "$pid" ] || kill "$pid" 2>/dev/null || :; }
trap cleanup EXIT
trap 'exit 1' INT TERM

say() { printf '\n# %s\n' "$*"; }
fail() {
	[ ! -s "$1" ] || cat "$1" >&2
	echo "demo: $2" >&2
	exit 1
}
# Print a command line, then do it.
run() {
	echo "\$ $1"
	eval "$1"
}

[ -r $here/shop.py ] || fail /dev/null "to be run in the top directory of the sources: docs/demo/run.sh BUILD"
rm -rf "$work"
mkdir -p "$work"
# The adapter looks for the library in build/; another place has to be said.
elsewhere=
[ "$(realpath "$build")" = "$(realpath build)" ] || elsewhere="PYRETAIN_LIBRARY=$(realpath "$build")/libpyretain.so "

say "1. A shop service that has served 40000 requests ($("$python" --version), as the distribution ships it)"
# Where the kernel lets only parents trace (Yama), the service allows the others. It ends with this
# script, whatever ends that (make demo | head).
"$python" -c 'import ctypes, os, sys
ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1), 0, 0, 0)
ctypes.CDLL(None).prctl(1, 15, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])' "$python" $here/shop.py --ready "$work/ready" >"$work/shop.log" 2>&1 &
pid=$!
tries=0
until [ -s "$work/ready" ]; do
	tries=$((tries + 1))
	if [ "$tries" -gt 600 ] || ! kill -0 "$pid" 2>/dev/null; then
		fail "$work/shop.log" "the service did not come up"
	fi
	sleep 0.1
done
run "ps -o pid,rss,cmd -p $pid"

# By gdb, which depends neither on `ulimit -c` nor on where the kernel's core_pattern leads.
say "2. Its core, without stopping the service for long"
(run "gdb --batch -nx -p $pid -ex 'generate-core-file $work/core.shop' >$work/gcore.log 2>&1") || :
[ -s "$work/core.shop" ] || fail "$work/gcore.log" "gdb could not write a core"
# Most of it was never touched: that takes no room on the disk.
fallocate --dig-holes "$work/core.shop" 2>/dev/null || :

say "3. The core in gdb, with pyretain loaded"
eval "$elsewhere" 'gdb --batch -nx -iex "set pagination off" -iex "set debuginfod enabled off" -x gdb/pyretain.py \
	-ex "core-file $work/core.shop" -x $here/session.gdb' >"$work/gdb.log" 2>&1 ||
	fail "$work/gdb.log" "gdb could not look at the core"
# gdb's own words on loading a core are not the point here.
sed -n '/^# /,$p' "$work/gdb.log"

room=$(du -h "$work/core.shop" | cut -f1)
say "Now you. The core is kept: $work/core.shop ($room on the disk; make clean removes it). Three ways to go on:"
next() { printf '\n%s\n    %s\n' "$1" "$2"; }
next "What do the objects of each type keep alive?" "$build/pyretain -c $work/core.shop census --retained"
next "Ask more, in a shell: help lists the commands, Tab completes." "$build/pyretain -c $work/core.shop"
next "The same in gdb, for example: pyretain why --type Order" "${elsewhere}gdb -x gdb/pyretain.py -c $work/core.shop"
