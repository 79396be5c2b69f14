#!/bin/sh
# fetch-debian.sh DIRECTORY [ARCHITECTURE/SUITE...]: download Debian's interpreters with
# their debug info and extract them into DIRECTORY/ARCHITECTURE-SUITE, for LAYOUT_ROOTS.
# Nothing is installed. The mirror and the key are those this machine already uses.
set -eu
directory=$1
shift
[ $# -gt 0 ] || set -- amd64/bullseye amd64/bookworm amd64/trixie amd64/forky amd64/sid \
	arm64/bullseye arm64/bookworm arm64/trixie arm64/forky arm64/sid
mirror=$(apt-get indextargets --format '$(ORIGIN)|$(COMPONENT)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
	sed -n 's/^Debian|main|Debian|//p' | head -n 1)
[ -n "$mirror" ] || { echo "apt on this machine knows no Debian archive" >&2; exit 1; }
key=/usr/share/keyrings/debian-archive-keyring.gpg

for target; do
	architecture=${target%/*} suite=${target#*/}
	apt=$directory/apt-$architecture-$suite packages=$directory/packages-$architecture-$suite
	root=$directory/$architecture-$suite
	mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$packages" "$root"
	echo "deb [arch=$architecture signed-by=$key] $mirror $suite main" >"$apt/sources.list"
	touch "$apt/status"
	cat >"$apt/apt.conf" <<-END
		APT::Architecture "$architecture";
		APT::Architectures { "$architecture"; };
		APT::Sandbox::User "root";
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::State "$apt/state";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt/cache";
		Acquire::Languages "none";
	END
	export APT_CONFIG="$apt/apt.conf"
	apt-get update -qq
	for minor in 9 11 12 13 14 15 16; do
		apt-cache show "python3.$minor-dbg" >/dev/null 2>&1 || continue
		(cd "$packages" && apt-get download -qq "python3.$minor-dbg" \
			"python3.$minor-minimal" "libpython3.$minor-stdlib" "libpython3.$minor" \
			"libpython3.$minor-dbg" "libpython3.$minor-dev")
	done
	unset APT_CONFIG
	for package in "$packages"/*.deb; do
		[ -e "$package" ] && dpkg-deb -x "$package" "$root"
	done
done
