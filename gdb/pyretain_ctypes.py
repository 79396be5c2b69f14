"""The C interface of libpyretain (pyretain.h) for Python, and what the debuggers'
adapters have in common. The adapters add what only their debugger knows.

Nothing here depends on a debugger; a plain python3 can import it."""
import bisect
import ctypes
import os
import re
import shlex
import sys

OPTION = re.compile(r"--|-[A-Za-z]$")
# In the order of pyr_debugger_set_registers().
GENERAL = {"x86_64": "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi".split(),
           "aarch64": ["x%d" % number for number in range(31)]}
FRAMES_MAX = 10000  # of a thread, that are named
READ_DONE, READ_UNREADABLE, READ_INTERRUPTED, READ_GONE = range(4)

READ = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t)
PROGRESS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64)
FRAME_AT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p,
                            ctypes.c_size_t)
ADD = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)


class Debugger(ctypes.Structure):
    _fields_ = [("ctx", ctypes.c_void_p), ("read", READ), ("description", ctypes.c_char_p),
                ("machine", ctypes.c_char_p), ("pid", ctypes.c_int), ("exe", ctypes.c_char_p),
                ("auxv", ctypes.c_char_p), ("auxv_size", ctypes.c_size_t)]


class Sink(ctypes.Structure):
    _fields_ = [("ctx", ctypes.c_void_p), ("write", WRITE), ("progress", PROGRESS), ("width", ctypes.c_int),
                ("color", ctypes.c_int), ("catch_sigint", ctypes.c_int)]


_SIGNATURES = {
    # name: (result, arguments)
    "pyr_version": (ctypes.c_char_p, []),
    "pyr_session_create": (ctypes.c_void_p, []),
    "pyr_session_destroy": (None, [ctypes.c_void_p]),
    "pyr_session_option": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]),
    "pyr_session_use_debugger": (ctypes.c_int, [ctypes.c_void_p, ctypes.POINTER(Debugger)]),
    "pyr_debugger_add_mapping": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64,
                                                ctypes.c_char_p, ctypes.c_uint64, ctypes.c_char_p]),
    "pyr_debugger_add_thread": (ctypes.c_int, [ctypes.c_void_p] + [ctypes.c_uint64] * 4 + [ctypes.c_char_p]),
    "pyr_debugger_set_registers": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_uint64,
                                                  ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t]),
    "pyr_debugger_name_frames": (ctypes.c_int, [ctypes.c_void_p, FRAME_AT, ctypes.c_void_p]),
    "pyr_debugger_offer_core": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]),
    "pyr_debugger_offer_pid": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]),
    "pyr_session_invalidate": (None, [ctypes.c_void_p]),
    "pyr_run": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p),
                               ctypes.POINTER(Sink)]),
    "pyr_result_count": (ctypes.c_size_t, [ctypes.c_void_p]),
    "pyr_result_address": (ctypes.c_uint64, [ctypes.c_void_p, ctypes.c_size_t]),
    "pyr_command_count": (ctypes.c_size_t, []),
    "pyr_command_name": (ctypes.c_char_p, [ctypes.c_size_t]),
    "pyr_command_summary": (ctypes.c_char_p, [ctypes.c_size_t]),
    "pyr_command_address_arguments": (ctypes.c_uint, [ctypes.c_char_p]),
    "pyr_option_is_address": (ctypes.c_int, [ctypes.c_char_p, ctypes.c_char_p]),
    "pyr_option_takes_value": (ctypes.c_int, [ctypes.c_char_p, ctypes.c_char_p]),
    "pyr_help": (ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_char_p]),
    "pyr_complete": (None, [ctypes.c_void_p, ctypes.c_char_p, ADD, ctypes.c_void_p]),
}


def load(script):
    """The library that belongs to the adapter at `script`: $PYRETAIN_LIBRARY, the build
    tree's, or the installed one."""
    here = os.path.dirname(os.path.realpath(script))
    candidates = [os.environ.get("PYRETAIN_LIBRARY"),
                  os.path.join(here, "..", "build", "libpyretain.so"),
                  os.path.join(here, "..", "..", "..", "lib", "pyretain", "libpyretain.so"),
                  os.path.join(here, "..", "..", "..", "lib", "libpyretain.so")]
    for path in candidates:
        if path and os.path.exists(path):
            break
    else:
        raise ImportError("libpyretain.so was not found; run `make` in the source tree, `make install`, "
                          "or set PYRETAIN_LIBRARY to its path")
    library = ctypes.CDLL(os.path.realpath(path))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Refusal(Exception):
    """Something that the user is told in place of an answer."""


