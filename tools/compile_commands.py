"""`make --dry-run`'s commands on standard input, compile_commands.json on standard output."""
import json
import os
import shlex
import sys

rows = []
for line in sys.stdin:
    try:
        words = shlex.split(line)
    except ValueError:
        continue  # a line of a recipe that is no command of its own
    if "-c" in words and words[-1].endswith(".c"):
        rows.append({"directory": os.getcwd(), "file": words[-1], "arguments": words})
if not rows:
    sys.exit("compile_commands: make names no compilation")
json.dump(rows, sys.stdout, indent=1)
print()
