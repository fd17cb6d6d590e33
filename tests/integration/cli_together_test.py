"""truc pub --together, --expect-offset, --deliver-at: all or none, on a condition, for later; and who is subscribed."""

import json
import os
import random
import subprocess
import tempfile
import threading
import unittest

import broker
import cli

BATCH_TOO_LARGE, EVIDENCE_MISMATCH, CONFLICT = 17, 32, 35


class TogetherTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = broker.Broker().__enter__()
        cls.addClassCleanup(cls.broker.__exit__, None, None, None)
        cls.files = tempfile.TemporaryDirectory(prefix="truc-together-")
        cls.addClassCleanup(cls.files.cleanup)

    @property
    def url(self):
        return self.broker.url

    def file(self, name, content):
        path = os.path.join(self.files.name, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def replay(self, pattern):
        return cli.lines(cli.run(self.url, "replay", pattern, "--json"))

    def records(self, topic):
        info = [t for t in cli.lines(cli.run(self.url, "topic", "ls", "--json")) if t["topic"] == topic]
        return info[0]["next_offset"] if info else 0

    # --- together

    def test_several_topics_in_one_publish(self):
        fee, status = self.file("fee", b'{"fee":5}'), self.file("status", b'{"status":4}')
        done = cli.run(self.url, "pub", "--together", "both.status", status, "both.fee", fee, "--key", "D-1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, rb"^published to both\.status offset 0 position (\d+) index 0\n"
                                      rb"published to both\.fee offset 0 position (\d+) index 0\n$")
        self.assertIn(b"created topic both.status\n", done.stderr)
        self.assertIn(b"created topic both.fee\n", done.stderr)
        first, second = self.replay("both.>")
        self.assertEqual((first["data"], second["data"]), ({"status": 4}, {"fee": 5}))
        self.assertEqual((first["key"], second["key"]), ("D-1", "D-1"))
        self.assertEqual(second["position"], first["position"] + 1)

    def test_lines_and_standard_input_in_one_publish(self):
        lines = self.file("lines", b"a\nb\nc\n")
        done = cli.run(self.url, "pub", "--together", "--lines", "mixed.a", lines, "mixed.b", "-", "mixed.a", lines, "--json",
                       "--codec", "zstd", data=b"x\ny\n")
        answers = cli.lines(done)
        self.assertEqual([(a["topic"], a["offset"]) for a in answers],
                         [("mixed.a", 0), ("mixed.a", 1), ("mixed.a", 2), ("mixed.b", 0), ("mixed.b", 1),
                          ("mixed.a", 3), ("mixed.a", 4), ("mixed.a", 5)])
        self.assertTrue(all(a["status"] == "OK" and a["subscriptions"] == 0 for a in answers))
        self.assertEqual([r["offset"] for r in self.replay("mixed.a")], list(range(6)))
        said = cli.run(self.url, "pub", "--together", "--lines", "mixed.a", lines)
        self.assertRegex(said.stdout, rb"^published 3 records to mixed\.a, offsets 6 to 8 position \d+\n$")

    def test_one_refused_topic_keeps_all_out(self):
        record = self.file("record", b"1")
        self.assertEqual(cli.run(self.url, "pub", "all.or", "--evidence", "batch", data=b"0").returncode, 0)
        done = cli.run(self.url, "pub", "--together", "--evidence", "record", "all.none", record, "all.or", record)
        self.assertEqual(done.returncode, EVIDENCE_MISMATCH, done.stderr)
        self.assertIn(b"nothing is published", done.stderr)
        self.assertEqual((self.records("all.none"), self.records("all.or")), (0, 1))

    def test_limits_are_told_before_anything_is_sent(self):
        record = self.file("small", b"1")
        pairs = [word for i in range(65) for word in ("many.t%d" % i, record)]
        self.assertEqual(cli.run(self.url, "pub", "--together", *pairs).returncode, cli.USAGE)
        done = cli.run(self.url, "pub", "--together", *pairs[:128])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(self.replay("many.*")), 64)
        large = self.file("large", b"z" * 900000)
        done = cli.run(self.url, "pub", "--together", *[word for i in range(12) for word in ("large.t", large)])
        self.assertEqual(done.returncode, BATCH_TOO_LARGE, done.stderr)
        self.assertEqual(self.records("large.t"), 0)

    def test_wrong_command_lines_are_named(self):
        record = self.file("any", b"1")
        for arguments, word in (
                (("a.b", record, "c.d", record), b"need --together"),
                (("--together", "a.b", record, "c.d"), b"FILE behind each"),
                (("--together", "a.b", "-", "c.d", "-"), b"standard input"),
                (("--together", "a.b", record, "c.d", record, "--id", "x"), b"--id"),
                (("--together", "a.b", "--expect-offset", "0"), b"--expect-offset"),
                (("--together", "a.b", "--deliver-at", "+1h"), b"--deliver-at"),
                (("--lines", "a.b", "--expect-offset", "0"), b"--expect-offset"),
                (("a.b", "--deliver-at", "1960-01-01"), b"before 1970"),
                (("a.b", "--expect-offset", "-1"), b"--expect-offset")):
            done = cli.run(self.url, "pub", *arguments)
            self.assertEqual(done.returncode, cli.USAGE, arguments)
            self.assertIn(word, done.stderr)

    # --- on a condition, for later

    def test_expected_offset_is_held_to(self):
        self.assertEqual(cli.run(self.url, "pub", "cond.t", "--expect-offset", "0", data=b"0").returncode, 0)
        late = cli.run(self.url, "pub", "cond.t", "--expect-offset", "0", data=b"late")
        self.assertEqual(late.returncode, CONFLICT)
        self.assertIn(b"the next offset of cond.t is 1, not 0", late.stderr)
        self.assertEqual(late.stdout, b"")
        early = cli.run(self.url, "pub", "cond.t", "--expect-offset", "7", "--json", data=b"early")
        self.assertEqual(early.returncode, CONFLICT)
        answer = json.loads(early.stdout)
        self.assertEqual((answer["status"], answer["next_offset"]), ("CONFLICT", 1))
        self.assertNotIn("offset", answer)
        self.assertEqual(cli.run(self.url, "pub", "cond.t", "--expect-offset", "1", data=b"1").returncode, 0)
        new = cli.run(self.url, "pub", "cond.new", "--expect-offset", "1", data=b"1")
        self.assertEqual(new.returncode, CONFLICT)
        self.assertEqual((self.records("cond.t"), self.records("cond.new")), (2, 0))

    def test_of_many_that_expect_one_offset_one_is_stored(self):
        processes = [cli.start(self.url, "pub", "race.t", "--expect-offset", "0", stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(8)]
        codes = sorted(process.wait() for process in processes)
        self.assertEqual(codes, [0] + 7 * [CONFLICT])
        self.assertEqual(self.records("race.t"), 1)

    def test_times_are_kept_and_the_log_has_the_record_at_once(self):
        done = cli.run(self.url, "pub", "later.t", "--deliver-at", "+1h", "--expires", "+2h", data=b"later")
        self.assertEqual(done.returncode, 0, done.stderr)
        past = cli.run(self.url, "pub", "later.t", "--deliver-at", "-1h", "--expires", "2020-06-05 08:00", data=b"past")
        self.assertEqual(past.returncode, 0, past.stderr)
        self.assertIn(b"--expires 2020-06-05 08:00, read in Asia/Ho_Chi_Minh, is 2020-06-05T01:00:00", past.stderr)
        self.assertEqual(len(self.replay("later.t")), 2)

    # --- who is subscribed

    def test_nobody_subscribed_is_said_once_per_topic(self):
        warning = b"no subscription matches zero.t;"
        done = cli.run(self.url, "pub", "zero.t", "--lines", data=b"1\n2\n" * 1000)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count(warning), 1)
        self.assertNotIn(warning, cli.run(self.url, "pub", "zero.t", "--quiet", data=b"3").stderr)
        for name, pattern in (("zero-all", "zero.>"), ("zero-t", "zero.t")):
            created = cli.run(self.url, "subscription", "create", name, pattern)
            self.assertEqual(created.returncode, 0, created.stderr)
        self.assertNotIn(warning, cli.run(self.url, "pub", "zero.t", data=b"4").stderr)
        answer, = cli.lines(cli.run(self.url, "pub", "zero.t", "--json", data=b"5"))
        self.assertEqual(answer["subscriptions"], 2)
        record = self.file("zero", b"6")
        both = cli.run(self.url, "pub", "--together", "zero.t", record, "zero.u", record, "nobody.t", record, "--json")
        self.assertEqual([a["subscriptions"] for a in cli.lines(both)], [2, 1, 0])
        self.assertNotIn(warning, both.stderr)
        self.assertIn(b"no subscription matches nobody.t;", both.stderr)