class Adapter(object):
    """One session with the core, kept as long as the debugger shows the same memory.

    A debugger's adapter provides:
      identity()          a value that changes when what is shown changes
      describe()          a dict: description, machine, pid, exe, auxv (bytes), mappings
                          [(start, end, flags, offset, path)], lwps [(tid, tls, sp, pc,
                          name, general registers)], core (path or None), local_pid (or None)
      c_frames(tid)       [(stack pointer, function's name or None)] of a thread
      read_memory(a, n)   bytes; raises Unreadable
      evaluate(text)      the address that an expression means
      publish(addresses)  make the listed objects available as variables
    """

    def __init__(self, script):
        self.library = load(script)
        self.session = self.library.pyr_session_create()
        if not self.session:
            raise MemoryError("pyretain: out of memory")
        self.known = None       # identity() of what the session looks at
        self.callback = None    # kept alive for the session
        self.name_frame = None  # the same
        self.stacks = {}        # frames of C functions by thread: (stack pointers, names)
        self.words = [name.decode() for name in
                      map(self.library.pyr_command_name, range(self.library.pyr_command_count()))]

    # --- the table of commands ---

    def summary(self, name):
        return self.library.pyr_command_summary(self.words.index(name)).decode()

    def help(self, name=None):
        text = self.library.pyr_help(self.session, name.encode() if name else None)
        return text.decode("utf-8", "replace") if text else ""

    def completions(self, line):
        found = []
        self.library.pyr_complete(self.session, line.encode("utf-8", "replace"),
                                  ADD(lambda ctx, word: found.append(word.decode("utf-8", "replace"))), None)
        return found

    # --- arguments ---

    def split(self, text):
        try:
            return shlex.split(text)
        except ValueError as error:
            raise Refusal("%s: %s" % (error, text))

    def with_addresses(self, argv):
        """argv with the debugger's expressions in address positions evaluated."""
        if not argv or argv[0] not in self.words:
            return argv
        name, out, position, at = argv[0].encode(), [argv[0]], 0, 1
        positions = self.library.pyr_command_address_arguments(name)
        while at < len(argv):
            word = argv[at]
            at += 1
            if OPTION.match(word):
                option, equals, value = word.partition("=")
                plain = option.lstrip("-").encode()
                address = self.library.pyr_option_is_address(name, plain)
                if equals:
                    out.append(option + "=" + (self.address(value) if address else value))
                    continue
                out.append(word)
                if self.library.pyr_option_takes_value(name, plain) == 1 and at < len(argv):
                    out.append(self.address(argv[at]) if address else argv[at])
                    at += 1
                continue
            if positions >> position & 1 and positions >> position == 1:
                # the last one: an expression may go on behind blanks
                while at < len(argv) and not OPTION.match(argv[at]):
                    word += " " + argv[at]
                    at += 1
            out.append(self.address(word) if positions >> position & 1 else word)
            position += 1
        return out

    def address(self, text):
        try:
            int(text, 0)
            return text
        except ValueError:
            return "%#x" % (self.evaluate(text) & 0xffffffffffffffff)

    # --- what the session looks at ---

    def read(self, ctx, address, buffer, length):
        """The core's read callback; no exception may leave it."""
        try:
            data = self.read_memory(address, length)
            if data is None or len(data) != length:
                return READ_UNREADABLE
            ctypes.memmove(buffer, bytes(data), length)
            return READ_DONE
        except KeyboardInterrupt:
            return READ_INTERRUPTED
        except BaseException:  # pylint: disable=broad-except
            return READ_UNREADABLE

    def frame_at(self, ctx, tid, address, buffer, length):
        """The core's callback for names of C frames; no exception may leave it."""
        try:
            if tid not in self.stacks:
                rows = sorted(self.c_frames(tid), key=lambda row: row[0])
                self.stacks[tid] = [row[0] for row in rows], [row[1] for row in rows]
            pointers, names = self.stacks[tid]
            # A frame reaches from its stack pointer up to its caller's; where the outermost ends is
            # not known.
            index = bisect.bisect_right(pointers, address)
            if not 0 < index < len(pointers) or not names[index - 1]:
                return 1
            name = names[index - 1].encode("utf-8", "replace")[:length - 1]
            ctypes.memmove(buffer, name + b"\0", len(name) + 1)
            return 0
        except BaseException:  # pylint: disable=broad-except
            self.stacks[tid] = [], []
            return 1

    def look(self):
        """Make the session look at what the debugger shows now."""
        identity = self.identity()
        if identity == self.known:
            return
        self.known = None
        facts = self.describe()
        self.callback = READ(self.read)
        self.name_frame = FRAME_AT(self.frame_at)
        self.stacks = {}
        auxv = facts.get("auxv") or b""
        debugger = Debugger(None, self.callback, facts["description"].encode(), facts["machine"].encode(),
                            facts.get("pid") or 0, (facts.get("exe") or "").encode() or None,
                            auxv or None, len(auxv))
        library, session = self.library, self.session
        if library.pyr_session_use_debugger(session, ctypes.byref(debugger)):
            raise Refusal("out of memory")
        for start, end, flags, offset, path in facts.get("mappings", ()):
            library.pyr_debugger_add_mapping(session, start, end, flags.encode(), offset, (path or "").encode())
        for tid, tls, sp, pc, name, registers in facts.get("lwps", ()):
            library.pyr_debugger_add_thread(session, tid, tls, sp, pc, (name or "").encode())
            library.pyr_debugger_set_registers(session, tid, (ctypes.c_uint64 * len(registers))(*registers),
                                               len(registers))
        library.pyr_debugger_name_frames(session, self.name_frame, None)
        if facts.get("core"):
            library.pyr_debugger_offer_core(session, os.fsencode(facts["core"]))
        if facts.get("local_pid"):
            library.pyr_debugger_offer_pid(session, facts["local_pid"])
        self.known = identity

    # --- running ---

    def run(self, argv, write, width=0):
        """Run one command; write(stream, text) gets what it prints. The exit status."""
        argv = list(argv) or ["help"]
        if argv[0] != "help":
            self.look()
            argv = self.with_addresses(argv)
        words = [word.encode("utf-8", "surrogateescape") for word in argv]
        progress = Progress()
        sink = Sink(None, WRITE(lambda ctx, stream, text, length: self.forward(write, progress, stream, text, length)),
                    PROGRESS(progress.report), width, 0, 1)
        status = self.library.pyr_run(self.session, len(words), (ctypes.c_char_p * len(words))(*words),
                                      ctypes.byref(sink))
        progress.clear()
        if status == 0 and argv[0] != "help":
            count = self.library.pyr_result_count(self.session)
            self.publish([self.library.pyr_result_address(self.session, i) for i in range(min(count, 1000))])
        return status

    @staticmethod
    def forward(write, progress, stream, text, length):
        try:
            progress.clear()
            write(stream, ctypes.string_at(text, length).decode("utf-8", "replace"))
        except BaseException:  # pylint: disable=broad-except
            pass  # the user quit the pager: the rest is not wanted


