"""The adapter for gdb; pyretain.py loads it.

Tells the core what gdb holds, evaluates gdb's expressions in the places of addresses,
and sets $pyr, $pyr1, $pyr2, ... to the objects that the last command listed."""
import re
import struct

import gdb

import pyretain_ctypes as api


def quiet(command):
    """What gdb prints for a command, or "" when it refuses."""
    try:
        return gdb.execute(command, to_string=True)
    except gdb.error:
        return ""


def core_path():
    """The core file that gdb has open, or None."""
    match = re.search(r"^Local core dump file:\s*\n\s*[`']([^\n]*?)', file type", quiet("info files"), re.M)
    return match.group(1) if match else None


def connection_type(inferior):
    """"core", "native", "remote", ...; "" when gdb does not tell."""
    connection = getattr(inferior, "connection", None)
    return getattr(connection, "type", "") or ""


def auxv():
    """The auxiliary vector, as `info auxv` shows it, in the kernel's form."""
    out = b""
    for line in quiet("info auxv").splitlines():
        match = re.match(r"(\d+)\s+\S+\s.*?(0x[0-9a-f]+|\d+)(?:\s+\".*\")?\s*$", line)
        if match:
            out += struct.pack("<QQ", int(match.group(1)), int(match.group(2), 0) & (2 ** 64 - 1))
    return out


def mappings():
    """`info proc mappings`: with permissions for processes, without for cores."""
    rows = []
    for line in quiet("info proc mappings").splitlines():
        match = re.match(r"\s*(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)"
                         r"(?:\s+([r-][w-][x-][ps-]))?(?:\s+(\S.*?))?\s*$", line)
        if match:
            start, end, offset = (int(match.group(i), 16) for i in (1, 2, 3))
            rows.append((start, end, match.group(4) or "rw-p", offset, match.group(5) or ""))
    return rows


REGISTERS = {"x86_64": ("fs_base", "rsp", "rip"), "aarch64": ("tpidr", "sp", "pc")}


def register(frame, name):
    try:
        return int(frame.read_register(name)) & (2 ** 64 - 1)
    except (gdb.error, ValueError):
        return 0


def threads(inferior, machine):
    """Registers of every thread; the selected thread and frame stay selected."""
    rows = []
    selected = gdb.selected_thread()
    frame = gdb.selected_frame() if selected and selected.is_valid() else None
    try:
        for thread in inferior.threads():
            thread.switch()
            newest = gdb.newest_frame()
            tls, sp, pc = (register(newest, name) for name in REGISTERS[machine])
            general = [register(newest, name) for name in api.GENERAL[machine]]
            rows.append((thread.ptid[1] or thread.ptid[2], tls, sp, pc, thread.name or "", general))
    finally:
        if selected and selected.is_valid():
            selected.switch()
            if frame and frame.is_valid():
                frame.select()
    return rows


