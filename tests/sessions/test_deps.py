"""tools/deps.sh on a machine that is made up: its dpkg, apt, id and sudo say what a test wants,
and what it would have installed is noted."""
import os
import re
import subprocess

import pytest

import matrix

BUILD = ["gcc", "make", "pkg-config", "libelf-dev", "libdwarf-dev", "libzstd-dev", "liblz4-dev", "zlib1g-dev",
         "libedit-dev"]
FAKES = {
    "dpkg": 'echo amd64',
    "dpkg-query": 'cat "$MACHINE/installed"',
    "apt-cache": 'if grep -qxF "$2" "$MACHINE/archive"; then echo "  Candidate: 1.0"; else echo "  Candidate: (none)"; fi',
    "apt-get": '''echo "$*" >>"$MACHINE/calls"
case " $* " in *" update "*) exit 0 ;; esac
for word; do name=$word; done
case " $* " in *" --simulate "*) exec grep -qxF "$name" "$MACHINE/provided" ;; esac
while read -r broken; do case " $* " in *" $broken "*) exit 100 ;; esac; done <"$MACHINE/broken"''',
    "id": 'echo "$USER_ID"',
    "sudo": '[ "$SUDO" = passwordless ] || [ "$1" != -n ] || exit 1; [ "$1" != -n ] || shift; exec "$@"',
}


class Machine(object):
    def __init__(self, directory):
        self.directory = str(directory)
        self.bin = os.path.join(self.directory, "bin")
        os.mkdir(self.bin)
        os.mkdir(os.path.join(self.directory, "lists"))
        open(os.path.join(self.directory, "lists", "archive_main_binary-amd64_Packages"), "w").close()
        for name, text in FAKES.items():
            self.write(os.path.join("bin", name), "#!/bin/sh\n" + text + "\n")
            os.chmod(os.path.join(self.bin, name), 0o755)
        for name in os.listdir("/usr/bin"):  # all else is real, and there is no real apt or sudo
            if name in ("sh", "sed", "tr", "grep", "env", "cat", "xargs", "true"):
                os.symlink(os.path.join("/usr/bin", name), os.path.join(self.bin, name))
        self.user, self.sudo = 0, None
        self.has([])
        self.archive([])
        self.write("provided", "")
        self.write("broken", "")
        self.write("calls", "")

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w") as f:
            f.write(text)

    def has(self, names, provides=""):
        self.write("installed", "".join("installed amd64 %s, %s\n" % (n, provides) for n in names) +
                   "config-files amd64 removed-package, \n")

    def archive(self, names):
        self.write("archive", "\n".join(names) + "\n")

    def deps(self, *groups):
        """(status, output, names of packages that were installed, call by call)"""
        if not self.sudo and os.path.exists(os.path.join(self.bin, "sudo")):
            os.remove(os.path.join(self.bin, "sudo"))
        env = {"PATH": self.bin, "MACHINE": self.directory, "USER_ID": str(self.user), "SUDO": self.sudo or "",
               "APT_LISTS": os.path.join(self.directory, "lists")}
        done = subprocess.run([os.path.join(matrix.TOP, "tools", "deps.sh")] + list(groups), env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True, timeout=60)
        with open(os.path.join(self.directory, "calls")) as f:
            calls = [line.split("--no-install-recommends ")[1].split() for line in f if " install -y " in line]
        return done.returncode, done.stdout, calls


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize("name", ["libunicorn2", "libunicorn2t64"])
def test_any_alternative_that_is_installed_serves(machine, name):
    machine.has(BUILD + ["libdebuginfod-dev", name])
    assert machine.deps("build") == (0, "", [])


def test_a_provided_name_is_installed(machine):
    machine.has(BUILD + ["libdebuginfod-dev", "unicorn-of-our-own"], provides="other, libunicorn2 (= 2.1), last")
    assert machine.deps("build") == (0, "", [])


@pytest.mark.parametrize("name", ["libunicorn2", "libunicorn2t64"])
def test_the_alternative_that_the_archive_has_is_installed(machine, name):
    machine.has(BUILD + ["libdebuginfod-dev"])
    machine.archive([name])
    status, text, calls = machine.deps("build")
    assert (status, calls) == (0, [[name]])