class Progress(object):
    """One line on the terminal's standard error while something takes long."""

    def __init__(self):
        self.stream = sys.__stderr__
        self.terminal = bool(self.stream) and self.stream.isatty()
        self.shown = 0
        self.calls = 0

    def report(self, ctx, phase, done, total):
        try:
            self.calls += 1
            if self.terminal and self.calls > 4:
                line = phase.decode("utf-8", "replace")
                line += " %d%%" % (100 * done // total) if total else " %d" % done
                self.stream.write("\r" + line.ljust(self.shown))
                self.stream.flush()
                self.shown = len(line)
            return 0
        except KeyboardInterrupt:
            return 1
        except BaseException:  # pylint: disable=broad-except
            return 0

    def clear(self):
        if self.shown:
            self.stream.write("\r" + " " * self.shown + "\r")
            self.stream.flush()
            self.shown = 0


def file_identity(path):
    """What tells one core file from another under the same name."""
    try:
        status = os.stat(path)
        return path, status.st_dev, status.st_ino, status.st_mtime_ns
    except OSError:
        return path, 0, 0, 0


def process_start(pid):
    """The start time of a process on this machine, or None."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return int(f.read().rsplit(")", 1)[1].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def machine_of(name):
    """The core's word for a debugger's word for an architecture."""
    name = name.lower()
    if "x86-64" in name or "x86_64" in name or "amd64" in name:
        return "x86_64"
    if "aarch64" in name or "arm64" in name:
        return "aarch64"
    raise Refusal("pyretain reads x86-64 and aarch64 programs; this one is %s" % name)
