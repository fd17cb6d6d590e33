"""The demonstration: two departments publish their dossiers, a ministry follows live, and everything is killed in between.

    demo.py [FILE [IMPORT OPTION...]]

Without FILE the dossiers are invented (dossiers.c). A FILE (CSV, XES or JSON lines, also .gz) is shared between the two
departments, dossier by dossier; its columns are found by their usual names, or are given as options of `truc import` behind it.
Programs come from $TRUC_BIN, else build/release/bin. What is left is build/demo ($TRUC_DEMO_DIR), with the broker's log in it.
"""

import contextlib
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "integration"))
import address  # noqa: E402 (they stand beside the tests that use them too)
import import_compare  # noqa: E402

BIN = os.environ.get("TRUC_BIN", os.path.join(TOP, "build", "release", "bin"))
DEMO = os.environ.get("TRUC_DEMO_DIR", os.path.join(TOP, "build", "demo"))
DEPARTMENTS = ("H26.16/portal", "H26.20/portal")
MINISTRY, AUDITOR = "G22/portal", "G20/audit"
SEED, DOSSIERS = 7, 2500
PUBLISHING_S = 8.0  # what publishing is slowed down to, so that there is something to kill
PATIENCE_S = 60.0
KILLS = ((0.15, "broker"), (0.30, 0), (0.45, "broker"), (0.60, 1), (0.75, "broker"), (0.85, 0))

FIELDS = ("dossier=dossier", "procedure=procedure", "step=step", "status=status", "unit=unit", "official=official",
          "channel=channel", "occurred_ns=occurred", "received_ns=received", "due_ns=due", "finished_ns=finished", "note=note")
USUAL = {"key": ("case:concept:name", "dossier", "case_id", "case", "MaHoSo"),
         "time": ("time:timestamp", "occurred", "timestamp", "time", "ThoiDiemXuLy"),
         "type": ("concept:name", "step", "activity", "event"),
         "topic": ("org:group", "receiver", "agency", "unit", "department", "PhongBanXuLy")}


class Failed(Exception):
    """What went wrong, for a human."""


class Log:
    """An event log to be published: a file for each department, the options of `truc import`, and what must come out."""

    def __init__(self, files, options, shape, about):
        self.files, self.options, self.shape, self.about = files, options, shape, about
        self.rows = [sum(1 for _ in import_compare.rows_of(file)) for file in files]


# --- what is published ---------------------------------------------------------------------------------------


def department_files(extension):
    return [os.path.join(DEMO, source.split("/", maxsplit=1)[0].replace(".", "-").lower() + extension) for source in DEPARTMENTS]


def invented():
    program = os.path.join(DEMO, "dossiers")
    subprocess.run(["cc", "-O1", "-D_GNU_SOURCE", "-o", program, os.path.join(TOP, "tests", "demo", "dossiers.c")], check=True)
    files = department_files(".csv")
    for source, path in zip(DEPARTMENTS, files):
        with open(path, "wb") as file:
            command = [program, "--seed", str(SEED), "--dossiers", str(DOSSIERS), "--agency", source.split("/", maxsplit=1)[0]]
            subprocess.run(command, stdout=file, check=True)
    options = ["--topic", "dossier.status.{receiver}", "--key", "{dossier}", "--type", "vn.gov.dossier.status",
               "--time", "{occurred}", "--as", "truc.egov.v1.DossierEvent"]
    for field in FIELDS:
        name, _, column = field.partition("=")
        options += ["--set", "%s={%s}" % (name, column)]
    return Log(files, options, import_compare.Shape("dossier", "occurred", None, FIELDS), "invented from seed %d" % SEED)


def split_csv(path, key, names):
    """Rows go to one department or the other by their dossier, in their order."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(name, "w", encoding="utf-8", newline="")) for name in names]
        writers, homes = None, {}
        for row in import_compare.csv_rows(path):
            if writers is None:
                writers = [csv.DictWriter(file, list(row)) for file in files]
                for writer in writers:
                    writer.writeheader()
            if len(row) == len(writers[0].fieldnames):
                writers[homes.setdefault(row.get(key), len(homes) % 2)].writerow(row)


def split_xes(path, names):
    """Traces go to one department or the other in turn."""
    for which, name in enumerate(names):
        root = xml.etree.ElementTree.fromstring(import_compare.content(path))
        traces = [child for child in root if child.tag.rsplit("}", 1)[-1] == "trace"]
        for trace in traces[1 - which :: 2]:
            root.remove(trace)
        xml.etree.ElementTree.ElementTree(root).write(name, encoding="utf-8", xml_declaration=True)


def split_lines(path, names):
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(name, "wb")) for name in names]
        for number, line in enumerate(import_compare.content(path).splitlines(keepends=True)):
            files[number % 2].write(line)


def own(path, options):
    """A file of the user's."""
    plain = path[:-3] if path.endswith(".gz") else path
    extension = ".csv" if plain.endswith(".tsv") else os.path.splitext(plain)[1]
    columns = {}
    for _, row in zip(range(1000), import_compare.rows_of(path)):
        columns.update(row)
    chosen = list(options)
    for name, usual in USUAL.items():
        if "--" + name in options:
            continue
        found = next((column for column in usual if column in columns), None)
        if found is None and name != "topic":
            raise Failed("%s has none of the usual columns for --%s (%s): give it behind the file, as --%s '{COLUMN}'; it has %s"
                         % (path, name, ", ".join(usual), name, ", ".join(columns)))
        template = "{%s}" % found
        if name == "topic":
            template = "dossier.event.{%s|or:none}" % found if found else "dossier.event"
        chosen += ["--" + name, template]

    def column_of(name):
        place = re.match(r"\{([^{}|]+)\}$", chosen[chosen.index("--" + name) + 1])
        return place.group(1) if place else None

    names = department_files(extension)
    if extension == ".csv":
        split_csv(path, column_of("key"), names)
    elif extension == ".xes":
        split_xes(path, names)
    else:
        split_lines(path, names)
    shape = import_compare.Shape(column_of("key"), column_of("time"), column_of("type"))
    return Log(names, chosen, shape, os.path.basename(path))


