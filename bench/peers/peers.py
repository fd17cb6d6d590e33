#!/usr/bin/env python3
"""Runs the same work on Truc and on other systems in turn, several rounds, and prints medians and ratios.

Each row starts a fresh server with an empty data directory on the same disk, runs one client process for a warm-up and a
measured time, and ends the server. The systems take turns within a round, so that a drift of the machine meets all of them.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

import servers

# work, unit, the peers' own work (the evidence level means nothing to them, so their figure serves both rows)
WORKS = [
    ("publish_async_128", "record/s", "publish_async_128"),
    ("publish_async_128_batch", "record/s", "publish_async_128"),
    ("publish_400_sync_128", "record/s", "publish_400_sync_128"),
    ("publish_400_conn_128", "record/s", "publish_400_conn_128"),
    ("publish_1_sync_128", "us_p50", "publish_1_sync_128"),
    ("read_128", "record/s", "read_128"),
    ("work_128", "record/s", "work_128"),
    ("publish_async_1k_batch", "MB/s", "publish_async_1k"),
]
ROW_TIMEOUT_S = 600


class Options:
    def __init__(self, arguments):
        self.bin = os.path.abspath(arguments.bin)
        self.seconds, self.warmup, self.fill = arguments.seconds, arguments.warmup, arguments.fill

    def client(self, name):
        return os.path.join(self.bin, name)


def run_client(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=ROW_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def truc_value(result, unit):
    if unit == "us_p50":
        return result["latency_us"]["p50"]
    return result["records_per_s"] if unit == "record/s" else result["mb_per_s"]


def run_row(system, work, unit, directory, options):
    """One row of one system: starts the server, runs the client, ends the server."""
    server, address = system.start(directory)
    try:
        result = run_client(system.command(work, address, options))
    finally:
        server.close()
    return truc_value(result, unit) if isinstance(system, servers.Truc) else result["value"]


def run_disk(directory, options):
    path = os.path.join(directory, "disk-limit")
    return run_client([options.client("peer_disk"), path, str(options.seconds), str(options.warmup)])["value"]


def measure(systems, works, arguments, options):
    """(work, system) -> values, one a round."""
    values = {}
    for number in range(1, arguments.rounds + 1):
        measured = {}
        for work, unit, peer_work in works:
            for system in systems:
                own = work if isinstance(system, servers.Truc) else peer_work
                if own in system.without:
                    continue
                if (own, system.name) not in measured:
                    directory = os.path.join(arguments.dir, f"{system.name}-{number}")
                    measured[own, system.name] = run_row(system, own, unit, directory, options)
                    print(f"round {number}/{arguments.rounds}  {own:<26}{system.name:<18}"
                          f"{measured[own, system.name]:>14,.1f} {unit}", file=sys.stderr, flush=True)
                values.setdefault((work, system.name), []).append(measured[own, system.name])
        values.setdefault(("disk_limit", "disk"), []).append(run_disk(arguments.dir, options))
    return values


def rows_of(values, works):
    units = {work: unit for work, unit, _ in works} | {"disk_limit": "MB/s"}
    return [{"work": work, "system": system, "unit": units[work], "median": statistics.median(some), "min": min(some),
             "max": max(some)} for (work, system), some in values.items()]


def ratio_text(row, truc):
    """How much better Truc is: for latencies less is better."""
    if truc is None or row["system"] == "truc":
        return ""
    better = row["median"] / truc["median"] if row["unit"] == "us_p50" else truc["median"] / row["median"]
    return f"{better:.2f}x"


def print_table(rows):
    by_work = {}
    for row in rows:
        by_work.setdefault(row["work"], []).append(row)
    print(f"{'work':<26}{'system':<18}{'median':>14}{'min':>14}{'max':>14}  {'unit':<10}truc is")
    for of_work in by_work.values():
        truc = next((row for row in of_work if row["system"] == "truc"), None)
        for row in of_work:
            print(f"{row['work']:<26}{row['system']:<18}{row['median']:>14,.1f}{row['min']:>14,.1f}{row['max']:>14,.1f}  "
                  f"{row['unit']:<10}{ratio_text(row, truc)}")
    values = {(row["work"], row["system"]): row["median"] for row in rows}
    if ("publish_async_1k_batch", "truc") in values:
        share = values["publish_async_1k_batch", "truc"] / values["disk_limit", "disk"]
        print(f"publish_async_1k_batch is {share:.2f} of disk_limit")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./run bench peers", description=__doc__)
    parser.add_argument("--bin", required=True, help="the folder with the programs")
    parser.add_argument("--dir", required=True, help="where servers keep their data: on the disk to be measured")
    parser.add_argument("--tools", required=True, help="where optional peers are installed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--warmup", type=float, default=3)
    parser.add_argument("--fill", type=int, default=1000000, help="records to publish before reading is measured")
    parser.add_argument("--works", help="comma-separated, instead of all")
    parser.add_argument("--systems", help="comma-separated, instead of all")
    parser.add_argument("--with", dest="extra", default="", help="nats-latest,kafka")
    parser.add_argument("--json", metavar="FILE", help="write the rows here")
    arguments = parser.parse_args()
    arguments.dir, arguments.tools = os.path.abspath(arguments.dir), os.path.abspath(arguments.tools)
    if arguments.rounds < 1 or arguments.seconds <= 0 or arguments.warmup < 0 or arguments.fill < 1:
        parser.error("--rounds, --seconds and --fill are positive")
    unknown = set(filter(None, arguments.extra.split(","))) - set(servers.OPTIONAL)
    if unknown:
        parser.error(f"--with knows {', '.join(servers.OPTIONAL)}, not {', '.join(sorted(unknown))}")
    return arguments


def choose(names, known, what):
    if not names:
        return known
    chosen = [item for item in known if (item[0] if isinstance(item, tuple) else item.name) in names.split(",")]
    if len(chosen) != len(names.split(",")):
        raise SystemExit(f"peers: unknown {what} in {names}")
    return chosen


def main():
    arguments = parse_arguments()
    options = Options(arguments)
    classes = servers.SYSTEMS + [each for name in filter(None, arguments.extra.split(",")) for each in servers.OPTIONAL[name]]
    systems = []
    for each in choose(arguments.systems, classes, "system"):
        system = each()
        system.options = options
        try:
            system.prepare(arguments.tools)
        except servers.Unavailable as why:
            print(f"skipped: {system.name}: {why}", file=sys.stderr)
            continue
        systems.append(system)
        print(f"{system.name}: {system.settings}", file=sys.stderr)
    works = choose(arguments.works, WORKS, "work")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}; "
          f"{arguments.rounds} rounds, {arguments.seconds:g} s a row after {arguments.warmup:g} s; "
          f"data in {arguments.dir}", file=sys.stderr)
    rows = rows_of(measure(systems, works, arguments, options), works)
    print_table(rows)
    if arguments.json:
        with open(arguments.json, "w", encoding="ascii") as out:
            json.dump(rows, out, indent=1)
            out.write("\n")


if __name__ == "__main__":
    main()
