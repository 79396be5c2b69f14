"""malloc at work, called through ctypes: all sizes, from several threads, freed in part, so
that tcaches, fastbins, bins, tops and mapped chunks are in use.

    PROGRAM OUTDIR hold

asks malloc_info() and mallinfo2(), forks a frozen copy in the next instruction but one,
writes OUTDIR/oracle.json, then calls malloc_trim(0) itself and writes what that returned:
the copy still has it. Ends when its standard input does; a copy that dumps core is waited for."""
import ctypes
import os
import sys
import threading
import time

import oracle

FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
THREADS, SLOTS, STEPS = 4, 900, 6000
TCACHED = 5, 616  # chunks of this size that each thread leaves in its tcache


class MallInfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]


libc = ctypes.CDLL(None, use_errno=True)
libc.malloc.restype = libc.memalign.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memalign.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.mallinfo2.restype = MallInfo2
libc.fopen.restype = ctypes.c_void_p
libc.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fflush.argtypes = [ctypes.c_void_p]


def churn(seed, slots):
    for i in range(STEPS):
        seed = (seed * 1103515245 + 12345) & 0xffffffff
        k = (seed >> 8) % SLOTS
        libc.free(slots[k])
        size = (seed >> 10) % 3000 if (seed >> 4) % 100 else 150000 + seed % 300000
        slots[k] = libc.malloc(size) if i % 50 else libc.memalign(256, size)
    for k in range(0, SLOTS, 3):
        libc.free(slots[k])
        slots[k] = None
    kept = [libc.malloc(TCACHED[1] - 8) for _ in range(TCACHED[0])]
    # the same thread's tcache of that size may hold some already
    drain = [libc.malloc(TCACHED[1] - 8) for _ in range(40)]
    for p in kept:
        libc.free(p)
    return drain


def worker(seed, ready, leave):
    slots = [None] * SLOTS
    drain = churn(seed, slots)
    ready.release()
    leave.wait()
    return drain


def anonymous(fd, buffer):
    n = os.preadv(fd, [buffer], 0)
    for line in bytes(buffer[:n]).decode().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024


def main():
    outdir = sys.argv[1]
    os.chdir(outdir)
    threads = "single" not in sys.argv
    ready, leave = threading.Semaphore(0), threading.Event()
    for i in range(THREADS if threads else 0):
        threading.Thread(target=worker, args=(i * 7919 + 1, ready, leave), daemon=True).start()
        ready.acquire()  # one after the other: what each leaves is then no matter of timing
    slots = [None] * SLOTS
    drain = churn(42, slots)
    large = [libc.malloc(100000) for _ in range(60)]  # for malloc_trim(): whole pages between others
    for p in large:
        ctypes.memset(p, 1, 100000)
    for p in large[::2]:
        libc.free(p)
    small = [libc.malloc(40) for _ in range(60)]  # more than a tcache takes: the rest to a fastbin
    for p in small:
        libc.free(p)
    stream = libc.fopen(os.path.join(outdir, "malloc_info.xml").encode(), b"w")
    libc.malloc_info(0, stream)  # the stream has its buffer now
    libc.fflush(stream)
    forker = oracle.Forker(os.path.join(outdir, "mallocstats"))
    forker.slots[0] = 0  # nothing runs behind the fork
    rollup = os.open("/proc/self/smaps_rollup", os.O_RDONLY)
    buffer = bytearray(8192)
    anonymous(rollup, buffer)
    answers = [libc.mallinfo2(), libc.mallinfo2(), None]
    malloc_info, mallinfo2, fork = libc.malloc_info, libc.mallinfo2, forker.call
    malloc_info(0, stream)
    answers[2] = mallinfo2()
    pid = fork()
    before = anonymous(rollup, buffer)
    libc.malloc_trim(0)
    after = anonymous(rollup, buffer)
    libc.fflush(stream)
    rows = oracle.about()
    with open(os.path.join(outdir, "malloc_info.xml")) as f:
        rows["malloc_info"] = f.read()
    rows.update(mallinfo2={name: getattr(answers[2], name) for name in FIELDS}, core_pid=pid, planted={},
                trimmed=before - after, threads=THREADS if threads else 0, tcached=TCACHED)
    oracle.write(outdir, rows)
    print("holding %d" % pid)
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
    for _ in range(600):
        done, _status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        with open("/proc/%d/status" % pid) as f:
            text = f.read()
        if "CoreDumping:\t1" not in text and _ >= 10:
            os.kill(pid, 9)
        time.sleep(0.05)
    assert drain is not None
    oracle.leave()


main()
