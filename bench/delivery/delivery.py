#!/usr/bin/env python3
"""What subscriptions cost and give: beside plain reading, with a key that is stuck, with very many of them, far behind.

Each part measures its two sides in turn on the same machine, several rounds. Prints one line per figure, its bar beside it, and
ends with 1 when a bar is missed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from figures import Figures  # pylint: disable=wrong-import-position

SUBSCRIPTIONS, TOPICS, FAN = 10000, 100, 100
PARTS = ["ordered", "stuck", "idle", "fan", "behind", "request"]


class Delivery(Figures):
    def fill(self, broker, records, *arguments):
        """Reads nothing but one pass: the filling is what is wanted."""
        self.bench(broker, "read", "--fill", str(records), "--seconds", "1s", "--warmup", "0s", *arguments)

    def work(self, broker, *arguments):
        return self.bench(broker, "work", "--seconds", "600s", *arguments)

    def pairs(self, first, second):
        """Medians of two measurements that take turns."""
        figures = [(first(), second()) for _ in range(self.arguments.rounds)]
        return statistics.median(a for a, _ in figures), statistics.median(b for _, b in figures)

    def ordered(self):
        """One ordered subscription against plain replay of the same log."""
        broker = self.broker("ordered")
        self.fill(broker, self.arguments.records)
        replay, ordered = self.pairs(lambda: self.bench(broker, "read", *self.window())["records_per_s"],
                                     lambda: self.work(broker, "--mode", "ordered", "--workers", "1")["records_per_s"])
        self.report("replay", replay, "record/s")
        self.report("ordered subscription, one worker", ordered, "record/s")
        self.report("ordered / replay", ordered / replay, "", 0.8)
        self.drop(broker)

    def stuck(self):
        """One key of 100,000 is never settled: the others must not notice, nor memory, nor the disk."""
        broker = self.broker("stuck")
        free, stuck = [], []
        self.bench(broker, "work", "--fill", str(self.arguments.stuck_records), "--keys", "100000", "--seconds", "1s")
        for _ in range(self.arguments.rounds):
            for rates, more in ((free, []), (stuck, ["--stuck"])):
                self.watch.largest_mib, before = 0.0, self.log_info(broker)["bytes"]
                rate = self.work(broker, *more)["records_per_s"]
                rates.append((rate, self.watch.largest_mib, (self.log_info(broker)["bytes"] - before) / 1e6))
        free, stuck = ([statistics.median(column) for column in zip(*some)] for some in (free, stuck))
        self.report(f"{self.arguments.stuck_records / 1e6:g} million records, 100,000 keys, 8 workers", free[0], "record/s")
        self.report("the same, one key stuck", stuck[0], "record/s")
        self.report("stuck / free", stuck[0] / free[0], "", 0.95)
        self.report("largest RssAnon, free", free[1], "MiB")
        self.report("largest RssAnon, stuck / free", stuck[1] / free[1], "", 1.1, at_least=False)
        self.report("the log grows by, free", free[2], "MB")
        self.report("the log grows by, stuck / free", stuck[2] / free[2], "", 1.05, at_least=False)
        self.drop(broker)

    def subscribe(self, broker, count):
        began, before = time.monotonic(), broker.anon_kib()
        subprocess.run([os.path.join(os.path.dirname(self.truc), "subscribe_many"), broker.url, str(count), "bench.load",
                        str(TOPICS)], check=True)
        return time.monotonic() - began, broker.anon_kib() - before

    def idle(self):
        """Publishing with one subscription against 10,000, 100 of which match each record; nobody is connected."""
        one, many = self.broker("one"), self.broker("many")
        self.subscribe(one, 1)
        seconds, kib = self.subscribe(many, SUBSCRIPTIONS)
        batches = ["--topics", str(TOPICS), "--topic-run", "1000", *self.window()]
        alone, among = self.pairs(lambda: self.bench(one, "pub", *batches)["records_per_s"],
                                  lambda: self.bench(many, "pub", *batches)["records_per_s"])
        self.report("subscriptions made, each on disk", SUBSCRIPTIONS / seconds, "/s")
        self.report("memory of a subscription", kib / SUBSCRIPTIONS, "KiB", 1, at_least=False)
        self.report("publish, 1 subscription", alone, "record/s")
        self.report(f"publish, {SUBSCRIPTIONS} subscriptions, 100 match", among, "record/s")
        self.report("many / one", among / alone, "", 0.5)
        self.drop(one)
        self.drop(many)

    def fan(self):
        """100 connected ordered subscriptions that all want everything, against one plain reader."""
        broker = self.broker("fan")
        self.fill(broker, self.arguments.records // 5)
        plain, fan = self.pairs(lambda: self.bench(broker, "read", *self.window())["mb_per_s"],
                                lambda: self.work(broker, "--mode", "ordered", "--subscriptions", str(FAN), "--workers",
                                                  str(FAN))["mb_per_s"])
        self.report("plain reading", plain, "MB/s")
        self.report(f"{FAN} subscriptions together", fan, "MB/s")
        self.report("together / plain", fan / plain, "", 0.5)
        self.drop(broker)

    def publish(self, broker, rate, ret_result):
        ret_result.update(self.bench(broker, "pub", "--rate", str(rate), *self.window()))

    def behind(self):
        """A consumer far behind catches up while publishers offer 30 % of what they could."""
        broker = self.broker("behind")
        self.fill(broker, self.arguments.behind_records)
        most = self.bench(broker, "pub", "--topic", "bench.other", *self.window())["records_per_s"]
        replay = statistics.median(self.bench(broker, "read", *self.window())["records_per_s"]
                                   for _ in range(self.arguments.rounds))
        caught, kept = [], []
        for _ in range(self.arguments.rounds):
            result = {}
            publisher = threading.Thread(target=self.publish, args=(broker, int(0.3 * most), result))
            publisher.start()
            caught.append(self.bench(broker, "work", "--mode", "ordered", "--workers", "1", "--seconds",
                                     f"{self.arguments.seconds}s")["records_per_s"])
            publisher.join()
            kept.append(result["records_per_s"])
        self.report(f"replay of {self.arguments.behind_records / 1e6:g} million", replay, "record/s")
        self.report("catching up while others publish", statistics.median(caught), "record/s")
        self.report("catching up / replay", statistics.median(caught) / replay, "", 0.8)
        self.report("publishers kept of what they offered", statistics.median(kept) / (0.3 * most), "", 0.98)
        self.drop(broker)

    def request(self):
        """A round trip of request and reply, one at a time, against a lone durable publish."""
        broker = self.broker("request")
        publish, request = self.pairs(
            lambda: self.bench(broker, "pub", "--waiting", "1", *self.window())["latency_us"]["p50"],
            lambda: self.bench(broker, "request", "--waiting", "1", *self.window())["latency_us"]["p50"])
        many = self.bench(broker, "request", "--waiting", "1000", *self.window())
        self.report("a lone durable publish, p50", publish, "us")
        self.report("request and reply, p50", request, "us", 2 * publish + 300, at_least=False)
        self.report("1,000 requests in flight", many["records_per_s"], "reply/s")
        self.drop(broker)

    def run(self):
        self.watch.start()
        try:
            for part in self.arguments.parts.split(","):
                getattr(self, part)()
        finally:
            self.watch.over.set()
            for broker in list(self.watch.brokers):
                self.drop(broker)
        return self.result("delivery")


def main():
    parser = argparse.ArgumentParser(prog="./run bench delivery", description=__doc__)
    parser.add_argument("--bin", required=True, help="the folder with the programs")
    parser.add_argument("--dir", required=True, help="where brokers keep their data: on the disk to be measured")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"comma-separated, of {', '.join(PARTS)}")
    parser.add_argument("--records", type=int, default=10000000)
    parser.add_argument("--stuck-records", type=int, default=10000000)
    parser.add_argument("--behind-records", type=int, default=50000000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    if set(arguments.parts.split(",")) - set(PARTS):
        parser.error(f"--parts: of {', '.join(PARTS)}")
    arguments.dir = os.path.abspath(arguments.dir)
    os.makedirs(arguments.dir, exist_ok=True)
    sys.exit(Delivery(arguments).run())


if __name__ == "__main__":
    main()
