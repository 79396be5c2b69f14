#!/bin/sh
# `make deps`: install the distribution's packages that are missing. usage: deps.sh [--unasked] GROUP...
#
# Groups: emulator, build, demo, test. An entry is a package or alternatives (a|b): any of
# them serves, under its own name or one that another package provides, and the first that
# can be installed is. `?` marks what is optional: it never stops anything. sudo asks for a
# password only if something is missing that cannot be done without, and never with --unasked,
# which installs what it may and otherwise says what would be good to have (plain `make`).
set -eu

entries() {
	case $1 in
	emulator) echo "?libunicorn2|libunicorn2t64" ;;
	build) echo "gcc make pkg-config libelf-dev libdwarf-dev libzstd-dev liblz4-dev zlib1g-dev
		libedit-dev ?libdebuginfod-dev"; entries emulator ;;
	demo) echo "python3 gdb procps" ;;
	test) echo "libcmocka-dev python3 python3-pytest binutils util-linux procps zstd lz4
		gdb gdbserver lldb python3-lldb python3-dev libpython3-dev
		?python3-pytest-xdist ?python3-django ?python3-numpy ?python3-pandas ?python3-lxml ?mmdebstrap
		?elfutils ?cython3 ?pybind11-dev ?g++
		?libjemalloc2 ?libtcmalloc-minimal4|libtcmalloc-minimal4t64 ?libmimalloc2.0|libmimalloc3" ;;
	*) echo "deps: no group $1" >&2; exit 2 ;;
	esac
}

unasked=
[ "${1:-}" != --unasked ] || { unasked=1; shift; }
wanted=
for group; do wanted="$wanted $(entries "$group")"; done

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || {
	[ -z "$unasked" ] || exit 0
	echo "deps: this is no Debian or Ubuntu; please install the equivalents of:" >&2
	echo "$wanted" | tr -d '?' | xargs >&2
	exit 1
}

newline='
'
architecture=$(dpkg --print-architecture)
have=$(dpkg-query -W -f '${db:Status-Status} ${Architecture} ${Package}, ${Provides}\n' |
	sed -n "s/^installed \(all\|$architecture\) //p" | tr ',' '\n' | sed 's/^ *//; s/[ :(].*//')

# Whether one of an entry's alternatives is installed.
installed() {
	for name in $(echo "$1" | tr '|' ' '); do
		case "$newline$have$newline" in *"$newline$name$newline"*) return 0 ;; esac
	done
	return 1
}

# The first of an entry's alternatives that apt can install. A name that no package bears
# but one provides has no candidate; apt-get knows which one it means.
installable() {
	for name in $(echo "$1" | tr '|' ' '); do
		case $(LC_ALL=C apt-cache policy "$name" 2>/dev/null) in *"Candidate: (none)"* | '') continue ;; esac
		echo "$name"
		return
	done
	have_lists || return 0 # as apt-get would find, name by name
	for name in $(echo "$1" | tr '|' ' '); do
		if apt-get -qq --simulate install "$name" >/dev/null 2>&1; then
			echo "$name"
			return
		fi
	done
}

needed= # entries
extra=
for entry in $wanted; do
	case "$needed $extra " in *" ${entry#\?} "*) continue ;; esac
	! installed "${entry#\?}" || continue
	case $entry in
	\?*) extra="$extra ${entry#\?}" ;;
	*) needed="$needed $entry" ;;
	esac
done
[ -n "$needed$extra" ] || exit 0

# The names that apt can install now; $absent: the entries that it has none for.
resolve() {
	needed_names=
	extra_names=
	absent=
	absent_extra=
	for entry in $needed; do
		name=$(installable "$entry")
		[ -n "$name" ] && needed_names="$needed_names $name" || absent="$absent $entry"
	done
	for entry in $extra; do
		name=$(installable "$entry")
		[ -n "$name" ] && extra_names="$extra_names $name" || absent_extra="$absent_extra $entry"
	done
}

# What to type, for people who have to ask somebody: the first name where apt knows none yet.
command_line() {
	echo "apt-get install$needed_names$(echo "$absent" | sed 's/|[^ ]*//g')$extra_names"
}

have_lists() {
	for list in "${APT_LISTS:-/var/lib/apt/lists}"/*_Packages*; do [ -e "$list" ] && return 0; done
	return 1
}

resolve
as_root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		may=no
	elif [ -n "$needed" ] && [ -z "$unasked" ]; then
		may=yes
	else
		may=no
		! sudo -n true 2>/dev/null || may=yes
	fi
	if [ $may = no ]; then
		if [ -n "$needed" ]; then
			[ -n "$unasked" ] || { echo "deps: packages are missing, and only root can install them: $(command_line)" >&2; exit 1; }
			echo "deps: packages are missing: $(command_line)"
		elif [ -n "$extra_names" ]; then
			echo "deps: going on without$extra_names (as root: $(command_line))"
		fi
		exit 0
	fi
	as_root="sudo${unasked:+ -n}"
fi

apt_get() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}
# One unreachable third-party archive is no reason to stop: what is needed decides.
updated=
update() {
	updated=1
	apt_get ${unasked:+-o Acquire::Retries=0 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10} update ||
		echo "deps: apt-get update reported errors; going on" >&2
	resolve
}
install() {
	apt_get install -y --no-install-recommends "$@"
}
if [ -n "$absent" ] || ! have_lists; then
	update
fi
if [ -n "$absent" ]; then
	[ -z "$unasked" ] || exit 0
	echo "deps: this distribution has no package$(echo "$absent" | sed "s/|/ or /g")" >&2
	exit 1
fi
[ -z "$absent_extra" ] || [ -n "$unasked" ] ||
	echo "deps: this distribution has no package$(echo "$absent_extra" | sed "s/|/ or /g"); going on without"
[ -n "$needed_names$extra_names" ] || exit 0

echo "deps: installing$needed_names$extra_names"
# shellcheck disable=SC2086  # lists of names
install $needed_names $extra_names && exit 0
# The archive may have moved on since the lists were fetched.
if [ -z "$updated" ]; then
	update
	# shellcheck disable=SC2086
	install $needed_names $extra_names && exit 0
fi
# Now the optional ones one by one: each that cannot be installed is left out.
# shellcheck disable=SC2086
if [ -n "$needed_names" ] && ! install $needed_names && [ -z "$unasked" ]; then
	echo "deps: apt could not install what is needed; this says why: $(command_line)" >&2
	exit 1
fi
for name in $extra_names; do
	install "$name" || echo "deps: $name cannot be installed here; going on without it"
done
