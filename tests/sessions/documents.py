"""What the documents show, as data: sessions with their output, lists of commands, files.

A document's blocks (indented by four blanks, or fenced) are of four kinds:

    Step    a line behind a prompt, `$ `, `(gdb) `, `(lldb) ` or `pyretain> `, and what it printed
    Listed  a command line in a list, with a comment perhaps, and no output
    File    what stands in the file that the paragraph before it names
    Figure  what no one types: it has an arrow in its first line

`compare()` holds what was printed against what is shown: numbers, sizes, addresses and dates may differ, a
line `…` stands for any lines, and a value that is cut off (`…`) for any that begins so. It answers which
of the document's numbers and addresses is which of the real ones."""
import collections
import difflib
import re

PROMPT = re.compile(r"(\$|\(gdb\)|\(lldb\)|pyretain>) (.*)$")
COMMANDS = ("make", "pyretain", "build/pyretain", "gdb", "lldb", "python3")

Step = collections.namedtuple("Step", "section line prompt text shown")
Listed = collections.namedtuple("Listed", "section line text")
File = collections.namedtuple("File", "section line paths text")
Figure = collections.namedtuple("Figure", "section line text")


class Unclear(Exception):
    """A block that is of no kind."""


def blocks(text):
    """(section, line number, the paragraph before, lines) of each block."""
    section, before, block, start, fence, rows = "", "", [], 0, False, []
    lines = text.split("\n") + [""]

    def close():
        while block and not block[-1]:
            block.pop()
        if block:
            rows.append((section, start, before, list(block)))
        del block[:]

    paragraph = []
    for number, line in enumerate(lines, 1):
        if line.startswith("```"):
            fence = not fence
            if fence:
                close()
                before, paragraph, start = " ".join(paragraph) or before, [], number + 1
            else:
                close()
            continue
        inside = line.startswith("    ") and not paragraph or fence
        if inside or block and not line:
            if not block:
                start = number
            block.append(line if fence else line[4:])
            continue
        if block:
            close()
            before = ""
        if line.startswith("#"):
            section, before, paragraph = line.lstrip("# "), "", []
        elif line:
            paragraph.append(line)
        elif paragraph:
            before, paragraph = " ".join(paragraph), []
    close()
    return rows


def steps(section, start, lines):
    rows, at = [], 0
    while at < len(lines):
        prompt, text = PROMPT.match(lines[at]).groups()
        line, at = start + at, at + 1
        here = re.search(r"<<\s*(\w+)", text) if prompt == "$" else None
        while at < len(lines) and (here or text.endswith("\\")):
            text, at = text + "\n" + lines[at], at + 1
            if here and lines[at - 1] == here.group(1):
                break
        shown = []
        while at < len(lines) and not PROMPT.match(lines[at]):
            shown.append(lines[at])
            at += 1
        rows.append(Step(section, line, prompt, text, "\n".join(shown).strip("\n")))
    return rows


def parse(path):
    with open(path) as f:
        text = f.read()
    rows = []
    for section, line, before, lines in blocks(text):
        paths = [span for span in re.findall(r"`([^` ]+)`", before) if "/" in span or span.startswith("~")]
        if PROMPT.match(lines[0]):
            rows += steps(section, line, lines)
        elif all(row.split("#")[0].split()[:1] and row.split()[0] in COMMANDS for row in lines) and \
                not lines[0].startswith("command script"):
            rows += [Listed(section, line + i, row.split("  #")[0].rstrip()) for i, row in enumerate(lines)]
        elif "→" in lines[0]:
            rows.append(Figure(section, line, "\n".join(lines)))
        elif paths:
            rows.append(File(section, line, paths, "\n".join(lines) + "\n"))
        else:
            raise Unclear("%s:%d is neither a session nor a list of commands, nor a file that is named before it"
                          % (path, line))
    return rows


# --- what was printed, and what is shown ---

NUMBER = r"(?:0x[0-9a-f]+|\d[\d,]*(?:\.\d+)?)"
UNIT = r"(?:B|KiB|MiB|GiB)"
MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
CUT = re.compile(r"(?:(?<=  )|(?<=^))(\S+(?: \S+)*?)(…|\.\.\.)(?=\s|$)", re.M)
PIECES = re.compile(r"(?P<number>%s)(?P<unit>\s+%s\b)?|(?P<month>\b(?:%s)\b)|(?P<blank>\s+)"
                    % (NUMBER, UNIT, MONTHS))


