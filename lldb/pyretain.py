"""pyretain in lldb: `command script import lldb/pyretain.py`, then `pyretain help`
(`pyr` for short).

Tells the core what lldb holds, evaluates variables, registers and expressions in the
places of addresses, and knows $pyr, $pyr1, $pyr2, ... as the objects that the last
command listed."""
import os
import re
import struct
import sys

import lldb

# Not for longer than it takes: the directory of gdb's scripts has a pyretain.py too, which lldb
# would find when this one is imported again.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "gdb"))
import pyretain_ctypes as api  # noqa: E402  pylint: disable=wrong-import-position
del sys.path[0]

ET_CORE = 4


def mapped_core():
    """The core file among the files that lldb itself has mapped: lldb 14 does not tell."""
    seen = set()
    with open("/proc/self/maps") as maps:
        for line in maps:
            fields = line.rstrip("\n").split(None, 5)
            path = fields[5] if len(fields) == 6 else ""
            if not path.startswith("/") or path in seen:
                continue
            seen.add(path)
            try:
                with open(path, "rb") as f:
                    head = f.read(18)
            except OSError:
                continue
            if head[:4] == b"\x7fELF" and len(head) == 18 and struct.unpack("<H", head[16:18])[0] == ET_CORE:
                return path
    return None


def core_path(process):
    if hasattr(process, "GetCoreFile"):
        spec = process.GetCoreFile()
        if spec.IsValid() and spec.fullpath:
            return spec.fullpath
    return mapped_core() if "core" in (process.GetPluginName() or "") else None


def local_auxv(pid):
    try:
        with open("/proc/%d/auxv" % pid, "rb") as f:
            return f.read()
    except OSError:
        return b""


def mappings(process):
    """Regions of memory. lldb knows no file offsets; within one file they follow from the
    distance to its first region."""
    regions = process.GetMemoryRegions()
    info, rows, first = lldb.SBMemoryRegionInfo(), [], {}
    for index in range(regions.GetSize()):
        if not regions.GetMemoryRegionAtIndex(index, info):
            continue
        start, end = info.GetRegionBase(), info.GetRegionEnd()
        if not (info.IsReadable() or info.IsWritable() or info.IsExecutable()) or end <= start or end >= 2 ** 63:
            continue
        flags = "%s%s%sp" % ("r" if info.IsReadable() else "-", "w" if info.IsWritable() else "-",
                             "x" if info.IsExecutable() else "-")
        path = info.GetName() or ""
        offset = start - first.setdefault(path, start) if path.startswith("/") else 0
        rows.append((start, end, flags, offset, path))
    return rows


def unsigned(value):
    error = lldb.SBError()
    number = value.GetValueAsUnsigned(error, 0)
    return number if error.Success() else None


def threads(process, machine):
    rows = []
    for thread in process:
        frame = thread.GetFrameAtIndex(0)
        tls = unsigned(frame.FindRegister("fs_base" if machine == "x86_64" else "tpidr"))
        general = [unsigned(frame.FindRegister(name)) or 0 for name in api.GENERAL[machine]]
        rows.append((thread.GetThreadID(), tls or 0, frame.GetSP(), frame.GetPC(), thread.GetName() or "", general))
    return rows


def meant(value):
    """The address that a value is, or at which an aggregate lies; None when neither."""
    number = unsigned(value)
    if number is None and value.GetError().Success():
        where = value.GetLoadAddress()
        number = where if where != lldb.LLDB_INVALID_ADDRESS else None
    return number


def reason(message):
    """The line of a compiler's message that says what is wrong."""
    found = re.search(r"error: (?:<user expression \d+>:\d+:\d+: )?(?!expression failed)(.+)", message)
    return found.group(1) if found else message.strip().splitlines()[0]


