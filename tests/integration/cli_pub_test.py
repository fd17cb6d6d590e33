"""truc pub: what is published is what replay shows."""

import json
import os
import subprocess
import tempfile
import unittest

import broker
import cli


class PubTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = broker.Broker().__enter__()
        cls.addClassCleanup(cls.broker.__exit__, None, None, None)
        cls.url = cls.broker.url

    def replay(self, topic, *arguments):
        return cli.lines(cli.run(self.url, "replay", topic, "--json", *arguments))

    def test_whole_input_is_one_record(self):
        done = cli.run(self.url, "pub", "one.record", "--key", "H26.16-200605-0001", "--type", "vn.gov.dossier.status",
                       "--header", "a=1", "--header", "b=2=3", "--time", "2020-06-05 08:00", "--source", "H26.16/portal",
                       data=b'{"status": 4,\n "n": 1.10}\n')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"created topic one.record", done.stderr)
        self.assertIn(b"read in Asia/Ho_Chi_Minh, is 2020-06-05T01:00:00.000000000Z", done.stderr)
        self.assertRegex(done.stdout, rb"^published to one\.record offset 0 position \d+ index 0\n$")
        record, = self.replay("one.record")
        self.assertEqual(list(record), ["log_id", "generation", "position", "index", "topic", "offset", "append_time", "time", "id",
                                        "type", "key", "source", "headers", "content_type", "data"])
        self.assertEqual(record["data"], {"status": 4, "n": 1.1})
        self.assertEqual(record["content_type"], "application/json")
        self.assertEqual(record["key"], "H26.16-200605-0001")
        self.assertEqual(record["type"], "vn.gov.dossier.status")
        self.assertEqual(record["headers"], {"a": "1", "b": "2=3"})
        self.assertEqual(record["source"], "H26.16/portal")
        self.assertEqual(record["time"], "2020-06-05T01:00:00.000000000Z")
        self.assertRegex(record["id"], r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertRegex(record["log_id"], r"^[0-9a-f]{32}$")

    def test_second_record_creates_nothing(self):
        cli.run(self.url, "pub", "second.record", data=b"x")
        done = cli.run(self.url, "pub", "second.record", data=b"y")
        self.assertNotIn(b"created", done.stderr)
        self.assertIn(b"offset 1 ", done.stdout)

    def test_evidence_left_open_is_the_topics(self):
        first = cli.run(self.url, "pub", "meter.open", "--evidence", "batch", data=b"1")
        self.assertEqual(first.returncode, 0, first.stderr)
        for codec in ("none", "zstd"):
            later = cli.run(self.url, "pub", "meter.open", "--lines", "--codec", codec, data=b"2\n" * 3000)
            self.assertEqual(later.returncode, 0, later.stderr)
        self.assertEqual(len(self.replay("meter.open")), 6001)  # with its digests checked
        refused = cli.run(self.url, "pub", "meter.open", "--evidence", "record", data=b"3")
        self.assertEqual(refused.returncode, 32)
        self.assertIn(b"EVIDENCE_MISMATCH", refused.stderr)

    def test_lines_come_back_byte_by_byte(self):
        content = b"first\n\nthird \xff\xfe\n" + b"x" * 300000 + b"\nlast without newline"
        done = cli.run(self.url, "pub", "many.lines", "--lines", data=content)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, b"published 5 records to many.lines, offsets 0 to 4\n")
        raw = cli.run(self.url, "replay", "many.lines", "--raw")
        self.assertEqual(raw.stdout, content + b"\n")

    def test_json_says_where_each_record_is(self):
        done = cli.run(self.url, "pub", "json.lines", "--lines", "--json", data=b"a\nb\nc\n")
        answers = cli.lines(done)
        self.assertEqual([a["offset"] for a in answers], [0, 1, 2])
        self.assertEqual([a["sequence"] for a in answers], [0, 1, 2])
        self.assertTrue(all(a["status"] == "OK" and a["topic"] == "json.lines" and not a["duplicate"] for a in answers))
        self.assertTrue(answers[0]["created"])
        stored = {(r["position"], r["index"]) for r in self.replay("json.lines")}
        self.assertEqual(stored, {(a["position"], a["index"]) for a in answers})

    def test_file_and_all_fields(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(range(256)))
            file.flush()
            done = cli.run(self.url, "pub", "binary.file", file.name, "--content-type", "application/octet-stream", "--schema", "s",
                           "--id", "hex:00ff", "--correlation", "c", "--codec", "zstd", "--evidence", "batch")
        self.assertEqual(done.returncode, 0, done.stderr)
        record, = self.replay("binary.file")
        self.assertNotIn("data", record)
        self.assertEqual(len(record["data_base64"]), 344)
        self.assertEqual(record["id"], "hex:00ff")
        info = cli.lines(cli.run(self.url, "topic", "info", "binary.file", "--json"))[0]
        self.assertEqual(info["evidence"], "batch")

    def test_key_is_brought_to_nfc(self):
        cli.run(self.url, "pub", "nfc.key", "--key", "Ho\u0302\u0300 so\u031b", data=b"x")
        record, = self.replay("nfc.key")
        self.assertEqual(record["key"], "H\u1ed3 s\u01a1")
        self.assertEqual(len(self.replay("nfc.key", "--key", "Ho\u0302\u0300 so\u031b")), 1)

    def test_text_content_type_is_shown_as_text(self):
        cli.run(self.url, "pub", "plain.text", "--content-type", "text/plain; charset=utf-8", data="Đã xử lý \"xong\"\n".encode())
        record, = self.replay("plain.text")
        self.assertEqual(record["data"], "Đã xử lý \"xong\"\n")

    def test_named_producer_goes_on_with_its_sequence(self):
        for expected in (0, 1):
            answer, = cli.lines(cli.run(self.url, "pub", "named.topic", "--producer", "import/1", "--json", data=b"x"))
            self.assertEqual(answer["sequence"], expected)

    def test_empty_input_is_an_empty_record(self):
        done = cli.run(self.url, "pub", "empty.record", "--key", "k", data=b"")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"no data", done.stderr)
        record, = self.replay("empty.record")
        self.assertEqual(record["data_base64"], "")
        none = cli.run(self.url, "pub", "empty.lines", "--lines", data=b"")
        self.assertEqual(none.stdout, b"published 0 records to empty.lines\n")
        self.assertEqual(self.replay("empty.*"), [record])

    def test_many_lines_need_bounded_memory(self):
        """300 MB through a pipe: the process stays far below that."""
        line, count = b"y" * 2999 + b"\n", 100000
        process = cli.start(self.url, "pub", "bulk.lines", "--lines", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
        block = line * 100
        for _ in range(count // 100):
            process.stdin.write(block)
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output = process.stdout.read()
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(process.returncode, 0)
        self.assertEqual(output, b"published 100000 records to bulk.lines, offsets 0 to 99999\n")
        if not broker.SANITIZED:
            self.assertLess(usage.ru_maxrss, 220 * 1024)  # libtruc's queue of 64 MiB, its frames and the program

    def test_dossier_event_is_shown_as_json(self):
        # dossier "H26.16-200605-0001", status 4, occurred_ns 2020-06-05T01:00:00Z
        occurred = (1591318800000000000).to_bytes(8, "little")
        data = b"\x0a\x12H26.16-200605-0001\x20\x04\x41" + occurred
        cli.run(self.url, "pub", "dossier.event", "--schema", "truc.egov.v1.DossierEvent", "--content-type", "application/protobuf",
                data=data)
        record, = self.replay("dossier.event")
        self.assertEqual(record["data"], {"dossier": "H26.16-200605-0001", "status": "IN_PROGRESS",
                                          "occurred_ns": "2020-06-05T01:00:00.000000000Z"})


if __name__ == "__main__":
    unittest.main()
