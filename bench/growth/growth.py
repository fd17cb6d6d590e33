#!/usr/bin/env python3
"""Whether the broker stays fast, small and quick to start as its log grows.

Two brokers stand side by side, one whose log is small and one whose log is large, and are measured in turn, several rounds.
Prints one line per figure, its bar beside it, and ends with 1 when a bar is missed. The anonymous memory of every broker is
sampled each second throughout.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

READY_TIMEOUT_S = 120


class Broker:
    """A trucd on a directory of its own, that can be killed and started again."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, directory
        os.makedirs(directory, exist_ok=True)
        self.process = None

    def start(self):
        """Returns the seconds from exec to ready."""
        began = time.monotonic()
        self.log = open(os.path.join(self.directory, "trucd.log"), "ab")
        self.process = subprocess.Popen([self.binary, "--data", os.path.join(self.directory, "data"), "--listen",
                                         "tcp://127.0.0.1:0"], stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready listen="):
            raise RuntimeError(f"trucd did not start: see {self.log.name}")
        self.url = line.strip().partition("=")[2]
        return time.monotonic() - began

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(READY_TIMEOUT_S)
        self.process.stdout.close()
        self.log.close()
        self.process = None

    def remove(self):
        if self.process:
            self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class MemoryWatch(threading.Thread):
    """Samples RssAnon of the brokers every second; keeps the largest."""

    def __init__(self):
        super().__init__(daemon=True)
        self.brokers, self.largest_mib, self.over = [], 0.0, threading.Event()

    def run(self):
        while not self.over.wait(1):
            for broker in list(self.brokers):
                self.sample(broker)

    def sample(self, broker):
        process = broker.process
        try:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                for line in status:
                    if line.startswith("RssAnon:"):
                        self.largest_mib = max(self.largest_mib, int(line.split()[1]) / 1024)
        except (OSError, AttributeError):
            pass  # between two lives


class Growth:
    def __init__(self, arguments):
        self.arguments = arguments
        self.truc = os.path.join(os.path.abspath(arguments.bin), "truc")
        self.trucd = os.path.join(os.path.abspath(arguments.bin), "trucd")
        self.watch = MemoryWatch()
        self.missed = 0

    def broker(self, name):
        broker = Broker(self.trucd, os.path.join(self.arguments.dir, name))
        shutil.rmtree(broker.directory, ignore_errors=True)
        os.makedirs(broker.directory)
        broker.start()
        self.watch.brokers.append(broker)
        return broker

    def drop(self, broker):
        self.watch.brokers.remove(broker)
        broker.remove()

    def bench(self, broker, *arguments):
        command = [self.truc, "--url", broker.url, "--json", "--timeout", "600s", "bench", *arguments, "--no-environment"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def window(self):
        return ["--seconds", f"{self.arguments.seconds}s", "--warmup", "1s"]

    def log_info(self, broker):
        done = subprocess.run([self.truc, "--url", broker.url, "--json", "log", "info"], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def report(self, what, value, unit, bar=None, at_least=True):
        verdict = ""
        if bar is not None:
            good = value >= bar if at_least else value <= bar
            self.missed += not good
            verdict = f"  bar {'>=' if at_least else '<='} {bar:g}: {'met' if good else 'MISSED'}"
        print(f"{what:<58}{value:>14,.3f} {unit:<10}{verdict}", flush=True)

    def fill(self, broker, records):
        """Reads nothing but one pass: the filling is what is wanted."""
        self.bench(broker, "read", "--fill", str(records), "--seconds", "1s", "--warmup", "0s")

    def growth(self):
        """Publishing and reading beside a large log against a small one."""
        large = self.broker("large")
        self.fill(large, self.arguments.records)
        publish, read = {"small": [], "large": []}, {"small": [], "large": []}
        for _ in range(self.arguments.rounds):
            small = self.broker("small")
            self.fill(small, 1000000)
            for name, broker in (("small", small), ("large", large)):
                read[name].append(self.bench(broker, "read", *self.window())["records_per_s"])
            for name, broker in (("small", small), ("large", large)):
                publish[name].append(self.bench(broker, "pub", *self.window())["records_per_s"])
            self.drop(small)
        for what, rates in (("publish", publish), ("read", read)):
            medians = {name: statistics.median(some) for name, some in rates.items()}
            self.report(f"{what}, 1 million records in the log", medians["small"], "record/s")
            self.report(f"{what}, {self.arguments.records / 1e6:g} million and more", medians["large"], "record/s")
            self.report(f"{what}, large / small", medians["large"] / medians["small"], "", 0.9)
        return large

    def starting(self, large):
        info = self.log_info(large)
        seconds = []
        for _ in range(self.arguments.rounds):
            large.stop(signal.SIGKILL)
            seconds.append(large.start())
        self.report("log when started again", info["bytes"] / 1e9, "GB")
        self.report("exec to ready after kill -9", statistics.median(seconds), "s", 2, at_least=False)
        self.drop(large)

    def spread(self):
        """Batches of 100 records over many topics against the same batches in one."""
        rates = {"one": [], "many": []}
        batches = ["--batch-records", "100", "--topic-run", "100", *self.window()]
        one = many = None
        for _ in range(self.arguments.rounds):
            one, many = self.broker("one"), self.broker("many")
            rates["one"].append(self.bench(one, "pub", *batches)["records_per_s"])
            rates["many"].append(self.bench(many, "pub", "--topics", str(self.arguments.topics), *batches)["records_per_s"])
            self.drop(one)
            if _ < self.arguments.rounds - 1:
                self.drop(many)
        medians = {name: statistics.median(some) for name, some in rates.items()}
        self.report("batches of 100 records in one topic", medians["one"], "record/s")
        self.report(f"the same over {self.arguments.topics} topics", medians["many"], "record/s")
        self.report("many / one", medians["many"] / medians["one"], "", 0.7)
        self.one_topic(many)
        self.drop(many)

    def one_topic(self, many):
        """What reading one of many topics costs, beside reading everything."""
        info = self.log_info(many)
        topic = json.loads(subprocess.run([self.truc, "--url", many.url, "--json", "topic", "info", "bench.load.7"],
                                          capture_output=True, text=True, check=True).stdout)
        began, passes = time.monotonic(), 0
        while time.monotonic() - began < self.arguments.seconds:
            subprocess.run([self.truc, "--url", many.url, "--json", "replay", "bench.load.7"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=True)
            passes += 1
        whole = (time.monotonic() - began) / passes
        self.report("records in the log", info["record_count"], "record")
        self.report("records of the topic read", topic["next_offset"], "record")
        self.report("one replay of that topic, process start included", whole * 1e3, "ms", 100, at_least=False)

    def run(self):
        self.watch.start()
        try:
            self.starting(self.growth())
            self.spread()
        finally:
            self.watch.over.set()
            for broker in list(self.watch.brokers):
                self.drop(broker)
        self.report("largest RssAnon of any broker", self.watch.largest_mib, "MiB", 192, at_least=False)
        print(f"growth: {'all bars met' if not self.missed else f'{self.missed} bars missed'}")
        return 1 if self.missed else 0


def main():
    parser = argparse.ArgumentParser(prog="./run bench growth", description=__doc__)
    parser.add_argument("--bin", required=True, help="the folder with the programs")
    parser.add_argument("--dir", required=True, help="where brokers keep their data: on the disk to be measured")
    parser.add_argument("--records", type=int, default=70000000, help="of the large log (70 million: more than 10 GB)")
    parser.add_argument("--topics", type=int, default=100000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    arguments.dir = os.path.abspath(arguments.dir)
    os.makedirs(arguments.dir, exist_ok=True)
    sys.exit(Growth(arguments).run())


if __name__ == "__main__":
    main()
