#!/bin/sh
# `make deps`: install the distribution's packages that are missing. usage: deps.sh GROUP...
#
# Groups: build, demo, test. A name after `?` is optional: where the distribution has no
# such package it is left out with a word. Asks for sudo only if there is something to
# install and the user is not root.
set -eu

packages() {
	case $1 in
	build) echo "gcc make pkg-config libelf-dev libdwarf-dev libzstd-dev liblz4-dev zlib1g-dev
		libedit-dev ?libdebuginfod-dev" ;;
	demo) echo "python3 gdb procps" ;;
	test) echo "libcmocka-dev python3 python3-pytest binutils util-linux procps zstd lz4
		gdb gdbserver lldb python3-lldb python3-dev libpython3-dev
		?python3-pytest-xdist ?python3-django ?python3-numpy ?python3-pandas ?python3-lxml ?mmdebstrap
		?elfutils ?libunicorn2 ?cython3 ?pybind11-dev ?g++
		?libjemalloc2 ?libtcmalloc-minimal4 ?libmimalloc2.0" ;;
	*) echo "deps.sh: no group $1" >&2; exit 2 ;;
	esac
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

command -v dpkg-query >/dev/null || {
	echo "deps: this is no Debian or Ubuntu; please install the equivalents of:" >&2
	for group; do packages "$group"; done | tr -d '?' >&2
	exit 1
}

missing=
for group; do
	for word in $(packages "$group"); do
		name=${word#\?}
		case " $missing " in *" $word "*) continue ;; esac
		installed "$name" || missing="$missing $word"
	done
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "deps: needs root, or sudo, to install:$missing" >&2; exit 1; }
	as_root=sudo
fi
export DEBIAN_FRONTEND=noninteractive
# One unreachable third-party archive is no reason to stop: what is needed decides below.
$as_root apt-get -qq update || echo "deps: apt-get update reported errors; going on" >&2

wanted=
unavailable=
for word in $missing; do
	name=${word#\?}
	if apt-cache show "$name" >/dev/null 2>&1; then
		wanted="$wanted $name"
	elif [ "$name" = "$word" ]; then
		unavailable="$unavailable $name"
	else
		echo "deps: this distribution has no package $name; going on without it"
	fi
done
[ -z "$unavailable" ] || { echo "deps: this distribution has no package$unavailable" >&2; exit 1; }
[ -n "$wanted" ] || exit 0
echo "deps: installing$wanted"
# shellcheck disable=SC2086  # a list of names
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends $wanted
