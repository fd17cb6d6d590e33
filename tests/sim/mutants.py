#!/usr/bin/env python3
"""Makes mutants of the core, one small change each, and shows which test kills them. Those that live show what no test asks.

  mutants.py [--count N] [--seed S] [--file NAME] [--list]

Changes are chosen by the seed among all there are in the files that decide about delivery: conditions negated, comparisons
shifted, `&&` and `||` exchanged, constants one more, single statements dropped. A mutant is killed by a failing unit test, a broken
invariant of truc_sim, a crash, a hang, or memory that is not given back. One whose object is the same as the original's, or that
equivalent.txt names with a reason, is equivalent. Last line: the result; exit code 0 when none survived.
"""

import argparse
import os
import random
import re
import subprocess
import sys

import variants

FILES = (r"share\w*", "deliver", "settle", "attachment", "dead", r"subscription_\w+", "pending", "commit", "accept", "sequence")
UNIT = ["core_%s_test" % name for name in ("clock", "follow", "full_disk", "log", "order", "producer", "publish", "reader",
                                           "resend", "session", "stopped", "subscription", "subscription_edge", "table",
                                           "topics")]
UNIT += ["share_test", "share_saving_test", "share_run_test", "share_aside_test"]
# In the order in which they are asked; each with its time.
CHECKS = [(name, [], 20) for name in UNIT] + [
    ("truc_sim", ["--seeds", "12", "--steps", "6000"], 30),
    ("share_simulation_test", ["--seeds", "300"], 60),
    ("core_simulation_test", [], 30),
    ("truc_sim", ["--seed", "100", "--seeds", "150"], 60),
    ("core_memory_test", [], 120),
]
EQUIVALENT = os.path.join(variants.TOP, "tests", "sim", "equivalent.txt")

COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&"}
OPERATOR = re.compile(r"(?<=\s)(<=|>=|==|!=|<|>|&&|\|\|)(?=\s)")
CONDITION = re.compile(r"^(\s*(?:\} else )?(?:if|while) \()(.*)(\)(?: \{)?)$")
STATEMENT = re.compile(r"^\s+(?:\(void\))?[a-z_][\w>.\[\]*-]*(?:\(.*\)|(?: [-+|&*]?= .*|\+\+|--));$")
NUMBER = re.compile(r"(?<![\w.\"])(\d+)(?![\w.\"])")
SKIP = ("CORE_INVARIANT", "CANARY", "_Static_assert", "#", "(void)context")
DECLARATION = re.compile(r"^\s+(?:const |static |struct |enum |u?int\d*(?:_t)? |bool |size_t |char |unsigned |Truc__)")


class Mutant:
    def __init__(self, path, number, old, new):
        self.path, self.number, self.old, self.new = path, number, old, new

    def __str__(self):
        return "%s:%d: `%s` becomes `%s`" % (self.path, self.number, self.old.strip(), self.new.strip())

    def key(self):
        return (self.path, self.old.strip(), self.new.strip())


def code_of(path):
    """Lines with comments blanked, so that nothing in them is changed."""
    with open(os.path.join(variants.TOP, path), encoding="utf-8") as file:
        text = file.read()
    blank = re.sub(r"/\*.*?\*/", lambda found: re.sub(r"[^\n]", " ", found.group()), text, flags=re.S)
    return text.split("\n"), blank.split("\n")


def changes_of(line):
    if not line.startswith(" ") or any(word in line for word in SKIP):
        return
    found = CONDITION.match(line)
    if found:
        yield "%s!(%s)%s" % found.groups()
    for found in OPERATOR.finditer(line):
        yield line[:found.start()] + COMPARISONS[found.group()] + line[found.end():]
    if DECLARATION.match(line) and "=" not in line:
        return
    for found in NUMBER.finditer(line):
        if line.count("\"", 0, found.start()) % 2 == 0:
            yield line[:found.start()] + str(int(found.group()) + 1) + line[found.end():]
    if STATEMENT.match(line) and not DECLARATION.match(line):
        yield re.match(r"\s*", line).group() + ";"


def all_mutants(files):
    for path in files:
        lines, code = code_of(path)
        for number, line in enumerate(code, 1):
            for new in changes_of(line.rstrip()):
                yield Mutant(path, number, lines[number - 1], new)


def known_equivalent():
    """Lines of three: where, the change, why; see the file."""
    known = {}
    with open(EQUIVALENT, encoding="utf-8") as file:
        blocks = re.split(r"\n\s*\n", "\n".join(line for line in file.read().split("\n") if not line.startswith("#")))
    for block in blocks:
        lines = [line.strip() for line in block.strip().split("\n")]
        if len(lines) < 4:
            continue
        known[(lines[0], lines[1], lines[2])] = " ".join(lines[3:])
    return known


def write(build, mutant):
    lines, _ = code_of(mutant.path)
    lines[mutant.number - 1] = mutant.new
    source = os.path.join(build.directory, os.path.basename(mutant.path))
    with open(source, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    return source


def machine_code(build, path, source):
    out = os.path.join(build.directory, "same.s")
    build.assemble(path, source, out)
    with open(out, encoding="utf-8") as file:
        return [line for line in file if not re.match(r"\s*\.(file|ident|loc|string)", line)]


def judge(build, mutant):
    """What kills it; "equivalent"; None when it lives."""
    source = write(build, mutant)
    try:
        if machine_code(build, mutant.path, source) == machine_code(build, mutant.path, os.path.join(variants.TOP, mutant.path)):
            return "equivalent"
        build.build_archive({mutant.path: source})
    except variants.Broken:
        return "the compiler"
    linked = set()
    for name, arguments, seconds in CHECKS:
        if name not in linked:
            build.link_program(name, ["-fsanitize=leak"])
            linked.add(name)
        status, _ = variants.run([build.program(name)] + arguments, seconds)
        if status != 0:
            return name if status is not None else name + " (hangs)"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", default="")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    build = variants.Variants("mutants", sorted({name for name, _, _ in CHECKS}))
    chosen = re.compile(r"broker/core/(%s)\.c$" % "|".join(FILES))
    files = [path for path in build.core_files() if chosen.match(path) and options.file in path]
    mutants = list(all_mutants(files))
    random.Random(options.seed).shuffle(mutants)
    if options.list:
        print("%d mutants in %d files" % (len(mutants), len(files)))
        return 0
    known = known_equivalent()
    killed = equivalent = survived = tried = 0
    for mutant in mutants:
        if tried == options.count:
            break
        by = "equivalent.txt" if mutant.key() in known else judge(build, mutant)
        if by == "the compiler":
            continue
        tried += 1
        if by in ("equivalent", "equivalent.txt"):
            equivalent += 1
        elif by is None:
            survived += 1
            print("SURVIVED %s" % mutant, flush=True)
        else:
            killed += 1
        if by is not None:
            print("%-28s %s" % (by, mutant), flush=True)
    print("mutants: killed %d, equivalent %d, survived %d" % (killed, equivalent, survived))
    return 0 if survived == 0 else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit("mutants: %s" % error)
