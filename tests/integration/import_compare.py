#!/usr/bin/env python3
"""Compares event logs with what `truc replay PATTERN --json` shows of them, field by field.

    truc replay '>' --json | import_compare.py FILE... [--key COLUMN] [--time COLUMN] [--type COLUMN] [--field NAME=COLUMN]...

FILE is CSV, XES or JSON lines, also with .gz; read here without any of Truc's own code. Each record must be one row, each row one
record (lost, duplicated), with every field equal (changed: neither could be matched), and within a topic and file the rows must
keep their order (reordered). --key, --time and --type compare the record's own fields with columns; times as instants.
With --field the payload is protobuf: its fields are compared with the columns named, instead of the row as a whole.
Ends with 0 when everything is equal. --json prints the figures as one object.
"""

import argparse
import collections
import contextlib
import csv
import datetime
import gzip
import io
import json
import re
import sys
import unicodedata
import xml.etree.ElementTree

STATUSES = ("DOSSIER_STATUS_UNSPECIFIED", "NEWLY_REGISTERED", "ACCEPTED", "NOT_ACCEPTED", "IN_PROGRESS", "PAPERS_REQUESTED",
            "PAYMENT_REQUESTED", "WITHDRAWAL_REQUESTED", "STOPPED", "DONE", "RESULT_RETURNED")
CHANNELS = ("CHANNEL_UNSPECIFIED", "IN_PERSON", "ONLINE", "PUBLIC_POST", "EMAIL", "INTERNAL")
ENUMS = {"status": STATUSES, "channel": CHANNELS}
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?\s*(Z|[+-]\d\d:?\d\d)?$")


def instant(text, zone_hours):
    """Nanoseconds since 1970; a text without a zone is in the zone given."""
    match = TIME.match(text.strip())
    if match is None:
        raise ValueError("not a time: %r" % text)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    moment = datetime.datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))
    seconds = int((moment - datetime.datetime(1970, 1, 1)).total_seconds())
    if zone is None:
        seconds -= int(zone_hours * 3600)
    elif zone != "Z":
        digits = zone[1:].replace(":", "")
        offset = int(digits[:2]) * 3600 + int(digits[2:]) * 60
        seconds -= -offset if zone[0] == "-" else offset
    return seconds * 10**9 + int(((fraction or "") + "000000000")[:9])


def content(path):
    """The bytes of a file, unpacked."""
    with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as file:
        return file.read()


def csv_rows(path):
    csv.field_size_limit(1 << 30)
    text = content(path).decode("utf-8-sig")
    first = text[: text.find("\n") + 1]
    delimiter = max(",;\t", key=first.count) if first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = next(reader)
    header = [name or "column_%d" % (index + 1) for index, name in enumerate(header)]
    for row in reader:
        if row:
            yield dict(zip(header, row))


def xes_attributes(element, prefix, into):
    """Attributes under an element, as docs/import.md names them."""
    for child in element:
        tag = child.tag.rsplit("}", 1)[-1]
        if tag not in ("string", "date", "int", "float", "boolean", "id", "list", "container"):
            continue
        xes_attribute(child, tag, prefix + child.get("key"), into)


def xes_attribute(element, tag, name, into):
    if element.get("value") is not None:
        into[name] = element.get("value")
    if tag != "list":
        xes_attributes(element, name + "/", into)
        return
    items = [item for child in element for item in (child if child.tag.rsplit("}", 1)[-1] == "values" else [child])]
    for index, item in enumerate(items):
        key = item.get("key") or ""
        xes_attribute(item, item.tag.rsplit("}", 1)[-1], "%s/%d%s" % (name, index, ":" + key if key else ""), into)


def xes_rows(path):
    root = xml.etree.ElementTree.fromstring(content(path))
    for top in root:
        tag = top.tag.rsplit("}", 1)[-1]
        if tag == "event":
            row = {}
            xes_attributes(top, "", row)
            yield row
        if tag != "trace":
            continue
        case = {}
        xes_attributes(top, "case:", case)
        for event in top:
            if event.tag.rsplit("}", 1)[-1] == "event":
                row = dict(case)
                xes_attributes(event, "", row)
                yield row


