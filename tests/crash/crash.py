#!/usr/bin/env python3
"""Kills trucd, producers and readers with -9 at random moments, starts them again, and compares everything in the end.

  crash.py [--bin DIR] [--kills N] [--seed S] [--keep]

Two producers without outbox, two with one, two following readers. Each writes a ledger outside of Truc; acknowledgements are on
disk there before the next are asked for. In the end everything is stopped in order, the log is read from its first position,
and judge.py compares. Exit code 0 when nothing was lost, doubled, reordered or misread.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import broker  # noqa: E402
import judge  # noqa: E402
import wire  # noqa: E402

PRODUCERS = (("plain1", False), ("plain2", False), ("outbox1", True), ("outbox2", True))
READERS = ("reader1", "reader2")
FINISH_S, DUMP_S = 60, 180
RATE = 600  # records a second and producer
# Segments roll over and leave the page cache during the run.
CONFIG = "segment_bytes: 16777216\ncache_bytes: 8388608\nindex_flush_bytes: 1048576\n"


class Client:
    """A truc_ledger process that can be killed and started again."""

    def __init__(self, programs, base, url, name, arguments):
        self.name, self.base = name, base
        self.ledger = os.path.join(base, name + ".ledger")
        self.command = [os.path.join(programs, "truc_ledger")] + arguments + ["--url", url, "--ledger", self.ledger]
        self.process = None

    def start(self):
        with open(os.path.join(self.base, self.name + ".log"), "ab") as errors:
            self.process = subprocess.Popen(self.command, stderr=errors)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ended(self):
        return self.process.poll() is not None

    def last_words(self):
        with open(os.path.join(self.base, self.name + ".log"), encoding="utf-8", errors="replace") as log:
            return "%s (status %s), saying: %s" % (self.name, self.process.poll(), log.read()[-400:].strip())

    def stop(self):
        """Asks for an orderly end."""
        self.process.send_signal(signal.SIGTERM)

    def drain(self):
        """Once more, in order and without publishing: the last stop may have come before what an outbox kept was sent."""
        self.command[1] = "drain"
        self.start()
        return self.finish()

    def finish(self):
        """Waits for the end that stop() asked for; the exit status."""
        try:
            return self.process.wait(timeout=FINISH_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return "hangs"


def start_clients(programs, base, url):
    clients = []
    for name, outbox in PRODUCERS:
        arguments = ["produce", "--name", name, "--rate", str(RATE)]
        if outbox:
            arguments += ["--outbox", os.path.join(base, name + ".outbox")]
        clients.append(Client(programs, base, url, name, arguments))
    for name in READERS:
        clients.append(Client(programs, base, url, name, ["follow"]))
    for client in clients:
        client.start()
    return clients


def kill_many(one, clients, kills, chance):
    """Returns what ended by itself, which nothing should."""
    pause = broker.threading.Event()
    for number in range(kills):
        pause.wait(chance.choice((0.01, 0.05, 0.15, 0.3)) * chance.uniform(0.3, 1.7))
        gone = [client.last_words() for client in clients if client.ended()]
        if one.process.poll() is not None:
            gone.append("trucd, saying: " + one.log()[-400:])
        if gone:
            return "%s ended before kill %d" % (", ".join(gone), number)
        if chance.random() < 0.5:
            one.kill()
            one.listen = one.url
            if chance.random() < 0.2:  # again while it starts
                one.launch()
                pause.wait(chance.uniform(0, 0.06))
                one.kill()
            one.start()
        else:
            victim = chance.choice(clients)
            victim.kill()
            victim.start()
    return None


def wait_for_readers(one, clients):
    """Readers are through when their ledgers hold the last position. Returns what went wrong."""
    with wire.Client(one.url) as client:
        last = client.durable_position() - 1
    for client in clients:
        if client.name in READERS and last >= 0:
            wanted = b"\nS %d " % last

            def reached(path=client.ledger, text=wanted):
                with open(path, "rb") as file:
                    file.seek(max(0, os.path.getsize(path) - (1 << 20)))
                    return text in file.read()
            if not broker.eventually(reached, timeout=60):
                with open(client.ledger, "rb") as file:
                    seen = [line for line in file.read().splitlines() if line.startswith(b"S ")][-1:]
                return "%s; it did not reach position %d, its last line: %s; trucd, saying: %s" % (
                    client.last_words(), last, seen, one.log()[-400:])
    return None


def finish_all(one, clients):
    """Producers deliver what they have, readers see it, all end. Returns what went wrong."""
    producers = [client for client in clients if client.name not in READERS]
    for client in producers:
        client.stop()
    problem = None
    for client in producers:
        status = client.finish()
        if status in (0, -signal.SIGTERM):  # stopped before it had a handler
            status = client.drain()
        if status != 0:
            problem = problem or "%s ended with status %s" % (client.name, status)
    problem = problem or wait_for_readers(one, clients)
    for client in clients:
        if client.name in READERS:
            client.stop()
            client.finish()
    return problem


def read_log(programs, url, path):
    command = [os.path.join(programs, "truc_ledger"), "dump", "--url", url, "--out", path]
    try:
        status = subprocess.run(command, check=False, timeout=DUMP_S).returncode
    except subprocess.TimeoutExpired:
        status = "hangs"
    return None if status == 0 else "the log could not be read: status %s" % status


def run(programs, base, options):
    chance = random.Random(options.seed)
    broker.BIN = programs
    seconds, dump = 0.0, os.path.join(base, "dump")
    with broker.Broker(config=CONFIG) as one:
        clients = start_clients(programs, base, one.url)
        try:
            started = time.monotonic()
            problem = kill_many(one, clients, options.kills, chance)
            seconds = time.monotonic() - started
            # Whatever happened, what is in the log says more than a process that ended.
            if one.process.poll() is not None:
                problem = problem or "trucd ended: %s" % one.log()[-400:]
                one.restart()
            unfinished = finish_all(one, clients)
            unread = read_log(programs, one.url, dump)
            problem = problem or unfinished or unread
        except broker.BrokerFailed as error:
            problem = "trucd did not start again: %s" % str(error)[-400:]
        except OSError as error:
            problem = "trucd cannot be reached any more: %s\n%s" % (error, one.log()[-400:])
        finally:
            for client in clients:
                if not client.ended():
                    client.kill()
    if not os.path.exists(dump):
        print("crash: %s\ncrash: %d kills, seed %d: the log was not read: FAIL" % (problem, options.kills, options.seed))
        return False
    verdict = judge.Judge(judge.read_dump(dump))
    verdict.log()
    for name, outbox in PRODUCERS:
        verdict.producer(name, os.path.join(base, name + ".ledger"), outbox)
    for name in READERS:
        verdict.reader(name, os.path.join(base, name + ".ledger"))
    good = verdict.verdict() and problem is None and verdict.acknowledged > 0
    if problem:
        print("crash: " + problem)
    print("crash: %d kills in %.0f s, seed %d, %d records stored, %d acknowledged, %d accepted by outboxes, %d seen by readers: "
          "%s: %s"
          % (options.kills, seconds, options.seed, len(verdict.records), verdict.acknowledged, verdict.accepted, verdict.seen,
             verdict.counts(), "PASS" if good else "FAIL"))
    return good


def main(name, about, kills, run_test):
    """The command line of a test that kills: run_test(programs, base, options) tells whether all was well."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--bin", default=os.environ.get("TRUC_BIN", "build/release/bin"))
    parser.add_argument("--kills", type=int, default=kills)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", action="store_true", help="leave ledgers and logs behind when something is wrong")
    options = parser.parse_args()
    print("%s: seed %d" % (name, options.seed), flush=True)
    base = tempfile.mkdtemp(prefix="truc-%s-" % name)
    good = False
    try:
        good = run_test(os.path.abspath(options.bin), base, options)
    finally:
        if good or not options.keep:
            shutil.rmtree(base, ignore_errors=True)
        else:
            print("%s: ledgers and logs are in %s" % (name, base))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main("crash", "kills, then compares with the ledgers", 1000, run))