# --- who publishes and reads -----------------------------------------------------------------------------------


class Stage:
    """All processes, started and ended by their handles; leaving it leaves none."""

    def __init__(self, log):
        self.log = log
        self.address = address.Address()
        self.url = self.address.url
        self.broker = self.ministry = None
        self.departments = [None, None]
        self.live = os.path.join(DEMO, "ministry.jsonl")
        self.began = time.monotonic()
        self.counted, self.counted_at = 0, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (*self.departments, self.ministry, self.broker):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self.address.release()

    def open_log(self, name):
        return open(os.path.join(DEMO, name + ".log"), "ab")

    def start_broker(self):
        with self.open_log("trucd") as errors:
            command = [os.path.join(BIN, "trucd"), "--data", os.path.join(DEMO, "data"), "--config",
                       os.path.join(DEMO, "trucd.yaml"), "--listen", self.url]
            self.broker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        line = self.broker.stdout.readline().decode()
        if not line.startswith("ready listen="):
            raise Failed("trucd did not start: see %s" % os.path.join(DEMO, "trucd.log"))

    def truc(self, source, *arguments):
        return [os.path.join(BIN, "truc"), "--url", self.url, "--source", source, *arguments]

    def start_ministry(self):
        with open(self.live, "wb") as output, self.open_log("ministry") as errors:
            command = self.truc(MINISTRY, "tail", ">", "--from", "start", "--json")
            self.ministry = subprocess.Popen(command, stdout=output, stderr=errors)

    def start_department(self, which):
        rate, name = max(self.log.rows[which] / PUBLISHING_S, 0.5), "department-%d" % (which + 1)
        command = self.truc(DEPARTMENTS[which], "--json", "import", self.log.files[which], "--rate", "%.1f" % rate)
        command += self.log.options
        with open(os.path.join(DEMO, name + ".json"), "wb") as output, self.open_log(name) as errors:
            self.departments[which] = subprocess.Popen(command, stdout=output, stderr=errors)

    def seen(self):
        """How many records the ministry has seen."""
        with open(self.live, "rb") as file:
            file.seek(self.counted_at)
            more = file.read()
        self.counted += more.count(b"\n")
        self.counted_at += len(more)
        return self.counted

    def wait_seen(self, count):
        deadline = time.monotonic() + PATIENCE_S
        while self.seen() < count:
            for process, name in ((self.ministry, "the ministry"), *zip(self.departments, DEPARTMENTS)):
                if process.poll() not in (None, 0):
                    raise Failed("%s ended with %d: see the log files in %s" % (name, process.returncode, DEMO))
            if time.monotonic() > deadline:
                raise Failed("the ministry has seen %d of %d records, and no more came for a minute" % (self.seen(), count))
            time.sleep(0.01)

    def kill(self, whom):
        process = self.broker if whom == "broker" else self.departments[whom]
        name = "trucd" if whom == "broker" else DEPARTMENTS[whom]
        if process.poll() is not None:
            say("   %-14s had ended before it could be killed" % name)
            return
        process.kill()
        process.wait()
        at, began = self.seen(), time.monotonic()
        if whom == "broker":
            process.stdout.close()
            self.start_broker()
            then = "ready again after %.0f ms" % ((time.monotonic() - began) * 1000)
        else:
            self.start_department(whom)
            then = "started again, asks what is stored and goes on"
        say("   kill -9 %-14s behind record %-7s %s" % (name, "{:,}".format(at), then))

    def finish(self):
        for which, process in enumerate(self.departments):
            if process.wait(timeout=PATIENCE_S) != 0:
                raise Failed("%s ended with %d: see department-%d.log in %s"
                             % (DEPARTMENTS[which], process.returncode, which + 1, DEMO))
        self.wait_seen(sum(self.log.rows))
        self.ministry.terminate()
        self.ministry.wait(timeout=PATIENCE_S)

    def replay(self, source, name):
        """Replays everything; returns where it is and the digest."""
        path = os.path.join(DEMO, name)
        with open(path, "wb") as output, self.open_log("replay") as errors:
            command = self.truc(source, "replay", ">", "--json", "--digest")
            subprocess.run(command, stdout=output, stderr=errors, check=True, timeout=PATIENCE_S)
        with open(path, "rb") as file:
            last = file.readlines()[-1]
        return path, json.loads(last)["digest"]

    def stop_broker(self):
        self.broker.terminate()
        if self.broker.wait(timeout=PATIENCE_S) != 0:
            raise Failed("trucd ended with %d: see %s" % (self.broker.returncode, os.path.join(DEMO, "trucd.log")))
        self.broker.stdout.close()


