"""truc import from end to end: what comes out is what the file holds, however often it is killed."""

import csv
import gzip
import json
import os
import random
import signal
import subprocess
import tempfile
import time
import unittest

import broker
import cli
import import_compare

BAD_ROW, SLUG_CLASH, ROW_CHANGED, FENCED, BAD_CONFIG, INVALID_ARGUMENT = 46, 47, 48, 30, 45, 3
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RECEIPTS = os.path.join(TOP, "..", "shared", "data", "permit-receipts")
XES_OPTIONS = ("--key", "{case:concept:name}", "--type", "{concept:name}", "--time", "{time:timestamp}")
OPTIONS = ("--topic", "d.{unit}", "--key", "{id}", "--type", "step", "--time", "{at}")

XES = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0"%s>
 <global scope="event"><string key="org:group" value="U"/></global>
 <trace><string key="concept:name" value="H26.16-200605-0001"><string key="kind" value="b&#7843;n sao"/></string>
  <event><string key="concept:name" value="Ti\u1ebfp nh\u1eadn &amp; ki\u1ec3m tra"/><string key="org:group" value="H26.16"/>
   <date key="time:timestamp" value="2020-06-05T08:00:00.000+07:00"/>
   <list key="papers"><values><string key="paper" value="a"/><string key="paper" value="b"><int key="pages" value="3"/></string>
   </values></list></event>
  <event><string key="concept:name" value="Tr\u1ea3 k\u1ebft qu\u1ea3"/>
   <string key="org:group" value="Ph\u00f2ng \u0110\u1ea5t \u0111ai"/>
   <date key="time:timestamp" value="2020-06-06T08:00:00.000+07:00"/>
   <container key="c"><float key="f" value="1.50"/></container></event></trace>