class GdbAdapter(api.Adapter):
    def __init__(self, script):
        super(GdbAdapter, self).__init__(script)
        self.epoch = 0
        # Whatever may change memory makes what is known of it stale.
        for name in ("cont", "exited", "memory_changed", "inferior_call", "new_objfile"):
            registry = getattr(gdb.events, name, None)
            if registry:
                registry.connect(self.changed)

    def changed(self, *_):
        self.epoch += 1

    def inferior(self):
        inferior = gdb.selected_inferior()
        if not inferior.is_valid() or not inferior.pid:
            raise api.Refusal("there is no process and no core; use `core-file FILE`, `attach PID` or `run` first")
        running = [thread.num for thread in inferior.threads() if thread.is_running()]
        if running:
            raise api.Refusal("thread %s is running; `interrupt -a` stops all threads"
                              % ", ".join(str(number) for number in running[:5]))
        return inferior

    def identity(self):
        inferior = self.inferior()
        kind = connection_type(inferior)
        core = core_path() if kind in ("core", "") else None
        return (inferior.num, inferior.pid, kind, getattr(getattr(inferior, "connection", None), "num", None),
                api.file_identity(core) if core else api.process_start(inferior.pid) if kind == "native" else None,
                self.epoch)

    def describe(self):
        inferior = self.inferior()
        kind = connection_type(inferior)
        core = core_path() if kind in ("core", "") else None
        machine = api.machine_of(inferior.architecture().name())
        space = getattr(inferior, "progspace", None) or gdb.current_progspace()
        details = getattr(getattr(inferior, "connection", None), "details", None)
        return {"description": "core file %s in gdb" % core if core else "process %d in gdb" % inferior.pid
                if kind == "native" else "%s target%s in gdb" % (kind or "unknown", " " + details if details else ""),
                "machine": machine, "pid": inferior.pid, "exe": space.filename, "auxv": auxv(),
                "mappings": mappings(), "lwps": threads(inferior, machine), "core": core,
                "local_pid": inferior.pid if kind == "native" else None}

    def c_frames(self, tid):
        selected, rows = gdb.selected_thread(), []
        selected_frame = gdb.selected_frame() if selected and selected.is_valid() else None
        inferior = gdb.selected_inferior()
        pointer = REGISTERS[api.machine_of(inferior.architecture().name())][1]
        try:
            for thread in inferior.threads():
                if (thread.ptid[1] or thread.ptid[2]) != tid:
                    continue
                thread.switch()
                frame = gdb.newest_frame()
                while frame is not None and len(rows) < api.FRAMES_MAX:
                    # what was inlined has the stack of the function that it is part of
                    if frame.type() != gdb.INLINE_FRAME:
                        rows.append((register(frame, pointer), frame.name()))
                    frame = frame.older()
        except gdb.error:
            pass  # the unwinder gave up: what it told is right
        finally:
            if selected and selected.is_valid():
                selected.switch()
                if selected_frame and selected_frame.is_valid():
                    selected_frame.select()
        return rows

    def read_memory(self, address, length):
        return gdb.selected_inferior().read_memory(address, length)

    def evaluate(self, text):
        """Without running code in the target: gdb may not call functions meanwhile."""
        allowed = gdb.parameter("may-call-functions")
        try:
            if allowed:
                gdb.execute("set may-call-functions off", to_string=True)
            value = gdb.parse_and_eval(text)
            if value.type.strip_typedefs().code not in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_INT, gdb.TYPE_CODE_ENUM,
                                                        gdb.TYPE_CODE_REF):
                if value.address is None:
                    raise api.Refusal("%s is not an address" % text)
                value = value.address
            return int(value)
        except (gdb.error, OverflowError) as error:
            raise api.Refusal("%s: %s" % (text, error))
        finally:
            if allowed:
                gdb.execute("set may-call-functions on", to_string=True)

    def publish(self, addresses):
        for number, address in enumerate(addresses):
            gdb.set_convenience_variable("pyr%d" % (number + 1), address)
        if addresses:
            gdb.set_convenience_variable("pyr", addresses[0])


def width():
    value = gdb.parameter("width")
    return value if isinstance(value, int) and 0 < value < 10000 else 0


def invoke(argv):
    errors = []

    def write(stream, text):
        if stream == 2:
            errors.append(text)
        else:
            gdb.write(text)

    # JSON goes out whole: nobody wants to press return in the middle of it.
    unpaged = "--json" in argv and gdb.parameter("pagination")
    try:
        if unpaged:
            gdb.execute("set pagination off", to_string=True)
        status = adapter.run(argv, write, width())
    except api.Refusal as refusal:
        raise gdb.GdbError("pyretain: %s" % refusal)
    finally:
        if unpaged:
            gdb.execute("set pagination on", to_string=True)
    if status:
        raise gdb.GdbError("".join(errors).rstrip("\n") or "pyretain: exit status %d" % status)
    if errors:
        gdb.write("".join(errors), gdb.STDERR)


class Command(gdb.Command):
    """One command of the core, as `pyretain NAME`."""

    def __init__(self, name):
        self.name = name
        self.__doc__ = adapter.help(name)
        super(Command, self).__init__("pyretain " + name, gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        try:
            words = adapter.split(argument)
        except api.Refusal as refusal:
            raise gdb.GdbError("pyretain: %s" % refusal)
        invoke([self.name] + words)

    def complete(self, text, word):
        token = (text.rsplit(None, 1) or [""])[-1] if text and not text[-1].isspace() else ""
        # gdb breaks words at more characters than blanks and replaces only the last part
        prefix = token[:len(token) - len(word)] if word and token.endswith(word) else token if not word else ""
        return [found[len(prefix):] for found in adapter.completions("%s %s" % (self.name, text))
                if found.startswith(prefix)]


class Prefix(gdb.Command):
    """Explain the memory of the CPython process or core that gdb holds.

`pyretain help` lists the questions that it answers, `help pyretain COMMAND` tells more
of one. Addresses may be gdb expressions; $pyr, $pyr1, $pyr2, ... are the objects that
the last command listed."""

    def __init__(self):
        super(Prefix, self).__init__("pyretain", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)

    def invoke(self, argument, from_tty):
        invoke(adapter.split(argument))


adapter = GdbAdapter(__file__)
Prefix()
for word in adapter.words:
    Command(word)
gdb.execute("alias pyr = pyretain", to_string=True)
