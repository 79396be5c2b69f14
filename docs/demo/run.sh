#!/bin/sh
# `make demo`: a small leaking service, its core, and a commented gdb session.
# usage: run.sh BUILD_DIR
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=$(cd "$1" && pwd)
python=${PYTHON:-/usr/bin/python3}
work=$(mktemp -d "${TMPDIR:-/tmp}/pyretain-demo.XXXXXX")
pid=
cleanup() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

say() { printf '\n# %s\n' "$*"; }

say "1. A shop service that has served 40000 requests ($("$python" --version), as the distribution ships it)"
# Where the kernel lets only parents trace (Yama), the service allows the others.
"$python" -c 'import ctypes, os, sys
ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1), 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])' "$python" "$here/shop.py" --ready "$work/ready" >"$work/shop.log" 2>&1 &
pid=$!
tries=0
until [ -s "$work/ready" ]; do
	tries=$((tries + 1))
	if [ "$tries" -gt 600 ] || ! kill -0 "$pid" 2>/dev/null; then
		cat "$work/shop.log" >&2
		echo "demo: the service did not come up" >&2
		exit 1
	fi
	sleep 0.1
done
echo "$ ps -o pid,rss,cmd -p $pid"
ps -o pid,rss,cmd -p "$pid" | sed "s,$top/,,"

say "2. Its core, without stopping the service for long"
echo "$ gcore -o core $pid"
(cd "$work" && gdb --batch -nx -p "$pid" -ex "generate-core-file core.shop" >"$work/gcore.log" 2>&1) || :
[ -s "$work/core.shop" ] || { cat "$work/gcore.log" >&2; echo "demo: gdb could not write a core" >&2; exit 1; }
ls -lh "$work/core.shop" | awk '{ print $5, "core.shop" }'

say "3. The core in gdb, with pyretain loaded"
cd "$work"
gdb --batch -nx -iex 'set pagination off' -ex "source $top/gdb/pyretain.py" \
	-ex "core-file $work/core.shop" -ex "source $here/session.gdb" >"$work/gdb.log" 2>&1 || {
	cat "$work/gdb.log" >&2
	exit 1
}
# gdb's own words on loading a core are not the point here.
sed -n '/^# /,$p' "$work/gdb.log"

printf "\nThe same from a shell: build/pyretain -c CORE census, and of a running process: build/pyretain -p PID census\n"