</log>
"""


def row(number, unit="Ph\u00f2ng A", note=""):
    at = "2020-06-05 08:%02d:%02d" % (number // 60 % 60, number % 60)
    return {"id": "H26.16-200605-%04d" % (number // 3), "unit": unit, "at": at, "note": note}


class Import(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.broker = broker.Broker()
        self.broker.__enter__()
        self.addCleanup(lambda: self.broker.__exit__(None))

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def write_rows(self, name, rows):
        with open(self.path(name), "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(row(0)))
            writer.writeheader()
            writer.writerows(rows)
        return self.path(name)

    def run_import(self, path, *options, expect=0):
        done = cli.run(self.broker.url, "--json", "import", path, *(options or OPTIONS))
        self.assertEqual(done.returncode, expect, done.stderr.decode(errors="replace"))
        return (json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}), done.stderr.decode()

    def records(self, pattern=">"):
        return cli.lines(cli.run(self.broker.url, "--json", "replay", pattern))

    def assert_equal(self, paths, shape=None, pattern=">"):
        figures = import_compare.compare(paths, self.records(pattern), shape or import_compare.Shape("id", "at"))
        self.assertTrue(import_compare.is_equal(figures), figures)
        return figures

    # --- what comes out ---------------------------------------------------------------------------------------------------

    def test_csv_of_every_kind_comes_out_equal(self):
        path = self.write("odd.csv", b"\xef\xbb\xbfid;unit;at;note\r\n1;A;2020-06-05T08:00:00Z;\"say \"\"so\"\";\nand so\"\r\n\r\n"
                          b"2;B;2020-06-05 08:00:00.5;\xc4\x90\xe1\xbb\x91ng \xc4\x90a\\\t\n3;B;2020-06-05T08:00:00+09:30;")
        summary, _ = self.run_import(path)
        self.assertEqual((summary["rows"], summary["sent"], summary["keys"], summary["topics"]), (3, 3, 3, 2))
        self.assertEqual((summary["first_position"] is not None, summary["rejected"]), (True, 0))
        self.assert_equal([path])

    def test_xes_with_and_without_namespace_comes_out_equal(self):
        for name, namespace in (("a.xes", ""), ("b.xes.gz", ' xmlns="http://www.xes-standard.org/"')):
            text = (XES % namespace).encode()
            path = self.write(name, gzip.compress(text) if name.endswith("gz") else text)
            topic = "x" + name[0]
            self.run_import(path, "--topic", topic + ".{org:group}", *XES_OPTIONS)
            shape = import_compare.Shape("case:concept:name", "time:timestamp", "concept:name")
            self.assert_equal([path], shape, topic + ".>")
            records = self.records(topic + ".>")
            self.assertEqual([record["topic"] for record in records], [topic + ".H26.16", topic + ".Phong-Dat-dai"])
            self.assertEqual(records[0]["data"]["case:concept:name/kind"], "b\u1ea3n sao")
            self.assertEqual(records[0]["data"]["papers/1:paper/pages"], "3")
            self.assertEqual(records[1]["data"]["c/f"], "1.50")

    def test_json_lines_come_out_as_they_are(self):
        path = self.write("a.jsonl", '{"id":"1","unit":"A","at":"2020-06-05T08:00:00Z","deep":{"n":[1,2.50,null]}}\n')
        self.run_import(path, "--topic", "d.{unit}", "--key", "{id}", "--type", "{deep/n/0}", "--time", "{at}")
        (record,) = self.records()
        self.assertEqual((record["type"], record["key"]), ("1", "1"))
        self.assert_equal([path])

    def test_real_receipts_come_out_equal(self):
        if not os.path.exists(RECEIPTS + ".csv"):
            self.skipTest("the receipts are not here")
        shape = import_compare.Shape("case:concept:name", "time:timestamp", "concept:name")
        for extension in (".csv", ".xes.gz"):
            topic = "r" + extension[1]
            summary, _ = self.run_import(RECEIPTS + extension, "--topic", topic + ".{org:group}", *XES_OPTIONS)
            self.assertEqual((summary["sent"], summary["keys"], summary["topics"]), (8577, 1434, 10))
            figures = self.assert_equal([RECEIPTS + extension], shape, topic + ".>")
            self.assertEqual((figures["records"], figures["keys"]), (8577, 1434))

    def test_protobuf_maps_and_headers(self):
        path = self.write("p.csv", "id,unit,at,st\nH26.16-200605-0001,one,2020-06-05 08:00:00,4\n"
                          "H26.16-200605-0002,two,2020-06-05 09:00:00,10\nH26.16-200605-0003,three,2020-06-05 09:00:00,10\n")
        names = self.write("units.csv", 'one,H26.16\ntwo,"Ph\u00f2ng \u0110\u1ea5t \u0111ai"\n')
        _, talk = self.run_import(path, *OPTIONS, "--map", "unit=" + names, "--header", "unit={unit}",
                                  "--as", "truc.egov.v1.DossierEvent", "--set", "dossier={id}", "--set", "status={st}",
                                  "--set", "occurred={at}", expect=BAD_ROW)
        self.assertIn(":4: column 'unit': 'three' is not in", talk)
        first, second = self.records()
        self.assertEqual((first["topic"], second["topic"]), ("d.H26.16", "d.Phong-Dat-dai"))
        self.assertEqual(second["headers"], {"unit": "Ph\u00f2ng \u0110\u1ea5t \u0111ai"})
        self.assertEqual(first["content_type"], "application/protobuf")
        self.assertEqual(second["data"]["status"], "RESULT_RETURNED")
        self.assertEqual(first["data"]["occurred_ns"], "2020-06-05T01:00:00.000000000Z")

    # --- again, and after crashes -------------------------------------------------------------------------------------------

    def test_again_stores_nothing_and_grown_file_goes_on(self):
        rows = [row(number, "unit %d" % (number % 7)) for number in range(500)]
        path = self.write_rows("grow.csv", rows[:300])
        self.assertEqual(self.run_import(path)[0]["sent"], 300)
        summary, _ = self.run_import(path)
        self.assertEqual((summary["sent"], summary["skipped"], summary["first_position"]), (0, 300, None))
        self.write_rows("grow.csv", rows)
        summary, _ = self.run_import(path)
        self.assertEqual((summary["sent"], summary["skipped"]), (200, 300))
        self.assert_equal([path])

    def test_same_topics_hold_others_records_too(self):
        one = self.write_rows("one.csv", [row(number) for number in range(100)])
        two = self.write_rows("two.csv", [row(number + 1000) for number in range(100)])
        for _ in range(2):
            for path in (one, two):
                self.run_import(path)
        cli.run(self.broker.url, "pub", "d.Phong-A", data=b"{}")
        self.run_import(one)
        self.assertEqual(len(self.records()), 201)

    def test_changed_inserted_and_removed_rows_are_errors_and_send_nothing(self):
        rows = [row(number) for number in range(50)]
        path = self.write_rows("c.csv", rows)
        self.run_import(path)
        more = rows + [row(number) for number in range(50, 60)]
        offset_20 = ":22: the row has changed since it was stored as offset 20 of topic d.Phong-A"
        for change, why in ((lambda r: r[20].update(note="changed"), offset_20),
                            (lambda r: r.insert(10, row(99)), ":12: the row has changed"),
                            (lambda r: r.pop(0), ":2: the row has changed"),
                            (lambda r: r.__delitem__(slice(40, None)), "holds 50 records of producer")):
            changed = [dict(each) for each in more]
            change(changed)
            self.write_rows("c.csv", changed)
            _, talk = self.run_import(path, expect=ROW_CHANGED)
            self.assertIn(why, talk)
        self.write_rows("c.csv", more)
        self.assertEqual(self.run_import(path)[0]["sent"], 10)
        self.assert_equal([path])

    def test_killed_imports_go_on_with_and_without_outbox(self):
        seed = int.from_bytes(os.urandom(4), "big")
        print("seed", seed)
        dice = random.Random(seed)
        for outbox in ((), ("--outbox", self.path("outbox"))):
            unit = "outbox" if outbox else "plain"
            path = self.write_rows(unit + ".csv", [row(number, "%s %d" % (unit, number % 5)) for number in range(6000)])
            for _ in range(8):
                process = cli.start(self.broker.url, "--quiet", "import", path, *OPTIONS, "--rate", "2500", *outbox,
                                    stdout=subprocess.DEVNULL)
                time.sleep(dice.uniform(0.02, 0.35) * broker.PATIENCE)
                process.send_signal(signal.SIGKILL)
                process.wait()
                if dice.random() < 0.4:
                    self.broker.kill()
                    self.restart()
            summary, _ = self.run_import(path, *OPTIONS, *outbox)
            self.assertEqual(summary["sent"] + summary["skipped"], 6000)
            for topic in range(5):
                self.assertEqual(len(self.records("d.%s-%d" % (unit, topic))), 1200)
        self.assert_equal([self.path("plain.csv"), self.path("outbox.csv")])

    def restart(self):
        self.broker.listen = self.broker.url
        self.broker.start()

    def test_broker_killed_below_a_running_import(self):
        path = self.write_rows("b.csv", [row(number, "u%d" % (number % 3)) for number in range(4000)])
        process = cli.start(self.broker.url, "--quiet", "import", path, *OPTIONS, "--rate", "3000", stdout=subprocess.DEVNULL)
        for _ in range(4):
            time.sleep(0.2)
            self.broker.kill()
            self.restart()
        self.assertEqual(process.wait(timeout=60), 0)
        self.assert_equal([path])

    # --- wrong input --------------------------------------------------------------------------------------------------------

    def test_bad_rows_are_told_kept_and_the_rest_goes_on(self):
        bad = b'2,A\n3,A,soon,x\n4,A,2020-06-05T08:00:00Z,"x"y\n5,A,2020-06-05T08:00:00Z,\xff\n'
        path = self.write("bad.csv", b"id,unit,at,note\n1,A,2020-06-05T08:00:00Z,x\n" + bad + b"6,A,2020-06-05T08:00:00Z,z\n")
        rejects = self.path("rejects.csv")
        summary, talk = self.run_import(path, *OPTIONS, "--rejects", rejects, expect=BAD_ROW)
        self.assertEqual((summary["rows"], summary["sent"], summary["rejected"]), (6, 2, 4))
        for told in ("bad.csv:3: 2 fields where 4 belong", "bad.csv:4: --time: 'soon'", "bad.csv:5: field 4: text follows",
                     "bad.csv:6: column 'note': not UTF-8"):
            self.assertIn(told, talk)
        with open(rejects, "rb") as file:
            self.assertEqual(file.read(), b"id,unit,at,note\n" + bad)
        summary, _ = self.run_import(path, *OPTIONS, "--rejects", rejects, expect=BAD_ROW)  # bad rows do not disturb going on
        self.assertEqual((summary["sent"], summary["skipped"], summary["rejected"]), (0, 2, 4))
        _, talk = self.run_import(path, *OPTIONS, "--rejects", path, expect=cli.USAGE)
        self.assertIn("is the file to be imported", talk)

    def test_many_bad_rows_are_counted(self):
        path = self.write("many.csv", "id,unit,at\n" + "x\n" * 500)
        _, talk = self.run_import(path, expect=BAD_ROW)
        self.assertIn("... and 490 more bad rows", talk)
        self.assertEqual(talk.count("fields where"), 10)

    def test_slug_clash_names_both_and_sends_nothing(self):
        path = self.write_rows("s.csv", [row(0, "Group 1"), row(1, "Group 2"), row(2, "Group/1")])
        _, talk = self.run_import(path, expect=SLUG_CLASH)
        self.assertIn(":4: in --topic, {unit}: 'Group 1' and 'Group/1' both become 'Group-1'", talk)
        self.assertEqual(self.records(), [])

    def test_wrong_options_and_files_are_named(self):
        path = self.write_rows("w.csv", [row(0)])
        topic = OPTIONS[2:]
        for options, expect, why in (
            (("--topic", "d.{unti}", *topic), cli.USAGE, "no column 'unti'; did you mean 'unit'"),
            (("--topic", "d.{unit", *topic), cli.USAGE, "is not closed"),
            (("--topic", "d e", *topic), cli.USAGE, "a topic cannot hold"),
            (("--topic", "d"), cli.USAGE, "--key is missing"),
            ((*OPTIONS, "--as", "x.Y"), cli.USAGE, "truc.egov.v1.DossierEvent"),
            ((*OPTIONS, "--rate", "5", "--speed", "5"), cli.USAGE, "exclude each other"),
            ((*OPTIONS, "--map", "unit=/nowhere"), cli.IO, "/nowhere"),
            ((*OPTIONS, "--delimiter", ",,"), cli.USAGE, "--delimiter"),
            ((*OPTIONS, "--format", "xes"), BAD_ROW, "not well-formed XML"),
        ):
            _, talk = self.run_import(path, *options, expect=expect)
            self.assertIn(why, talk)
        for name, content, expect, why in (
            ("x.txt", "a\n1\n", cli.USAGE, "--format"),
            ("empty.csv", "", BAD_ROW, "empty"),
            ("cut.csv.gz", gzip.compress(os.urandom(5000))[:2000], cli.IO, "cut short"),
            ("bomb.xes", '<!DOCTYPE log [<!ENTITY a "aa">]><log><event><string key="unit" value="&a;"/></event></log>',
             BAD_ROW, "entities"),
            ("cut.xes", XES.replace("%s", "")[:-40], BAD_ROW, "not well-formed"),
        ):
            _, talk = self.run_import(self.write(name, content), expect=expect)
            self.assertIn(why, talk)
        _, talk = self.run_import(self.path("nothing.csv"), expect=cli.IO)
        self.assertIn("No such file", talk)
        _, talk = self.run_import(self.write("c.xes", XES % ""), "--topic", "d.{org:grup}", *topic, expect=cli.USAGE)
        self.assertIn("did you mean 'org:group'", talk)
        self.assertEqual(self.records(), [])

    # --- pace ------------------------------------------------------------------------------------------------------------------

    def test_speed_sorts_by_time_and_keeps_spacing(self):
        rows = [row(number) for number in range(40)]
        for number, each in enumerate(rows):
            each["at"] = "2020-06-05 08:00:%02d" % ((number * 7) % 40)
        path = self.write_rows("t.csv", rows)
        began = time.monotonic()
        self.assertEqual(self.run_import(path, *OPTIONS, "--speed", "39")[0]["sent"], 40)
        self.assertGreaterEqual(time.monotonic() - began, 1.0)
        times = [record["time"] for record in self.records()]
        self.assertEqual(times, sorted(times))
        summary, _ = self.run_import(path, *OPTIONS, "--speed", "100")
        self.assertEqual((summary["sent"], summary["skipped"]), (0, 40))

    def test_rate_is_kept(self):
        path = self.write_rows("r.csv", [row(number) for number in range(101)])
        began = time.monotonic()
        self.run_import(path, *OPTIONS, "--rate", "100")
        self.assertGreaterEqual(time.monotonic() - began, 1.0)

    def test_dry_run_needs_no_broker(self):
        path = self.write_rows("dry.csv", [row(number) for number in range(20)])
        done = cli.run("tcp://127.0.0.1:1", "--json", "import", path, *OPTIONS, "--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual((lines[0]["topic"], lines[0]["line"], lines[-1]["would_send"]), ("d.Phong-A", 2, 20))
        self.assertEqual(self.records(), [])


if __name__ == "__main__":
    unittest.main()
