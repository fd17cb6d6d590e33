"""The command `truc` for tests: run it, read its answers."""

import json
import os
import subprocess

import broker

TRUC = os.path.join(broker.BIN, "truc")
TIMEOUT_S = 60 * broker.PATIENCE

# The exit codes that the tests expect, from proto/status.def.
OK, USAGE, IO, TIMED_OUT, CANCELLED, UNREACHABLE, PROTOCOL, LOG_MISMATCH = 0, 2, 5, 7, 8, 10, 11, 13
RECORD_TOO_LARGE, BAD_TOPIC, BAD_PATTERN, BAD_SOURCE, BAD_RECORD = 16, 18, 19, 20, 21
NOT_FOUND, OUT_OF_RANGE, DAMAGED = 33, 34, 38


def environment(url, **more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRUC_") or name.startswith("TRUC_BIN")}
    kept.update(more)
    if url:
        kept["TRUC_URL"] = url
    return kept


def run(url, *arguments, data=None, **more):
    """Runs truc to its end; data goes to its standard input. Output is bytes."""
    return subprocess.run([TRUC, *arguments], input=data if data is not None else b"", capture_output=True, check=False,
                          timeout=TIMEOUT_S, env=environment(url, **more))


def start(url, *arguments, **pipes):
    """Starts truc and leaves it running."""
    return subprocess.Popen([TRUC, *arguments], env=environment(url), **pipes)


def lines(done):
    """The JSON lines of a run that must have gone well."""
    assert done.returncode == 0, "exit %d: %s" % (done.returncode, done.stderr.decode(errors="replace"))
    return [json.loads(line) for line in done.stdout.splitlines()]