def pattern(shown, exact=False):
    """The regular expression for one part of what is shown, and the numbers in the order of its groups."""
    out, numbers, at = "", [], 0
    for piece in PIECES.finditer(shown):
        out += re.escape(shown[at:piece.start()])
        at = piece.end()
        if piece.group("blank"):
            out += r"\s+"
        elif piece.group("month"):
            out += "(?:%s)" % MONTHS
        elif exact and not piece.group("number").startswith("0x"):
            out += re.escape(piece.group())
        else:
            numbers.append(piece.group("number"))
            out += r"(0x[0-9a-f]+)" if numbers[-1].startswith("0x") else r"(\d[\d,]*(?:\.\d+)?)"
            out += r"\s+%s\b" % UNIT if piece.group("unit") else ""
    return out + re.escape(shown[at:]), numbers


def beginning(cut, line):
    """Of a cell that is cut off, what it has in common with another one's: where it ends depends on the
    numbers in it. Of a sentence that is cut off, all but the last word."""
    words = cut.group(1).split()
    return " ".join(words[:2] if "  " in line else words[:-1])


def expression(shown):
    """What is shown as a regular expression, line by line; the numbers in the order of its groups."""
    rows, numbers = [], []
    for line in shown.split("\n"):
        line = line.strip()
        if not line:
            continue
        if line == "…":
            rows.append(None)
            continue
        # the ledger of an object is no measurement
        exact = line.startswith("refcount ")
        out, at = "", 0
        for cut in CUT.finditer(line):
            head = beginning(cut, line)
            for text, tail in ((line[at:cut.start()], ""), (head, r"\S*(?:[^\n]*)")):
                one, found = pattern(text, exact)
                out, numbers = out + one + tail, numbers + found
            at = cut.end()
        one, found = pattern(line[at:], exact)
        rows.append(out + one)
        numbers += found
    text, gap = r"\A\s*", False
    for index, row in enumerate(rows):
        if row is None:
            gap = True
            continue
        text += (r"(?:.*\n)*?\s*" if gap else r"\s+" if index else "") + row
        gap = False
    return text + (r"(?s:.*)\Z" if gap else r"\s*\Z"), numbers


def one_line(shown):
    """What is shown on one line, as a regular expression for a place in a text."""
    return pattern(shown.strip())[0] + r"\n"


class Differs(Exception):
    """What was printed is not what is shown; str() is the difference."""


def masked(text):
    rows = []
    for line in map(str.strip, text.split("\n")):
        line = re.sub(NUMBER, "N", CUT.sub(lambda cut: beginning(cut, line) + "…", line))
        rows.append(" ".join(re.sub(r"N %s\b" % UNIT, "N B", line).split()))
    return [row for row in rows if row]


def compare(shown, printed, known=None):
    """{number or address of the document: the real one}; `known` are those of earlier steps."""
    text, numbers = expression(shown)
    found = re.match(text, printed.strip("\n") + "\n")
    if not found:
        raise Differs("\n".join(difflib.unified_diff(masked(shown), masked(printed), "the document", "printed",
                                                     lineterm="", n=1)) + "\n\n--- printed:\n" + printed)
    meaning = dict(known or {})
    names = {real: ours for ours, real in meaning.items()}
    for ours, real in zip(numbers, found.groups()):
        if ours.startswith("0x"):
            if meaning.setdefault(ours, real) != real:
                raise Differs("the document's %s is %s and %s\n\n--- printed:\n%s"
                              % (ours, meaning[ours], real, printed))
            if names.setdefault(real, ours) != ours:
                raise Differs("the document has %s and %s for one address\n\n--- printed:\n%s"
                              % (names[real], ours, printed))
        if re.match(r"\d{4,}$", ours):
            meaning.setdefault(ours, real)
    return meaning


def translate(text, meaning):
    """A command line of the document with the real numbers and addresses in it."""
    def real(found):
        if found.group() not in meaning:
            raise Differs("nothing that was shown before has the address %s" % found.group())
        return meaning[found.group()]
    text = re.sub(r"0x[0-9a-f]{8,}", real, text)
    return re.sub(r"\b\d{4,}\b", lambda found: meaning.get(found.group(), found.group()), text)