# --- the story --------------------------------------------------------------------------------------------------


def say(text=""):
    print(text, flush=True)


def step(number, what):
    bold = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    say("%s%d  %s%s" % (bold[0], number, what, bold[1]))


def records_of(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def check(stage, log):
    """Replays, compares, verifies. Returns the figures of the ministry's replay, and whether everything is as it must be."""
    first, digest = stage.replay(MINISTRY, "replay-ministry.jsonl")
    _, second = stage.replay(AUDITOR, "replay-auditor.jsonl")
    figures = import_compare.compare(log.files, records_of(first), log.shape)
    live = import_compare.compare(log.files, records_of(stage.live), log.shape)
    stage.stop_broker()
    command = [os.path.join(BIN, "truc"), "log", "verify", os.path.join(DEMO, "data")]
    verified = subprocess.run(command, capture_output=True, check=False)
    sound = verified.returncode == 0
    for name, what in (("replayed", figures), ("seen live", live)):
        say("   %-10s %s records: lost %d, duplicated %d, changed %d, out of order %d"
            % (name, "{:,}".format(what["records"]), what["lost"], what["duplicated"], what["changed"], what["reordered"]))
    say("   digest     %s" % digest)
    say("   auditor    %s" % ("the same digest" if digest == second else "ANOTHER DIGEST: " + second))
    say("   log        %s" % ("verified offline: checksums, chain, digests" if sound else verified.stderr.decode().strip()))
    return figures, import_compare.is_equal(figures) and import_compare.is_equal(live) and digest == second and sound


def shorter(path):
    """A path as one would type it here."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def tell_next(log):
    truc, trucd = shorter(os.path.join(BIN, "truc")), shorter(os.path.join(BIN, "trucd"))
    row = next(iter(import_compare.rows_of(log.files[0])))
    say("\nWhat to type next:")
    say("  %s --data %s --config %s &" % (trucd, shorter(os.path.join(DEMO, "data")), shorter(os.path.join(DEMO, "trucd.yaml"))))
    if log.shape.key and row.get(log.shape.key):
        say("  %s replay '>' --key '%s'" % (truc, row[log.shape.key]))
    say("  %s topic ls" % truc)
    say("  %s help import" % truc)


def play(arguments):
    shutil.rmtree(DEMO, ignore_errors=True)
    os.makedirs(DEMO)
    with open(os.path.join(DEMO, "trucd.yaml"), "w", encoding="utf-8") as file:
        file.write("domain: H26/demo\nsegment_bytes: 64MiB\n")
    log = own(arguments[0], arguments[1:]) if arguments else invented()
    if min(log.rows) == 0:
        raise Failed("there is nothing to publish")
    with Stage(log) as stage:
        step(1, "A broker on LMDB, two departments, a ministry")
        stage.start_broker()
        stage.start_ministry()
        say("   trucd %s   %s and %s publish   %s follows" % (stage.url, *DEPARTMENTS, MINISTRY))
        total = sum(log.rows)
        step(2, "%s events (%s) are published while processes are killed" % ("{:,}".format(total), log.about))
        for which in range(2):
            stage.start_department(which)
        for fraction, whom in KILLS:
            stage.wait_seen(int(total * fraction))
            stage.kill(whom)
        stage.finish()
        step(3, "What the ministry has, against the departments' files")
        figures, good = check(stage, log)
        say("\n%s records, %s dossiers, %d topics; lost %d, duplicated %d; %.0f seconds"
            % ("{:,}".format(figures["records"]), "{:,}".format(figures["keys"]), figures["topics"], figures["lost"],
               figures["duplicated"], time.monotonic() - stage.began))
    if not good:
        raise Failed("not everything is as it must be; the evidence is in %s" % DEMO)
    tell_next(log)


def main():
    try:
        play(sys.argv[1:])
    except Failed as failed:
        print("demo: %s" % failed, file=sys.stderr)
        return 1
    except (OSError, subprocess.SubprocessError) as failed:
        print("demo: %s" % failed, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