class KilledTest(unittest.TestCase):
    """The broker is killed at any moment: what was published together is there together, once, or not at all."""

    def test_kills_part_nothing(self):
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        print("seed %d" % seed)
        with broker.Broker() as server, tempfile.TemporaryDirectory(prefix="truc-together-") as base:
            stop = threading.Event()
            codes = {}

            def publish(name):
                number = 0
                while not stop.is_set():
                    mark = "%s-%d" % (name, number)
                    path = os.path.join(base, name)
                    with open(path, "w", encoding="ascii") as file:
                        file.write(json.dumps(mark))
                    arguments = [word for topic in range(4) for word in ("killed.t%d" % topic, path)]
                    done = cli.run(server.url, "pub", "--together", *arguments, "--producer", name, "--timeout", "20s", "--quiet",
                                   "--content-type", "application/json")
                    codes[mark] = done.returncode
                    number += 1

            threads = [threading.Thread(target=publish, args=("p%d" % i,)) for i in range(3)]
            for thread in threads:
                thread.start()
            try:
                for _ in range(12):
                    stop.wait(chance.uniform(0.05, 0.4))
                    server.restart()
                # A slow machine may have got little through between the kills.
                enough = broker.eventually(lambda: list(codes.values()).count(0) > 12, timeout=60)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            stored = [[r["data"] for r in cli.lines(cli.run(server.url, "replay", "killed.t%d" % topic, "--json"))]
                      for topic in range(4)]
            for topic in stored[1:]:
                self.assertEqual(sorted(topic), sorted(stored[0]))
            self.assertEqual(len(set(stored[0])), len(stored[0]))
            acknowledged = {mark for mark, code in codes.items() if code == 0}
            self.assertEqual(acknowledged - set(stored[0]), set())
            self.assertLessEqual(set(stored[0]), set(codes))
            self.assertTrue(enough)
            print("%d published together, %d acknowledged, %d stored" % (len(codes), len(acknowledged), len(stored[0])))


if __name__ == "__main__":
    unittest.main()
