#!/usr/bin/env python3
"""The house rules that no compiler checks: cheap, over every file that git knows. Exit code 1 when one is broken."""

import re
import subprocess
import sys

LINES_MAX = 600
COLUMNS_MAX = 132
BANNED = re.compile(r"\b(sprintf|vsprintf|strcpy|strcat|strtok|atoi|gets|alloca|sleep|usleep)\s*\(")
LEFTOVER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
# Dependencies point one way: a folder may include only what stands here beside itself.
MAY_INCLUDE = {"proto": (), "broker/core": ("proto",), "broker/log": ("proto",), "broker/net": ("proto",)}


def tracked():
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True).stdout
    return [name for name in out.splitlines() if name.endswith((".c", ".h", ".py", ".sh", ".proto", ".def")) or name == "run"]


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)


def room_of(name):
    return next((room for room in MAY_INCLUDE if name.startswith(room + "/")), None)


def check(name):
    try:
        with open(name, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return  # deleted, not yet committed
    except UnicodeDecodeError:
        yield 0, "not UTF-8"
        return
    lines = text.split("\n")
    if len(lines) - 1 > LINES_MAX and not name.startswith("tests/vectors/"):
        yield 0, "%d lines: usually two rooms in one (at most %d)" % (len(lines) - 1, LINES_MAX)
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end"
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "blank at the end of the line"
        if len(line) > COLUMNS_MAX and not name.endswith(".def"):
            yield number, "%d columns (at most %d)" % (len(line), COLUMNS_MAX)
        if "\t" in line:
            yield number, "a tab"
        if LEFTOVER.search(line):
            yield number, "left undone"
    if not name.endswith((".c", ".h")):
        return
    bare = without_comments(text)
    for number, line in enumerate(bare.split("\n"), 1):
        found = BANNED.search(line)
        if found:
            yield number, "%s() is not used here" % found.group(1)
    room = room_of(name)
    for number, line in enumerate(lines, 1):
        found = re.match(r'#include "((?:broker/\w+|proto|clients/\w+)/[^"]*)"', line)
        if found and room is not None:
            target = found.group(1)
            if not target.startswith(tuple(one + "/" for one in (room,) + MAY_INCLUDE[room])):
                yield number, "%s may not include %s" % (room, target)
    if name.endswith(".h") and not re.search(r"#ifndef \w+_H\n#define \w+_H", text):
        yield 1, "no include guard"


def main():
    broken = 0
    for name in tracked():
        for number, what in check(name):
            print("%s:%d: %s" % (name, number, what))
            broken += 1
    print("house: %d rules broken" % broken if broken else "house: clean", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
