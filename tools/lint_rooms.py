#!/usr/bin/env python3
"""What holds for the rooms of core/, checked from the sources alone; see core/README.md.

    tools/lint_rooms.py        print what is wrong, one line each; exit status 1 if anything is

1. Data flows one way: a file includes headers of its own room and of rooms that stand
   before it in the map, never of one that stands after it.
2. A header named *_internal.h is included only by files of its own room.
3. The map (core/README.md) names every file of every room, and no file that is not there.
4. No struct, union, enum, typedef or macro is defined twice in headers; none that a header
   defines is defined again in a .c file.
"""
import collections
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CORE = os.path.join(TOP, "core")
MAP = os.path.join(CORE, "README.md")
SOURCE = (".c", ".h", ".def")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
ROOM = re.compile(r"^## `([\w/]+)/`")
ENTRY = re.compile(r"^- ((?:`[^`]+`(?:, )?)+)")
TAG = re.compile(r"^(struct|union|enum)\s+(\w+)\s*\{", re.M)
TYPEDEF = re.compile(r"^typedef\b[^;{]*?(?:\(\*(\w+)\)\([^;]*\)|\b(\w+)\([^;]*\)|\b(\w+));", re.M)
MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.M)
ENUMERATORS = re.compile(r"^(?:static\s+)?enum\s*\w*\s*\{(.*?)\}", re.M | re.S)
# Macros that .def files are read through, and that every reader defines for itself.
TRANSIENT = re.compile(r"^#\s*undef\s+(\w+)", re.M)


def read(path):
    with open(path) as f:
        return f.read()


def without_comments(text):
    return re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)


def read_map():
    """[(room, [file, ...])] in the order of core/README.md."""
    rooms = []
    for line in read(MAP).splitlines():
        room = ROOM.match(line)
        entry = ENTRY.match(line)
        if room:
            rooms.append((room.group(1), []))
        elif entry and rooms:
            rooms[-1][1].extend(re.findall(r"`([^`]+)`", entry.group(1)))
    return rooms


def sources():
    """Paths below core/ of all files that people write, generators' included."""
    found = []
    for directory, _, names in os.walk(CORE):
        for name in names:
            path = os.path.relpath(os.path.join(directory, name), CORE)
            if name.endswith(SOURCE) and not path.startswith("layout/tables/"):
                found.append(path)
    return sorted(found)


def room_of(path, names):
    """The room that @path lies in: the longest name that is a folder above it."""
    return max((n for n in names if path.startswith(n + "/")), key=len, default=None)


def check_map(rooms, files):
    names = [room for room, _ in rooms]
    told = {os.path.normpath(os.path.join(room, f)) for room, listed in rooms for f in listed}
    for path in files:
        if path not in told:
            yield "core/%s: core/README.md does not name it" % path
    for path in sorted(told):
        if not os.path.exists(os.path.join(CORE, path)):
            yield "core/README.md names %s, which is not there" % path
    for path in files:
        if room_of(path, names) is None:
            yield "core/%s: lies in no room of core/README.md" % path


def check_includes(rooms, files):
    names = [room for room, _ in rooms]
    place = {room: i for i, room in enumerate(names)}
    for path in files:
        mine = room_of(path, names)
        for include in INCLUDE.findall(read(os.path.join(CORE, path))):
            theirs = room_of(include, names)
            if mine is None or theirs is None or mine == theirs:
                continue
            if place[theirs] > place[mine]:
                yield "core/%s: includes %s, and %s/ stands after %s/" % (path, include, theirs, mine)
            if include.endswith("_internal.h"):
                yield "core/%s: includes %s, which is private to %s/" % (path, include, theirs)


def definitions(text):
    """Names that the text defines: {(space, name)}, tags and macros (with enumerators) apart."""
    found = set()
    for kind, name in TAG.findall(text):
        found.add(("tag", name))
    for names in TYPEDEF.findall(text):
        found.add(("name", "".join(names)))
    transient = set(TRANSIENT.findall(text))
    for name in MACRO.findall(text):
        if name not in transient and not name.endswith("_H"):
            found.add(("name", name))
    for body in ENUMERATORS.findall(text):
        for part in re.sub(r"^[ \t]*#.*$", "", body, flags=re.M).split(","):
            name = re.match(r"\s*([A-Za-z_]\w*)\s*(?:=|$)", part)
            if name:
                found.add(("name", name.group(1)))
    return found


def check_names(files):
    where = collections.defaultdict(list)
    texts = {p: without_comments(read(os.path.join(CORE, p))) for p in files if not p.endswith(".def")}
    for path in texts:
        if path.endswith(".h"):
            for name in definitions(texts[path]):
                where[name].append(path)
    for (_, name), paths in sorted(where.items()):
        if len(paths) > 1:
            yield "%s is defined in %s" % (name, " and in ".join("core/" + p for p in paths))
    for path in texts:
        if path.endswith(".c"):
            for key in sorted(definitions(texts[path])):
                if key in where:
                    yield "core/%s: defines %s, as core/%s does" % (path, key[1], where[key][0])


def main():
    rooms = read_map()
    files = sources()
    wrong = list(check_map(rooms, files)) + list(check_includes(rooms, files)) + list(check_names(files))
    for line in wrong:
        print(line)
    return 1 if wrong or not rooms or not files else 0


if __name__ == "__main__":
    sys.exit(main())