def test_a_name_that_only_is_provided_can_be_installed(machine):
    machine.has(BUILD + ["libdebuginfod-dev"])
    machine.write("provided", "libunicorn2\n")
    assert machine.deps("build")[2] == [["libunicorn2"]]


def test_what_is_optional_and_not_in_the_archive_stops_nothing(machine):
    machine.archive(BUILD)
    status, text, calls = machine.deps("build")
    assert (status, calls) == (0, [BUILD])
    assert "no package libdebuginfod-dev libunicorn2 or libunicorn2t64; going on without" in text


def test_what_is_optional_and_cannot_be_installed_stops_nothing(machine):
    """apt refuses all when one cannot be had: then what is needed goes first, the rest one by one."""
    machine.archive(BUILD + ["libdebuginfod-dev", "libunicorn2"])
    machine.write("broken", "libdebuginfod-dev\n")
    status, text, calls = machine.deps("build")
    assert status == 0
    assert calls[-3:] == [BUILD, ["libdebuginfod-dev"], ["libunicorn2"]]
    assert "libdebuginfod-dev cannot be installed here; going on without it" in text


def test_what_is_needed_and_cannot_be_had_is_an_error(machine):
    machine.archive(BUILD[1:])
    status, text, calls = machine.deps("build")
    assert status == 1 and "no package gcc" in text and not calls
    machine.archive(BUILD)
    machine.write("broken", "gcc\n")
    status, text, calls = machine.deps("build")
    assert status == 1 and "apt-get install " + " ".join(BUILD) in text


def test_without_root_only_what_is_needed_is_missed(machine):
    machine.user = 1000
    machine.archive(BUILD + ["libdebuginfod-dev", "libunicorn2t64"])
    machine.has(BUILD)
    status, text, calls = machine.deps("build")
    assert (status, calls) == (0, []) and text.count("\n") == 1
    assert "apt-get install libdebuginfod-dev libunicorn2t64" in text
    machine.has(BUILD[1:])
    status, text, calls = machine.deps("build")
    assert (status, calls) == (1, [])
    assert "apt-get install gcc libdebuginfod-dev libunicorn2t64\n" in text
    assert not re.search(r"[?|]", text)


def test_sudo_asks_for_a_password_only_for_what_is_needed(machine):
    machine.user, machine.sudo = 1000, "password"
    machine.archive(BUILD + ["libdebuginfod-dev", "libunicorn2"])
    machine.has(BUILD)
    status, text, calls = machine.deps("build")
    assert (status, calls) == (0, []) and "apt-get install libdebuginfod-dev libunicorn2" in text
    machine.has(BUILD[1:])
    assert machine.deps("build")[2] == [["gcc", "libdebuginfod-dev", "libunicorn2"]]


@pytest.mark.parametrize("user,sudo", [(0, None), (1000, "passwordless")])
def test_plain_make_installs_the_emulator_where_it_may(machine, user, sudo):
    machine.user, machine.sudo = user, sudo
    machine.archive(["libunicorn2t64"])
    status, text, calls = machine.deps("--unasked", "emulator")
    assert (status, calls) == (0, [["libunicorn2t64"]])


@pytest.mark.parametrize("sudo", [None, "password"])
def test_plain_make_names_the_emulator_where_it_may_not(machine, sudo):
    machine.user, machine.sudo = 1000, sudo
    machine.archive(["libunicorn2t64"])
    status, text, calls = machine.deps("--unasked", "emulator")
    assert (status, calls) == (0, []) and "apt-get install libunicorn2t64" in text and text.count("\n") == 1


def test_plain_make_goes_on_where_nothing_can_be_installed(machine):
    machine.archive(["libunicorn2"])
    machine.write("broken", "libunicorn2\n")
    status, text, calls = machine.deps("--unasked", "emulator")
    assert status == 0 and "libunicorn2 cannot be installed here" in text


def test_no_compiler_is_said_in_one_line(tmp_path):
    """A first-time user who types `make` is told what to type first."""
    done = subprocess.run(["make", "-s", "-C", matrix.TOP, "BUILD=" + str(tmp_path / "build"), "CC=no-such-compiler"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          universal_newlines=True, timeout=60)
    assert done.returncode != 0
    assert done.stdout.count("\n") == 1 and "make deps" in done.stdout
