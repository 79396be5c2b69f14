#!/bin/sh
# regenerate.sh GENERATOR (-o DIRECTORY | --check): run the generator over every
# interpreter with debug info that this machine has: pyenv's, the system's, and the
# extracted Debian packages under each directory of LAYOUT_ROOTS (fetch-debian.sh). Builds
# that no table knows are listed by --check, which is no failure.
set -eu
generator=$1
shift
pyenv=${PYENV_ROOT:-$HOME/.pyenv}

# Its own, or a file under the debug directory of its root.
has_debug_info() {
	id=$(readelf -n "$1" 2>/dev/null | sed -n 's/ *Build ID: //p')
	[ -e "$2/usr/lib/debug/.build-id/$(echo "$id" | cut -c1-2)/$(echo "$id" | cut -c3-).debug" ] ||
		readelf -SW "$1" 2>/dev/null | grep -q '\.debug_info'
}

for prefix in "$pyenv"/versions/3.*; do
	for image in "$prefix"/lib/libpython3.*.so.1.0; do
		[ -e "$image" ] && set -- "$@" "$image"
	done
done
# Debug flavours of those, from their headers; before 3.8 Py_DEBUG implies Py_TRACE_REFS.
for prefix in "$pyenv"/versions/3.*; do
	case ${prefix##*/} in
	3.6.*) set -- "$@" --headers "debug-trace-refs=$prefix" ;;
	3.7.*) set -- "$@" --headers "debug-trace-refs=$prefix" ;;
	3.8.* | 3.9.* | 3.10.* | 3.11.* | 3.12.*)
		set -- "$@" --headers "debug=$prefix" --headers "trace-refs=$prefix" \
			--headers "debug-trace-refs=$prefix" ;;
	esac
done
set -- "$@" --vendor Debian
for root in / ${LAYOUT_ROOTS:-}; do
	[ -d "$root" ] || continue
	root=${root%/}
	set -- "$@" --root "$root"
	for image in "$root"/usr/bin/python3.[0-9]* "$root"/usr/lib/*/libpython3.*.so.1.0; do
		case $image in
		*-config | *-gdb.py | *-dbg-config) continue ;;
		esac
		[ -f "$image" ] && [ ! -L "$image" ] && has_debug_info "$image" "$root" && set -- "$@" "$image"
	done
done
exec "$generator" "$@"
