#!/usr/bin/env python3
"""Debian roots that the tests run newer Pythons and debuggers in.

    tests/roots.py [NAME...]      make what is missing, print one line per root
    tests/roots.py --list         say what there is, make nothing

A root is a directory made by mmdebstrap, kept outside the clone under
$PYRETAIN_TEST_ROOTS (default $XDG_CACHE_HOME/pyretain/roots), and complete once it
holds the file `.complete` with the list it was made from.  The mirror is the one
that this machine's own apt uses for Debian; nothing is assumed of its address.
"""
import fcntl
import os
import shutil
import subprocess
import sys

# What each root is for decides what is in it.  Debug information lies in roots of
# its own, so that the binaries of the others are tested as Debian ships them: stripped.
ROOTS = {
    "trixie": ("trixie", """
        python3 python3-numpy python3-pandas python3-django
        gdb gdbserver lldb-19 python3-lldb-19 pypy3
        gcc make pkg-config libelf-dev libdwarf-dev libzstd-dev liblz4-dev zlib1g-dev
        libedit-dev libcmocka-dev libdebuginfod-dev""".split()),
    "sid": ("sid", """
        python3 python3-numpy python3-pandas python3-django python3.15
        gdb gdbserver lldb-22 python3-lldb-22
        libelf1t64 libdwarf1 libzstd1 liblz4-1 zlib1g libedit2 libdebuginfod1t64""".split()),
    "forky": ("forky", ["python3.14", "python3.15"]),
    "trixie-debug": ("trixie", ["python3.13-dbg"]),
    "sid-debug": ("sid", ["python3.13-dbg", "python3.14-dbg", "python3.15-dbg"]),
}


class Unavailable(Exception):
    """A root that cannot be made here; str() says why."""


def home():
    """The directory that holds the roots."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("PYRETAIN_TEST_ROOTS") or os.path.join(cache, "pyretain", "roots")


def path(name):
    return os.path.join(home(), name)


def recipe(name):
    suite, packages = ROOTS[name]
    return suite + "\n" + "\n".join(packages) + "\n"


def complete(name):
    """Whether the root is there and made from today's list of packages."""
    try:
        with open(os.path.join(path(name), ".complete")) as f:
            return f.read() == recipe(name)
    except OSError:
        return False


def mirror():
    """The address this machine's apt takes Debian's main archive from."""
    if os.environ.get("PYRETAIN_TEST_MIRROR"):
        return os.environ["PYRETAIN_TEST_MIRROR"]
    try:
        rows = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(COMPONENT)|$(REPO_URI)|$(LABEL)",
             "Created-By: Packages"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise Unavailable("apt does not say where its packages come from")
    for row in rows.splitlines():
        origin, component, uri, label = row.split("|")
        if origin == "Debian" and component == "main" and label == "Debian":
            return uri
    raise Unavailable("apt on this machine knows no Debian archive (PYRETAIN_TEST_MIRROR can name one)")


def make(name):
    """Make the root `name` unless it is there; raise Unavailable if that cannot be."""
    if complete(name):
        return
    if os.geteuid() != 0:
        raise Unavailable("making a root needs root")
    if not shutil.which("mmdebstrap"):
        raise Unavailable("mmdebstrap is not installed")
    suite, packages = ROOTS[name]
    os.makedirs(home(), exist_ok=True)
    with open(path(name) + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test workers may want it at once
        if complete(name):
            return
        new = path(name) + ".new"
        shutil.rmtree(new, ignore_errors=True)
        with open(path(name) + ".log", "w+") as log:
            status = subprocess.run(
                ["mmdebstrap", "--mode=root", "--variant=apt",
                 "--aptopt=Acquire::Check-Valid-Until \"false\"",
                 "--aptopt=APT::Install-Recommends \"false\"",
                 "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*",
                 "--dpkgopt=path-exclude=/usr/share/doc/*",
                 "--include=" + ",".join(packages), suite, new, mirror()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT).returncode
            log.seek(0)
            last = [line for line in log.read().splitlines() if line.strip()][-1:]
        if status:
            shutil.rmtree(new, ignore_errors=True)
            raise Unavailable("mmdebstrap failed: %s" % " ".join(last))
        with open(os.path.join(new, ".complete"), "w") as f:
            f.write(recipe(name))
        shutil.rmtree(path(name), ignore_errors=True)
        os.rename(new, path(name))


def main(args):
    failed = 0
    for name in [a for a in args if not a.startswith("-")] or ROOTS:
        try:
            if "--list" not in args:
                make(name)
            print("%-14s %s" % (name, path(name) if complete(name) else "absent"))
        except Unavailable as why:
            failed = 1
            print("%-14s %s" % (name, why))
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
