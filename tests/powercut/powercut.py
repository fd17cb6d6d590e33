#!/usr/bin/env python3
"""Power cuts: records what trucd does to its disk under load, rebuilds what a cut at any moment could have left, checks each.

  powercut.py [--bin DIR] [--states N] [--seed S] [--round-states N] [--keep DIR]

Each round starts from nothing with a seed of its own: producers publish small and large batches, retry what is under way,
readers follow, segments roll over, trucd is killed once and started again. The recorder (recorder.c) lists writes, flushes and
sends in one order; truc_powercut (replay.c) judges. Exit code 0 when every state of every round held.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import broker  # noqa: E402
import wire  # noqa: E402

SEGMENT_BYTES = 8 << 20
LOG_BYTES = 10 << 20  # a round rolls over at least once
RESULT = re.compile(r"powercut: (\d+) states .*?: (\d+) failed")


class Load(threading.Thread):
    """A producer on its own connection: keeps a few batches in flight and sends some of them twice."""

    def __init__(self, url, name, seed, stop_after_bytes):
        super().__init__(daemon=True)
        self.url, self.name_, self.random, self.left = url, name, random.Random(seed), stop_after_bytes
        self.acknowledged = 0
        self.error = None

    def run(self):
        try:
            with wire.Client(self.url) as client:
                producer = client.open_producer(self.name_)
                while self.left > 0:
                    self.burst(client, producer)
        except wire.Closed:
            pass  # trucd was killed
        except Exception as error:  # noqa: BLE001 -- told by the main thread
            self.error = error

    def burst(self, client, producer):
        requests = []
        for _ in range(self.random.choice((1, 1, 2, 6))):
            topic = "cut.%s.%d" % (self.name_, self.random.randrange(3))
            count = self.random.choice((1, 1, 3, 40))
            size = self.random.choice((20, 120, 120, 3000))
            encoded = producer.batch(topic, [wire.record(self.random.randbytes(size)) for _ in range(count)])
            requests.append(producer.send(encoded))
            if self.random.random() < 0.2:
                requests.append(producer.send(encoded))  # a retry while the first is on its way to the disk
            self.left -= len(encoded)
        for request_id in requests:
            client.answer(request_id)
            self.acknowledged += 1


class Follow(threading.Thread):
    """A reader at the live end."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.seen = url, 0

    def run(self):
        try:
            with wire.Client(self.url) as client:
                request_id = client.read(">", follow=True)
                while True:
                    got = client.answer(request_id, timeout=60)
                    self.seen += sum(1 for _ in wire.entries_of(got.payload))
                    client.credit(request_id, len(got.payload))
        except (wire.Closed, TimeoutError):
            pass


def run_load(url, seed, name_round, wanted_bytes):
    loads = [Load(url, "p%d%d" % (name_round, number), seed * 10 + number, wanted_bytes // 3) for number in range(3)]
    follows = [Follow(url), Follow(url)]
    for thread in follows + loads:
        thread.start()
    return loads, follows


def finish(loads):
    for load in loads:
        load.join(timeout=120)
        if load.is_alive():
            raise RuntimeError("a producer hangs")
        if load.error is not None:
            raise load.error


def set_stop(path, value):
    with open(path, "r+b" if os.path.exists(path) else "wb") as file:
        file.write(bytes([value]))


def kill(one, stop):
    """As kill -9, but never between a write and its line in the trace (recorder.c).

    A broker at rest makes no calls: then -9 is as good.
    """
    set_stop(stop, 1)
    broker.eventually(lambda: one.process.poll() is not None, timeout=1.0)
    one.kill()
    set_stop(stop, 0)


def record_round(programs, base, seed):
    """One recorded run; returns (data directory, trace)."""
    data, trace = os.path.join(base, "data"), os.path.join(base, "trace")
    os.mkdir(data)
    broker.BIN = programs
    stop = os.path.join(base, "stop")
    set_stop(stop, 0)
    recorder = os.path.join(programs, "..", "lib", "truc_recorder.so")
    one = broker.Broker(directory=data, preload=os.path.abspath(recorder), config="segment_bytes: %d\n" % SEGMENT_BYTES,
                        environment={"TRUC_RECORD_DIR": data, "TRUC_RECORD_FILE": trace, "TRUC_RECORD_STOP": stop})
    chance = random.Random(seed)
    with one:
        loads, _ = run_load(one.url, seed, 0, 1 << 30)
        time.sleep(chance.uniform(0.1, 0.5))  # the kill's moment, not a wait for anything
        kill(one, stop)
        one.restart()
        finish(loads)
        loads, _ = run_load(one.url, seed + 1, 1, LOG_BYTES)
        finish(loads)
        kill(one, stop)
    return data, trace


def judge_round(programs, base, data, trace, options, seed, states):
    command = [os.path.join(programs, "truc_powercut"), "--trace", trace, "--directory", data, "--scratch",
               os.path.join(base, "scratch"), "--states", str(states), "--seed", str(seed), "--segment-bytes", str(SEGMENT_BYTES),
               "--workers", str(os.cpu_count() or 2)]
    os.mkdir(os.path.join(base, "scratch"))
    if options.keep:
        os.makedirs(options.keep, exist_ok=True)
        command += ["--keep", os.path.abspath(options.keep)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    sys.stdout.write(done.stdout)
    sys.stdout.flush()
    found = RESULT.search(done.stdout)
    return done.returncode, int(found.group(1)) if found else 0, int(found.group(2)) if found else 0


def scratch_parent():
    """Memory where there is some: states are written and thrown away by the thousand."""
    if os.environ.get("TMPDIR"):
        return os.environ["TMPDIR"]
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 1 << 30 else None


def main():
    parser = argparse.ArgumentParser(description="power cuts")
    parser.add_argument("--bin", default=os.environ.get("TRUC_BIN", "build/release/bin"))
    parser.add_argument("--states", type=int, default=5000)
    parser.add_argument("--round-states", type=int, default=500)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", help="a directory for states that did not hold")
    options = parser.parse_args()
    programs = os.path.abspath(options.bin)
    print("powercut: seed %d" % options.seed, flush=True)
    checked = failed = 0
    worst = 0
    while checked < options.states and worst == 0:
        seed = options.seed + checked
        with tempfile.TemporaryDirectory(prefix="truc-powercut-", dir=scratch_parent()) as base:
            data, trace = record_round(programs, base, seed)
            wanted = min(options.round_states, options.states - checked)
            worst, here, bad = judge_round(programs, base, data, trace, options, seed, wanted)
        checked += here
        failed += bad
    print("powercut: %d disk states checked, %d failed, seed %d: %s"
          % (checked, failed, options.seed, "PASS" if worst == 0 else "FAIL"))
    return 0 if worst == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
