"""Documents that are made from the table of commands say what the table says today."""
import os
import re
import subprocess

import matrix
from sessions import Shell


def test_generated_documents_are_fresh():
    done = subprocess.run(["make", "-s", "-C", matrix.TOP, "check-docs"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout[-4000:]


def test_every_command_has_a_page_and_help():
    status, out, _ = Shell().call("help")
    assert status == 0
    pages = {name[:-3] for name in os.listdir(os.path.join(matrix.TOP, "docs", "commands")) if name.endswith(".md")}
    for name in ("info", "threads", "stack", "gc", "census", "object", "find", "help"):
        assert re.search(r"\b%s\b" % name, out)
        assert name in pages
        status, text, _ = Shell().call("help", name)
        assert status == 0 and "--json" in text


def test_links_inside_the_documents_lead_somewhere():
    broken = []
    for directory, _, names in os.walk(matrix.TOP):
        if "/build" in directory or "/." in directory:
            continue
        for name in names:
            if not name.endswith(".md"):
                continue
            with open(os.path.join(directory, name)) as f:
                for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", f.read()):
                    if "://" not in target and not os.path.exists(os.path.join(directory, target)):
                        broken.append("%s -> %s" % (name, target))
    assert broken == []
