"""What CPython itself says of a heap, and a process that holds exactly that heap.

A debuggee builds its state, calls `finish(planted)` as its last act, and runs as

    PROGRAM OUTDIR [hold]

`finish` forks *without* Python noticing: a few machine instructions, called with the
GIL held, do the fork system call; in the child they go on to pause(2) for ever, so
that not one bytecode runs there and its heap is the heap of that instant.  The parent
then asks CPython about the same heap and writes OUTDIR/oracle.json.  The oracle's own
temporaries (the results of the questions, made after the fork) are left out by
address.  Without `hold` the child is killed by SIGABRT and the kernel writes its core
into OUTDIR; with it the parent prints the child's pid and keeps it until its standard
input closes.

Where threads matter there is `block(planted)`: it writes what sys._current_frames()
says and then waits in read(2), every thread alive; the process itself is the target.

Runs on CPython 3.6 to 3.15.
"""
import array
import ctypes
import gc
import json
import mmap
import os
import platform
import signal
import sys
import time
import types

# fork(); in the child: alarm(900), then pause() for ever; in the parent: what pymalloc says of
# itself, by calling the C functions whose addresses stand in the slots behind the code
# (function, argument, function, answer), then return the pid.
STUBS = {
    "x86_64": bytes.fromhex(
        "53" "4883ec10"              # push rbx; sub rsp, 16
        "488d1df4000000"             # lea rbx, [slots]
        "b839000000" "0f05"          # mov eax, fork; syscall
        "85c0" "742b"                # test eax, eax; jz child
        "48890424"                   # mov [rsp], rax
        "488b7b08" "31f6"            # mov rdi, [rbx+8]; xor esi, esi
        "488b03" "4885c0" "740f"     # mov rax, [rbx]; test rax, rax; jz done
        "ffd0"                       # call rax
        "488b7b08" "31f6" "ff5310"   # mov rdi, [rbx+8]; xor esi, esi; call [rbx+16]
        "48894318"                   # mov [rbx+24], rax
        "488b0424" "4883c410" "5b" "c3"   # done: mov rax, [rsp]; add rsp, 16; pop rbx; ret
        "bf84030000" "b825000000" "0f05"  # child: mov edi, 900; mov eax, alarm; syscall
        "b822000000" "0f05" "ebf7"),      # again: mov eax, pause; syscall; jmp again
    "aarch64": b"".join(word.to_bytes(4, "little") for word in (
        0xA9BE7BFD, 0xA90153F3,  # stp x29, x30, [sp, -32]!; stp x19, x20, [sp, 16]
        0x100007D3,  # adr x19, slots
        0xD2800220,  # mov x0, SIGCHLD
        0xD2800001, 0xD2800002, 0xD2800003, 0xD2800004,  # mov x1..x4, 0
        0xD2801B88, 0xD4000001,  # mov x8, clone; svc 0
        0xB4000200, 0xAA0003F4,  # cbz x0, child; mov x20, x0
        0xF9400269, 0xB4000129,  # ldr x9, [x19]; cbz x9, done
        0xF9400660, 0xD2800001, 0xD63F0120,  # ldr x0, [x19, 8]; mov x1, 0; blr x9
        0xF9400660, 0xD2800001, 0xF9400A69, 0xD63F0120,  # the same with ldr x9, [x19, 16]
        0xF9000E60,  # str x0, [x19, 24]
        0xAA1403E0, 0xA94153F3, 0xA8C27BFD, 0xD65F03C0,  # done: mov x0, x20; ldp ...; ret
        0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800004,  # child: mov x0..x4, 0
        0xD2800928, 0xD4000001,  # mov x8, ppoll; svc 0
        0x17FFFFF9)),            # b child
}
SLOTS = 256


class Forker(object):
    """A callable that forks a frozen copy of this process and returns its pid.

    Before it returns it has sys._debugmallocstats() print into the file at `path`, and
    sys.getallocatedblocks() answer: nothing is allocated between the fork and those."""

    def __init__(self, path):
        self.path = path
        self.page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self.page.write(STUBS[platform.machine()])
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        self.slots = (ctypes.c_size_t * 4).from_buffer(self.page, SLOTS)
        if hasattr(sys, "_debugmallocstats"):
            # PyCFunctionObject: a header, m_ml, m_self; PyMethodDef: ml_name, ml_meth
            word = ctypes.sizeof(ctypes.c_size_t)
            for slot, function in ((0, sys._debugmallocstats), (2, sys.getallocatedblocks)):
                m_ml = id(function) + object.__basicsize__
                method = ctypes.c_size_t.from_address(m_ml).value
                self.slots[slot] = ctypes.c_size_t.from_address(method + word).value
                self.slots[1] = ctypes.c_size_t.from_address(m_ml + word).value
        # PYFUNCTYPE keeps the GIL: no other thread runs between the fork and the questions.
        self.call = ctypes.PYFUNCTYPE(ctypes.c_int)(self.address)
        self.stderr = os.dup(2)
        printed = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(printed, 2)
        os.close(printed)

    def allocator(self):
        """What the two functions said; standard error is what it was again."""
        os.dup2(self.stderr, 2)
        os.close(self.stderr)
        if not self.slots[3]:
            return None
        with open(self.path) as f:
            return {"stats": f.read(), "allocated_blocks": ctypes.cast(self.slots[3], ctypes.py_object).value}


