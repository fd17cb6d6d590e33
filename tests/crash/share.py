#!/usr/bin/env python3
"""Kills trucd, producers and workers with -9 at random moments while workers share a subscription, then judges what each was given.

  share.py [--bin DIR] [--kills N] [--seed S] [--keep]

Two producers publish records with few keys, and some without. Four workers acknowledge most, refuse and reject some, forget some.
Each writes down, on one clock, what it was given (G), what it was about to say (T acknowledge, N refuse, J reject) and what was
confirmed (K, on disk before it goes on). In the end the log says which records there were, and for every one of them must hold:
  lost        some worker had it confirmed, or said that it is done shortly before a kill, which may have taken the confirmation
  overtaken   it was first given only after a worker had said of the one before it with its key that it is done
  again       it was never given after it had been confirmed
Exit code 0 when all of it holds.
"""

import bisect
import os
import random
import sys
import time
from collections import defaultdict

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import broker  # noqa: E402
import crash  # noqa: E402
import judge  # noqa: E402

PRODUCERS = ("plain1", "plain2")
WORKERS = ("worker1", "worker2", "worker3", "worker4")
RATE = 400       # records a second and producer
CONFIRM_S = 2    # a confirmation takes milliseconds
SETTLE_S = 60    # for what is left when the producers have ended
KEYS = 50        # as ledger_produce.c gives them
KEYLESS = "ledger.tick"
CONFIG = "segment_bytes: 16777216\nindex_flush_bytes: 1048576\n"


def start_clients(programs, base, url):
    clients = [crash.Client(programs, base, url, name, ["produce", "--name", name, "--rate", str(RATE)]) for name in PRODUCERS]
    clients += [crash.Client(programs, base, url, name, ["work"]) for name in WORKERS]
    for client in clients:
        client.start()
    return clients


class Kills:
    """When anything was killed, on the clock that the workers write down."""

    def __init__(self, one, clients):
        self.times = []
        for each in [one] + clients:
            each.kill = self.noted(each.kill)

    def noted(self, kill):
        def noting():
            kill()
            self.times.append(time.monotonic_ns())
        return noting

    def may_have_taken(self, said):
        """Whether a confirmation that was due soon after this moment may have gone with somebody."""
        at = bisect.bisect_left(self.times, said)
        return at < len(self.times) and self.times[at] - said < CONFIRM_S * 1000000000


def settled(base, kills):
    """What was confirmed, or may have been."""
    places = set()
    for name in WORKERS:
        for words in judge.lines_of(os.path.join(base, name + ".ledger")):
            if words[0] == "K" or (words[0] in "TJ" and len(words) == 4 and kills.may_have_taken(int(words[3]))):
                places.add((int(words[1]), int(words[2])))
    return places


def finish(one, base, programs, clients, kills, dump):
    """Producers end, workers go on until everything is confirmed. Returns what went wrong."""
    producers = [client for client in clients if client.name in PRODUCERS]
    for client in producers:
        client.stop()
    problem = None
    for client in producers:
        status = client.finish()
        if status not in (0, -crash.signal.SIGTERM):
            problem = problem or "%s ended with status %s" % (client.name, status)
    problem = problem or crash.read_log(programs, one.url, dump)
    if not problem:
        records = {(r.position, r.index) for r in judge.read_dump(dump)}
        if not broker.eventually(lambda: not records - settled(base, kills), timeout=SETTLE_S):
            problem = "%d of %d records were never confirmed" % (len(records - settled(base, kills)), len(records))
    for client in clients:
        if client.name in WORKERS:
            client.stop()
            client.finish()
    return problem


class Judge:
    def __init__(self, base, kills, dump):
        self.settled = settled(base, kills)
        self.found = defaultdict(list)
        self.given, self.said, self.done = defaultdict(list), defaultdict(list), {}
        self.lines = 0
        for name in WORKERS:
            for words in judge.lines_of(os.path.join(base, name + ".ledger")):
                self.take(name, words)
        self.records = judge.read_dump(dump)

    def take(self, name, words):
        if words[0] == "E":
            self.found["refused"].append("%s: %s" % (name, " ".join(words[1:])))
        elif words[0] in "GTNJK" and len(words) == 4:
            place, when = (int(words[1]), int(words[2])), int(words[3])
            self.lines += 1
            if words[0] == "G":
                self.given[place].append(when)
            elif words[0] in "TJ":
                self.said[place].append(when)
            elif words[0] == "K":
                self.done[place] = min(when, self.done.get(place, when))

    def judge(self):
        last = {}
        for r in self.records:
            place = (r.position, r.index)
            if place not in self.settled:
                self.found["lost"].append("position %d index %d was never confirmed" % place)
            for when in self.given[place]:
                if when > self.done.get(place, when):
                    self.found["again"].append("position %d index %d was given after it was confirmed" % place)
            if r.topic == KEYLESS:
                continue
            key = r.number % KEYS
            before = last.get(key)
            if before and self.given[place] and (not self.said[before] or min(self.given[place]) < min(self.said[before])):
                self.found["overtaken"].append("position %d index %d was given before position %d index %d was done"
                                               % (place + before))
            last[key] = place
        return self.found


def run(programs, base, options):
    chance = random.Random(options.seed)
    broker.BIN = programs
    dump, seconds, problem = os.path.join(base, "dump"), 0.0, None
    with broker.Broker(config=CONFIG) as one:
        clients = start_clients(programs, base, one.url)
        kills = Kills(one, clients)
        try:
            started = time.monotonic()
            problem = crash.kill_many(one, clients, options.kills, chance)
            seconds = time.monotonic() - started
            problem = problem or finish(one, base, programs, clients, kills, dump)
        except (broker.BrokerFailed, OSError) as error:
            problem = "trucd: %s" % str(error)[-400:]
        finally:
            for client in clients:
                if not client.ended():
                    client.kill()
    verdict = Judge(base, kills, dump)
    found = verdict.judge()
    for kind, texts in found.items():
        for text in texts[:5]:
            print("share: %s: %s" % (kind, text))
    if problem:
        print("share: " + problem)
    good = not problem and not any(found.values()) and len(verdict.records) > 0
    print("share: %d kills in %.0f s, seed %d, %d records, %d lines of workers, given again %d: %s: %s"
          % (options.kills, seconds, options.seed, len(verdict.records), verdict.lines,
             sum(len(times) - 1 for times in verdict.given.values() if times),
             ", ".join("%s %d" % (kind, len(found[kind])) for kind in ("lost", "overtaken", "again", "refused")),
             "PASS" if good else "FAIL"))
    return good


if __name__ == "__main__":
    sys.exit(crash.main("share", "kills while workers share, then judges what each was given", 500, run))
