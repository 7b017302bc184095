"""What the lint checks share: which files there are, and how a finding is told. A check runs at the root of
the tree; it prints one line for each finding, `file:line: what to do`, and fails if there is one."""
import os
import re
import subprocess
import sys

SKIPPED = {".git", "node_modules", "data", "build", "__pycache__"}


def files(*suffixes, under=""):
    """Paths of the files that belong to the project: those of git, or without git all but SKIPPED."""
    if os.path.exists(".git"):
        git = ["git", "-c", f"safe.directory={os.getcwd()}", "ls-files", "-coz", "--exclude-standard"]
        listed = subprocess.run(git, check=True, capture_output=True, text=True).stdout.split("\0")
    else:
        listed = []
        for folder, folders, names in os.walk("."):
            folders[:] = [f for f in folders if f not in SKIPPED and not f.startswith("build-")]
            listed += [os.path.relpath(os.path.join(folder, n), ".") for n in names]
    return sorted({f for f in listed if f.startswith(under) and os.path.isfile(f)
                   and (not suffixes or f.endswith(suffixes))})


def text_of(path):
    """The file's text, or None if it is not UTF-8 text."""
    with open(path, "rb") as f:
        data = f.read()
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def code_of(path):
    """A C file's text with comments and the content of literals blanked out; lines stay where they are."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''

    def blank(match):
        found = match.group()
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[0]
        return re.sub(r"[^\n]", " ", found)

    return re.sub(pattern, blank, text_of(path) or "", flags=re.S)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def finish(findings):
    """findings: (file, line, what to do)"""
    for path, line, what in sorted(findings):
        print(f"{path}:{line}: {what}")
    sys.exit(1 if findings else 0)