def type_name(t, names={}, module=type.__dict__["__module__"], qualname=type.__dict__["__qualname__"]):
    """`module.qualname`, as `type` itself tells it, whatever a metaclass says.

    A heap type made by C code under a name without a dot has no module, and Cython's
    function type has a descriptor of that name. Then repr() shows tp_name, which may have a
    dot; and where it has none, CPython calls the type builtin (PyType_FromSpec's warning)."""
    name = names.get(t)
    if name is None:
        try:
            where = module.__get__(t)
        except AttributeError:
            where = None
        if isinstance(where, str):
            name = "%s.%s" % (where, qualname.__get__(t))
        else:
            name = type.__repr__(t)[len("<class '"):-len("'>")]
            name = name if "." in name else "builtins." + qualname.__get__(t)
        names[t] = name
    return name


def ask(fork):
    """Fork, then ask. Everything that the questions allocate stays out of the answers.

    Names are bound before the fork, and the counters are read first: between the
    child's instant and gc.get_count() nothing is allocated or freed that the
    collector counts."""
    disable, get_count, get_objects = gc.disable, gc.get_count, gc.get_objects
    by_generation = sys.version_info >= (3, 8)
    enabled = gc.isenabled()
    g0 = g1 = g2 = everything = count = None
    for _ in (1, 2, 3):  # 3.12+: a scheduled collection runs at a jump back; let it be over
        pass
    pid = fork()
    disable()
    count = get_count()
    if by_generation:
        g0 = get_objects(0)
        g1 = get_objects(1)
        g2 = get_objects(2)
        lists = [g0, g1, g2]
    else:
        everything = get_objects()
        lists = [everything]
    ours = {id(count), id(g0), id(g1), id(g2), id(everything), id(lists)}
    there = {id(o) for objects in lists for o in objects} - ours - {id(sys._getframe())}
    types = {}
    addresses = {}
    totals = []
    for generation, objects in enumerate(lists):
        total = 0
        for o in objects:
            if id(o) in ours:
                continue
            total += 1
            name = type_name(type(o))
            row = types.get(name)
            if row is None:
                row = types[name] = [0, 0, 0]
                addresses[name] = []
            row[generation] += 1
            if len(addresses[name]) <= 40:
                addresses[name].append(id(o))
        totals.append(total)
    return {
        "core_pid": pid,
        "gc": {
            "enabled": enabled,
            "count": list(count),
            "threshold": list(gc.get_threshold()),
            "stats": [[s["collections"], s["collected"], s["uncollectable"]] for s in gc.get_stats()],
            "frozen": gc.get_freeze_count() if hasattr(gc, "get_freeze_count") else 0,
            "garbage": len(gc.garbage),
            "debug": gc.get_debug(),
        },
        "generations": totals if by_generation else None,
        "tracked": sum(totals),
        "types": types if by_generation else dict(zip(types, map(sum, types.values()))),
        # every address of the types that have few objects: enough to compare sets, not only counts
        "addresses": {name: rows for name, rows in addresses.items() if len(rows) <= 40},
    }, there


MARK = sys.intern("interned by the oracle")
NOT_TOLD = 2 ** 64 - 1


def referents(there, changed):
    """Write what gc.get_referents() says of every tracked object that was `there` into
    referents.bin: its address, how many, and their addresses, as 64-bit words. Instead of how
    many there is NOT_TOLD of those that the questions have `changed`, and of what runs: that
    has gone on since.

    Returns the addresses of what they refer to and what is no object: freed, or a type that
    was never made ready."""
    words = array.array("Q")
    frame = sys._getframe()
    while frame:
        changed.add(id(frame))
        frame = frame.f_back
    _asyncio = sys.modules.get("_asyncio")
    # up to 3.11
    unready = getattr(sys.modules.get("_testcapi"), "_test_structmembersType", None)
    no_objects = [id(unready)] if unready else []
    for o in gc.get_objects():
        if id(o) not in there:
            continue
        words.append(id(o))
        # from 3.11 on frames are part of generators; and the table of interned strings,
        # where the collector sees it, has grown
        if id(o) in changed or type(o) is types.GeneratorType and o.gi_running or \
                type(o) is types.CoroutineType and o.cr_running or type(o) is dict and o.get(MARK) is MARK:
            words.append(NOT_TOLD)
            continue
        held = gc.get_referents(o)
        words.append(len(held))
        words.extend(map(id, held))
        if o is _asyncio:
            # 3.12 visits objects that it has freed and keeps: freed once more, they would be in
            # the list of those twice, which every collection follows to its end
            PINNED.append(held)
            no_objects.extend(id(r) for r in held if type(r).__name__ == "FutureIter")
    with open("referents.bin", "wb") as f:
        words.tofile(f)
    return no_objects


