#!/usr/bin/env python3
"""Builds trucd with one seeded bug at a time and shows which checker catches it. A checker that
passes all of them is worth nothing.

  canaries.py [NAME...]

For each bug the checkers run in turn until one fails, beginning with the one that should; bugs nobody catches make this fail.
Exit code 0 when every bug was caught.
"""

import os
import subprocess
import sys
import tempfile

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))

TARGETS = ["trucd", "truc_ledger", "truc_powercut", "truc_recorder", "truc_flip"]

CRASH = ("crash", ["python3", "-B", "tests/crash/crash.py", "--kills", "40", "--seed", "11"])
POWERCUT = ("powercut", ["python3", "-B", "tests/powercut/powercut.py", "--states", "300", "--seed", "11"])
FLIP = ("flip", ["{bin}/truc_flip", "--flips", "200", "--seed", "11"])

# name, what the build does wrong, checkers in the order in which they are asked
CANARIES = (
    ("ACK_BEFORE_COMMIT", "acknowledges before the commit", (POWERCUT, CRASH)),
    ("SHOW_ABOVE_HEAD", "shows entries above the durable head", (POWERCUT, CRASH)),
    ("EARLY_DUPLICATE", "answers a duplicate before the first is on disk", (POWERCUT, CRASH)),
    ("SKIP_CHECKSUM", "does not check what it reads", (FLIP,)),
    ("DROP_FLUSH", "leaves out a flush", (POWERCUT,)),
    ("NOSYNC", "opens the log with MDB_NOSYNC", (POWERCUT,)),
    ("REUSE_OFFSET", "gives an offset twice", (CRASH, POWERCUT)),
    ("FORGET_DEDUP", "forgets sequences at a restart", (CRASH,)),
)


def build(name):
    directory = os.path.join(TOP, "build", "canary", name or "none")
    log = directory + ".log"
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "wb") as out:
        for command in (["cmake", "-S", TOP, "-B", directory, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DTRUC_TESTS=ON",
                         "-DTRUC_CANARY=" + name], ["cmake", "--build", directory, "--target"] + TARGETS):
            if subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode != 0:
                sys.exit("canaries: the build of %s failed: %s" % (name, log))
    return os.path.join(directory, "bin")


def caught(checker, programs):
    """Whether a checker fails on these programs, and the line that says why."""
    command = [word.format(bin=programs) for word in checker[1]]
    with tempfile.TemporaryFile() as out:
        try:
            status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=TOP, env=dict(os.environ, TRUC_BIN=programs),
                                    timeout=600, check=False).returncode
        except subprocess.TimeoutExpired:
            return False, "timed out"
        out.seek(0)
        lines = [line for line in out.read().decode(errors="replace").splitlines() if line.startswith((checker[0] + ":", "canary"))]
    # A result is a line with FAIL; anything else that ends badly is a broken test, not a catch.
    result = next((line for line in reversed(lines) if line.endswith(("PASS", "FAIL"))), "no result")
    others = [line for line in lines if line is not result and not line.startswith(checker[0] + ": seed")]
    why = next((line for line in others if "LOST" in line), others[0] if others else result)
    return status == 1 and result.endswith("FAIL"), why


def main():
    wanted = sys.argv[1:]
    missed = 0
    rows = []
    for name, what, checkers in CANARIES:
        if wanted and name not in wanted:
            continue
        programs = build(name)
        by, why = None, ""
        for checker in checkers:
            found, why = caught(checker, programs)
            if found:
                by = checker[0]
                break
        missed += by is None
        rows.append((name, what, by or "NOBODY"))
        print("canary %-18s %-48s caught by %s\n    %s" % (name, what, by or "NOBODY", why[:200]), flush=True)
    print("canaries: %d of %d caught: %s" % (len(rows) - missed, len(rows), "PASS" if missed == 0 else "FAIL"))
    return 0 if missed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