class LldbAdapter(api.Adapter):
    def __init__(self, script):
        super(LldbAdapter, self).__init__(script)
        self.context = None    # SBExecutionContext of the running command
        self.results = {}

    def process(self):
        process = self.context.GetProcess()
        if not process or not process.IsValid() or process.GetState() in (lldb.eStateInvalid, lldb.eStateUnloaded,
                                                                          lldb.eStateExited, lldb.eStateDetached):
            raise api.Refusal("there is no process and no core; use `target create --core FILE` or "
                              "`process attach -p PID` first")
        if process.GetState() not in (lldb.eStateStopped, lldb.eStateCrashed, lldb.eStateSuspended):
            raise api.Refusal("the process is running; `process interrupt` stops it")
        return process

    def identity(self):
        process = self.process()
        core = core_path(process)
        pid = process.GetProcessID()
        return (process.GetUniqueID(), pid, process.GetPluginName(), process.GetStopID(True),
                api.file_identity(core) if core else api.process_start(pid))

    def describe(self):
        process = self.process()
        core, pid = core_path(process), process.GetProcessID()
        target = process.GetTarget()
        machine = api.machine_of(target.GetTriple())
        # A stub's process may share its number with one of this machine: the core compares
        # the memory of both before it believes in it.
        local = None if core or api.process_start(pid) is None else pid
        return {"description": "core file %s in lldb" % core if core else "process %d in lldb" % pid,
                "machine": machine, "pid": pid if pid < 2 ** 31 else 0,
                "exe": target.GetExecutable().fullpath, "auxv": local_auxv(local) if local else b"",
                "mappings": mappings(process), "lwps": threads(process, machine), "core": core,
                "local_pid": local}

    def c_frames(self, tid):
        rows = []
        for index, frame in enumerate(self.context.GetProcess().GetThreadByID(tid)):
            if index == api.FRAMES_MAX:
                break
            if not frame.IsInlined():
                rows.append((frame.GetSP(), frame.GetFunctionName()))
        return rows

    def read_memory(self, address, length):
        error = lldb.SBError()
        data = self.context.GetProcess().ReadMemory(address, length, error)
        return data if error.Success() else None

    def evaluate(self, text):
        """Without running code in the target: variables and registers first, then what lldb
        can interpret without compiling."""
        if text in self.results:
            return self.results[text]
        text = re.sub(r"\$pyr\d*\b", lambda name: "%#xUL" % self.results[name.group()]
                      if name.group() in self.results else name.group(), text)
        frame = self.context.GetFrame()
        if frame and frame.IsValid():
            if re.match(r"\$[A-Za-z_]\w*$", text):
                value = frame.FindRegister(text[1:])
            else:
                value = frame.GetValueForVariablePath(text)
            if value.IsValid() and value.GetError().Success():
                number = meant(value)
                if number is not None:
                    return number
        options = lldb.SBExpressionOptions()
        options.SetAllowJIT(False)
        options.SetTryAllThreads(False)
        options.SetSuppressPersistentResult(True)
        scope = frame if frame and frame.IsValid() else self.context.GetTarget()
        value = scope.EvaluateExpression(text, options)
        number = meant(value) if value.GetError().Success() else None
        if number is None and value.GetError().Success():
            number = unsigned(scope.EvaluateExpression("&(%s)" % text, options))
        if number is None:
            raise api.Refusal("%s: %s" % (text, reason(value.GetError().GetCString() or "not an address")))
        return number

    def publish(self, addresses):
        self.results = {"$pyr%d" % (number + 1): address for number, address in enumerate(addresses)}
        if addresses:
            self.results["$pyr"] = addresses[0]


def terminal_width(debugger):
    value = debugger.GetInternalVariableValue("term-width", debugger.GetInstanceName())
    try:
        return int(value.GetStringAtIndex(0)) if sys.stdout.isatty() else 0
    except (TypeError, ValueError):
        return 0


class PyretainCommand(object):
    """`pyretain COMMAND ...` and `pyr COMMAND ...`."""

    def __init__(self, debugger, internal_dict):
        pass

    def __call__(self, debugger, command, context, result):
        output, errors = [], []
        adapter.context = context
        try:
            status = adapter.run(adapter.split(command),
                                 lambda stream, text: (errors if stream == 2 else output).append(text),
                                 terminal_width(debugger))
        except api.Refusal as refusal:
            status = 1
            errors.append("pyretain: %s\n" % refusal)
        finally:
            adapter.context = None
        if output:
            result.AppendMessage("".join(output).rstrip("\n"))
        if errors:
            sys.stderr.write("".join(errors))
            sys.stderr.flush()
        result.SetStatus(lldb.eReturnStatusFailed if status else lldb.eReturnStatusSuccessFinishResult)

    def get_short_help(self):
        return "Explain the memory of the CPython process or core that lldb holds."

    def get_long_help(self):
        return adapter.help()


# Imported again (lldb reloads the module), the session stays what it is.
adapter = globals().get("adapter") or LldbAdapter(__file__)
registered = globals().get("registered") or set()  # the debuggers that have the commands, by number


def __lldb_init_module(debugger, internal_dict):
    if debugger.GetID() in registered:
        return
    registered.add(debugger.GetID())
    for name in ("pyretain", "pyr"):
        debugger.HandleCommand("command script add -c %s.PyretainCommand %s" % (__name__, name))
