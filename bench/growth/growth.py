#!/usr/bin/env python3
"""Whether the broker stays fast, small and quick to start as its log grows.

Two brokers stand side by side, one whose log is small and one whose log is large, and are measured in turn, several rounds.
Prints one line per figure, its bar beside it, and ends with 1 when a bar is missed. The anonymous memory of every broker is
sampled each second throughout.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from figures import Figures  # pylint: disable=wrong-import-position


class Growth(Figures):
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
        return self.result("growth")


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