def collect(there):
    """The addresses of what a full collection finds unreachable: `collected`. Of what came to be
    after the fork (not `there`) nothing is told. Finalizers run, here in the parent."""
    type_name.__defaults__[0].clear()
    gc.set_debug(gc.DEBUG_SAVEALL)
    before = len(gc.garbage)
    returned = gc.collect()
    return {"collected": [id(o) for o in gc.garbage[before:] if id(o) in there], "returned": returned}


PINNED = []  # what must not be freed; with PYRETAIN_ORACLE_PIN: every object there is


def describe(planted):
    """The truths about planted objects: all that CPython can say of each one."""
    rows = {}
    for name, o in planted.items():
        row = {"address": id(o), "type": type_name(type(o)), "size": sys.getsizeof(o),
               "tracked": gc.is_tracked(o)}
        if type(o) in (str, bytes, bytearray, int, float, bool, complex, type(None), range):
            row["repr"] = repr(o)
        if hasattr(o, "__len__"):
            try:
                row["len"] = len(o)
            except TypeError:
                pass
        rows[name] = row
    return rows


def about():
    v = sys.version_info
    return {"python": "%d.%d.%d" % v[:3], "hexversion": sys.hexversion, "pid": os.getpid(),
            "executable": os.path.realpath("/proc/self/exe"), "debug_build": hasattr(sys, "gettotalrefcount"),
            "program": os.path.basename(sys.argv[0])}


def write(outdir, rows):
    with open(os.path.join(outdir, "oracle.json.new"), "w") as f:
        json.dump(rows, f)
    os.rename(os.path.join(outdir, "oracle.json.new"), os.path.join(outdir, "oracle.json"))


def finish(planted, extra=None):
    """Freeze a copy of this process, write what CPython says of it; see above.

    `extra`, if given, is called after the questions and its dict is merged into the
    answer: for truths that only the program itself can tell."""
    outdir = sys.argv[1]
    hold = len(sys.argv) > 2 and sys.argv[2] == "hold"
    os.chdir(outdir)
    forker = Forker("mallocstats")
    if os.environ.get("PYRETAIN_ORACLE_PIN"):
        PINNED.append(gc.get_objects())
    try:
        rows, there = ask(forker.call)
    finally:
        allocator = forker.allocator()
    rows["allocator"] = allocator
    pid = rows["core_pid"]
    try:
        # first: to ask planted objects can change them (a query set is evaluated)
        rows["no_objects"] = referents(there, {
            id(type_name.__defaults__[0]), id(PINNED), id(forker), id(forker.__dict__)})
        rows.update(about())
        rows["planted"] = describe(planted)
        rows.update(extra() if extra else {})
        if "collecting" not in rows:  # inside a collection there is no other
            rows.update(collect(there))
        write(outdir, rows)
        if hold:
            print("holding %d" % pid)
            sys.stdout.flush()
            while os.read(0, 4096):
                pass
    finally:
        # Time for the child to have left the fork call is no condition for its heap,
        # which is frozen either way; SIGABRT makes the kernel write the core.
        os.kill(pid, signal.SIGKILL if hold else signal.SIGABRT)
        _, status = os.waitpid(pid, 0)
    if not hold and not os.WCOREDUMP(status):
        print("no core was dumped (status %#x)" % status)
        sys.exit(3)


def leave():
    """End at once: a program that has answered owes nobody an orderly shutdown."""
    sys.stdout.flush()
    os._exit(0)


def frames_of(frame):
    """A Python stack, innermost first: function, file, line, and the locals' addresses."""
    rows = []
    while frame is not None:
        code = frame.f_code
        rows.append({"function": getattr(code, "co_qualname", code.co_name), "file": code.co_filename, "line": frame.f_lineno,
                     "locals": {name: id(value) for name, value in frame.f_locals.items()}})
        frame = frame.f_back
    return rows


def block(planted, extra=None):
    """Write every thread's stack, print the pid, and wait in read(2) until stdin closes.

    The calling thread's own stack is told as it will be while it waits: `wait` is its
    innermost frame."""
    import threading
    outdir = sys.argv[1]
    os.chdir(outdir)
    rows = about()
    rows["planted"] = describe(planted)
    rows.update(extra() if extra else {})
    names = {t.ident: t.name for t in threading.enumerate()}
    native = {t.ident: getattr(t, "native_id", None) for t in threading.enumerate()}
    me = threading.current_thread().ident
    time.sleep(0.2)  # the other threads have reached where they wait
    # Only once no more Python runs before the wait may `wait`'s own lines be told.
    wait(outdir, rows, names, native, me)


def wait(outdir, rows, names, native, me):
    threads = []
    for ident, frame in sys._current_frames().items():
        stack = frames_of(frame)
        threads.append({"ident": ident, "native_id": native.get(ident), "name": names.get(ident),
                        "main": ident == me, "frames": stack})
    for thread in threads:
        if thread["main"]:
            # this frame: its line and locals will have moved on by the time it waits
            thread["frames"][0].update(line=None, locals=None)
    rows["threads"] = threads
    write(outdir, rows)
    sys.stdout.write("holding %d\n" % rows["pid"])
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
