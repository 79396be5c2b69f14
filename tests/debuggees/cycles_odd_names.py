"""Classes whose names are legal and odd: empty, with control characters, with what no terminal
should see, with a dot, of one very long name; each has instances that are garbage in cycles."""
import gc

import oracle

NAMES = ["", "a\tb", "\x01", "line\nline", "\x7f", "a.b", "\u202e", "\x1b[31m", " ", "x" * 5000]


def main():
    gc.disable()
    kept, classes = [], []
    for name in NAMES:
        kind = type(name, (object,), {})
        classes.append(kind)
        kept.extend(kind() for _ in range(100))
        for i in range(20):
            o, other = kind(), kind()
            o.other, other.other, o.values = other, o, [i]
    o = other = kind = None
    oracle.finish({"kept": kept, "classes": classes})


main()
