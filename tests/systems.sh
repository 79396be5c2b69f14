#!/bin/sh
# A newcomer's trial: on a bare Debian, clone and type one command.
#
#   tests/systems.sh [OPTION...] SUITE...     bookworm, trixie, testing, ...
#
#   --as root|user    only as root, or only as an ordinary user with sudo (default: both)
#   --demo            only `make demo`
#   --check OPTIONS   `make check` with PYTEST=OPTIONS instead of all tests
#   --keep-logs DIR   keep what the commands printed, SUITE-WHO-COMMAND.log
#
# Every command begins in a root of its own that mmdebstrap has just made and that holds git,
# make and certificates (and sudo for the user). What is tried is the commit that is checked out.
# The archive's address and apt's settings are those of this machine's apt; packages are kept
# between runs in the cache directory. Roots and mounts go away on every way out: mounts
# live in a namespace of the command's own, processes too.
set -eu
cd "$(dirname "$0")/.."

who="root user"
what="demo check"
options=
logs=
while [ $# -gt 0 ]; do
	case $1 in
	--as) who=$2; shift 2 ;;
	--demo) what=demo; shift ;;
	--check) options=$2; shift 2 ;;
	--keep-logs) logs=$2; shift 2 ;;
	-*) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || { echo "systems.sh: which suites? (bookworm, trixie, testing)" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "systems.sh: making roots needs root" >&2; exit 2; }
command -v mmdebstrap >/dev/null || { echo "systems.sh: mmdebstrap is not installed" >&2; exit 2; }

mirror=$(PYTHONPATH=tests python3 -c 'import roots; print(roots.mirror())')
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pyretain/systems
mkdir -p "$cache"
# What a run left that was killed outright.
for old in "$cache"/work.*; do
	[ ! -d "$old" ] || kill -0 "${old##*.}" 2>/dev/null || rm -rf --one-file-system "$old"
done
work=$cache/work.$$
mkdir "$work"
child=
cleanup() {
	# unshare --kill-child ends everything that runs in the namespace with it
	[ -z "$child" ] || kill -KILL "$child" 2>/dev/null || :
	[ -z "$child" ] || wait "$child" 2>/dev/null || :
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# apt's ways out of this machine, for the apt of a root.
apt_settings() {
	apt-config dump | grep -E '^Acquire::(https?(::[A-Za-z.-]+)*::(Proxy|CaInfo|Verify-Peer|Verify-Host)|Retries) ' || :
	for scheme in http https; do
		eval "proxy=\${${scheme}_proxy:-}"
		[ -z "$proxy" ] || echo "Acquire::$scheme::Proxy \"$proxy\";"
	done
}

# Run "$@" in the background and wait for it: a signal to this script is answered at once.
run() {
	"$@" &
	child=$!
	status=0
	wait "$child" || status=$?
	child=
	return $status
}

# make_root SUITE: a bare system in $work/SUITE.
make_root() {
	mkdir -p "$cache/archives/$1/partial"
	run mmdebstrap --quiet --mode=root --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' \
		--dpkgopt=force-unsafe-io --include=git,make,ca-certificates,sudo,passwd "$1" "$work/$1" "$mirror" &&
		apt_settings >"$work/$1/etc/apt/apt.conf.d/80machine" &&
		sed -n 's/.*CaInfo "\(.*\)";/\1/p' "$work/$1/etc/apt/apt.conf.d/80machine" | while read -r file; do
			install -D -m 644 "$file" "$work/$1$file" || exit
		done &&
		cp /etc/resolv.conf /etc/hosts "$work/$1/etc/" &&
		chroot "$work/$1" useradd --create-home --shell /bin/bash newcomer &&
		echo "newcomer ALL=(ALL) NOPASSWD: ALL" >"$work/$1/etc/sudoers.d/newcomer" &&
		chmod 440 "$work/$1/etc/sudoers.d/newcomer"
}

# in_root ROOT SUITE USER COMMAND
in_root() {
	run unshare --mount --pid --fork --kill-child --propagation=private sh -c '
		set -e
		mount -t proc proc "$1/proc"
		mount -t sysfs -o ro sysfs "$1/sys"
		mkdir -p "$1/dev/pts" "$1/dev/shm"
		mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$1/dev/pts"
		mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
		mount --bind "$2" "$1/var/cache/apt/archives"
		exec env -i TERM=dumb LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			chroot "$1" su -l "$3" -c "$4"' \
		sh "$1" "$cache/archives/$2" "$3" "$4" </dev/null
}

git clone --quiet --bare --depth 1 "file://$PWD" "$work/pyretain.git"
summary=$work/summary
: >"$summary"
failed=0
for suite; do
	echo "== $suite: making a root"
	if ! make_root "$suite" >"$work/$suite.log" 2>&1; then
		tail -n 20 "$work/$suite.log"
		echo "$suite|-|mmdebstrap|-|failed|" >>"$summary"
		failed=1
		continue
	fi
	for command in $what; do
		for person in $who; do
			user=root
			[ "$person" = root ] || user=newcomer
			root=$work/$suite-$person-$command
			log=$work/$suite-$person-$command.log
			cp -a --reflink=auto "$work/$suite" "$root"
			[ "$person" = user ] || rm -f "$root/usr/bin/sudo"
			cp -a "$work/pyretain.git" "$root/srv/pyretain.git"
			chroot "$root" chown -R "$user" /srv/pyretain.git
			line="git clone -q /srv/pyretain.git pyretain && cd pyretain && make $command"
			[ "$command" != check ] || [ -z "$options" ] || line="$line PYTEST=\"$options\""
			echo "== $suite, $person: make $command"
			begun=$(date +%s)
			status=0
			in_root "$root" "$suite" "$user" "$line" >"$log" 2>&1 || status=$?
			seconds=$(($(date +%s) - begun))
			result=passed
			[ $status = 0 ] || result="status $status"
			left=$(find "$root/tmp" "$root/var/tmp" -mindepth 1 -maxdepth 1 ! -name 'systemd-private-*' -printf '%f ')
			[ -z "$left" ] || result="$result, left in /tmp: $left"
			[ "$result" = passed ] || { failed=1; tail -n 60 "$log"; }
			echo "$suite|$person|$command|$seconds|$result|$(sed -n 's/^=*\( *[0-9].* in [0-9.]*s.*[^=]\)=*$/\1/p' "$log" | tail -n 1)" >>"$summary"
			tail -n 1 "$summary" | tr '|' ' '
			[ -z "$logs" ] || { mkdir -p "$logs" && cp "$log" "$logs/"; }
			rm -rf --one-file-system "$root"
		done
	done
	rm -rf --one-file-system "${work:?}/$suite"
done
echo
{ echo "SUITE|AS|MAKE|SECONDS|RESULT|TESTS"; cat "$summary"; } |
	awk -F '|' '{ printf "%-10s %-5s %-11s %7s  %s; %s\n", $1, $2, $3, $4, $5, $6 }'
exit $failed