def jsonl_rows(path):
    for line in content(path).decode("utf-8-sig").split("\n"):
        if line.strip():
            yield json.loads(line)


def rows_of(path):
    plain = path[:-3] if path.endswith(".gz") else path
    if plain.endswith((".csv", ".tsv")):
        return csv_rows(path)
    if plain.endswith(".xes"):
        return xes_rows(path)
    return jsonl_rows(path)


class Shape:
    """What of a row and of a record must be equal, as one comparable text."""

    def __init__(self, key=None, time=None, type=None, fields=(), zone_hours=7.0):
        self.key, self.time, self.type = key, time, type
        self.fields = [field.partition("=")[::2] for field in fields]
        self.zone_hours = zone_hours

    def expected_field(self, name, text):
        if text == "":
            return None
        if name.endswith("_ns"):
            return instant(text, self.zone_hours)
        if name in ENUMS:
            return ENUMS[name][int(text)] if text.isdigit() else text
        return text

    def of_row(self, row):
        data = row
        if self.fields:
            data = {name: self.expected_field(name, row[column]) for name, column in self.fields}
            data = {name: value for name, value in data.items() if value is not None}
        own = [unicodedata.normalize("NFC", row[self.key]) if self.key else None,
               instant(row[self.time], self.zone_hours) if self.time else None,
               row[self.type] if self.type else None]
        return json.dumps([own, data], sort_keys=bool(self.fields))

    def of_record(self, record):
        data = record.get("data")
        if self.fields:
            data = {name: instant(value, 0) if name.endswith("_ns") else value for name, value in data.items()}
        own = [record["key"] if self.key else None,
               instant(record["time"], 0) if self.time else None,
               record["type"] if self.type else None]
        return json.dumps([own, data], sort_keys=bool(self.fields))


def compare(paths, records, shape):
    """The figures. `records` yields the objects of `truc replay --json` in their order."""
    waiting = collections.defaultdict(collections.deque)  # shape of a row -> (file, number) of rows without a record yet
    known, rows, keys = set(), 0, set()
    for file_number, path in enumerate(paths):
        for number, row in enumerate(rows_of(path)):
            look = shape.of_row(row)
            waiting[look].append((file_number, number))
            known.add(look)
            rows += 1
    figures = {"rows": rows, "records": 0, "lost": 0, "duplicated": 0, "changed": 0, "reordered": 0}
    last, offsets, places, topics = {}, {}, set(), set()
    for record in records:
        if "position" not in record:  # the digest's line
            continue
        figures["records"] += 1
        keys.add(record["key"])
        topics.add(record["topic"])
        place = (record["position"], record["index"])
        if place in places or record["offset"] != offsets.get(record["topic"], record["offset"] - 1) + 1:
            figures["reordered"] += 1  # shown twice, or a gap
        places.add(place)
        offsets[record["topic"]] = record["offset"]
        look = shape.of_record(record)
        if look not in known:
            figures["changed"] += 1
        elif not waiting[look]:
            figures["duplicated"] += 1
        else:
            file_number, number = waiting[look].popleft()
            lane = (record["topic"], file_number)
            figures["reordered"] += number < last.get(lane, -1)
            last[lane] = number
    figures["lost"] = sum(len(places) for places in waiting.values())
    figures["keys"], figures["topics"] = len(keys), len(topics)
    return figures


def is_equal(figures):
    wrong = ("lost", "duplicated", "changed", "reordered")
    return figures["rows"] == figures["records"] and not any(figures[name] for name in wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--records", default="-", help="the output of truc replay --json; - is standard input")
    parser.add_argument("--key")
    parser.add_argument("--time")
    parser.add_argument("--type")
    parser.add_argument("--field", action="append", default=[])
    parser.add_argument("--zone-hours", type=float, default=7.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    shape = Shape(given.key, given.time, given.type, given.field, given.zone_hours)
    with contextlib.nullcontext(sys.stdin) if given.records == "-" else open(given.records, encoding="utf-8") as stream:
        figures = compare(given.files, (json.loads(line) for line in stream if line.strip()), shape)
    print(json.dumps(figures) if given.json else " ".join("%s=%d" % item for item in figures.items()))
    return 0 if is_equal(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
