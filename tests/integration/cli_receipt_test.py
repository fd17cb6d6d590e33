"""truc receipt, pub --wait-for, answer, recall, thread: what became of a record, and what is said of it."""

import subprocess
import unittest

import broker
import cli

NOT_ALLOWED, NOT_ACKNOWLEDGED = 43, 52


class ReceiptTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = broker.Broker().__enter__()
        cls.addClassCleanup(cls.broker.__exit__, None, None, None)

    @property
    def url(self):
        return self.broker.url

    def publish(self, topic, count, *arguments):
        lines = b"".join(b'{"n":%d}\n' % number for number in range(count))
        done = cli.run(self.url, "pub", topic, "--lines", *arguments, data=lines)
        self.assertEqual(done.returncode, 0, done.stderr)

    def create(self, name, pattern, *arguments):
        done = cli.run(self.url, "subscription", "create", name, pattern, "--from", "start", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)

    def work(self, name, *arguments):
        return cli.lines(cli.run(self.url, "work", name, "--json", *arguments))

    def receipt(self, topic, offset):
        answer, = cli.lines(cli.run(self.url, "receipt", topic, str(offset), "--json"))
        return answer, {row["name"]: row for row in answer["subscriptions"]}

    def state(self, topic, offset, name):
        return self.receipt(topic, offset)[1][name]["state"]

    def test_receipt_tells_of_every_subscription(self):
        self.publish("told.a", 4)
        self.create("told-shared", "told.>", "--attempts", "2")
        self.create("told-ordered", "told.>", "--mode", "ordered")
        self.create("told-other", "told.>", "--key", "nobody")
        answer, rows = self.receipt("told.a", 0)
        self.assertEqual((answer["topic"], answer["offset"]), ("told.a", 0))
        self.assertEqual(sorted(rows), ["told-ordered", "told-shared"])
        self.work("told-shared", "--limit", "1")
        self.work("told-shared", "--limit", "1", "--reject")
        self.work("told-ordered", "--limit", "4")  # its place moves by whole entries
        self.assertEqual(self.state("told.a", 0, "told-shared"), "acknowledged")
        self.assertEqual(self.state("told.a", 0, "told-ordered"), "acknowledged")
        dead = self.receipt("told.a", 1)[1]["told-shared"]
        self.assertEqual((dead["state"], dead["reason"]), ("dead", "rejected"))
        self.assertIn(self.state("told.a", 2, "told-shared"), ("ready", "ahead"))
        self.assertEqual(cli.run(self.url, "receipt", "told.a", "4").returncode, cli.OUT_OF_RANGE)
        self.assertEqual(cli.run(self.url, "receipt", "told.nothing", "0").returncode, cli.NOT_FOUND)
        self.broker.restart()
        self.assertEqual(self.state("told.a", 0, "told-shared"), "acknowledged")

    def test_publisher_waits_for_a_subscription(self):
        self.create("waited", "waited.>")
        worker = cli.start(self.url, "work", "waited", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            done = cli.run(self.url, "pub", "waited.a", "--lines", "--wait-for", "waited", "--wait-for", "local/waited",
                           data=b"1\n2\n")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(b"acknowledged: 2 records", done.stderr)
        finally:
            worker.terminate()
            worker.wait()
        done = cli.run(self.url, "pub", "waited.a", "--wait-for", "waited", "--wait-timeout", "300ms", data=b"3")
        self.assertEqual(done.returncode, NOT_ACKNOWLEDGED, done.stderr)
        self.assertIn(b"local/waited has not acknowledged the record", done.stderr)
        self.assertIn(b"published to waited.a offset 2", done.stdout)
        done = cli.run(self.url, "pub", "waited.a", "--wait-for", "nobody", data=b"4")
        self.assertEqual(done.returncode, cli.NOT_FOUND, done.stderr)

    def test_waiting_ends_when_it_is_acknowledged_or_dead(self):
        self.create("later", "later.>")
        self.publish("later.a", 2)
        waiting = cli.start(self.url, "receipt", "later.a", "0", "--wait-for", "later", "--wait-timeout", "50s",
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.work("later", "--limit", "1")
        self.assertEqual(waiting.wait(timeout=cli.TIMEOUT_S), 0)
        waiting = cli.start(self.url, "receipt", "later.a", "1", "--wait-for", "later", "--wait-timeout", "50s",
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.work("later", "--limit", "1", "--reject")
        self.assertEqual(waiting.wait(timeout=cli.TIMEOUT_S), NOT_ACKNOWLEDGED)

    def test_answers_and_recall_make_a_thread(self):
        self.publish("doc.a", 2, "--key", "k")
        for arguments in (["answer", "doc.a", "0", "received"], ["recall", "doc.a", "0", "--reason", "wrong page"],
                          ["--source", "H26.17/desk", "answer", "doc.a", "0", "recall-refused", "--reason", "too late"],
                          ["answer", "doc.a", "1", "done"]):
            done = cli.run(self.url, *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
        items = cli.lines(cli.run(self.url, "thread", "doc.a", "0", "--json"))
        self.assertEqual([(item["kind"], item.get("status"), item.get("reason", "")) for item in items],
                         [("record", None, ""), ("answer", "received", ""), ("recall", None, "wrong page"),
                          ("answer", "recall-refused", "too late")])
        self.assertEqual(items[-1]["source"], "H26.17/desk")
        self.assertEqual(items[-1]["topic"], "answer.local")
        done = cli.run(self.url, "--source", "H26.17/desk", "recall", "doc.a", "0")
        self.assertEqual(done.returncode, NOT_ALLOWED, done.stderr)
        self.assertEqual(cli.run(self.url, "thread", "doc.a", "9").returncode, cli.OUT_OF_RANGE)

    def test_recalled_record_arrives_marked(self):
        self.publish("marked.a", 3, "--key", "k")
        self.assertEqual(cli.run(self.url, "recall", "marked.a", "1").returncode, 0)
        for mode in ("shared", "ordered"):
            self.create("marked-" + mode, "marked.>", "--mode", mode)
            given = self.work("marked-" + mode, "--limit", "4")
            self.assertEqual([record.get("recalled", False) for record in given], [False, True, False, False])
            self.assertEqual(given[3]["type"], "truc.recall.v1")
            self.assertEqual(given[1]["recall_position"], given[3]["position"])

    def test_ordered_passes_over_what_has_expired(self):
        self.publish("late.a", 2)
        self.publish("late.a", 2, "--expires", "2020-01-01T00:00:00Z")
        self.publish("late.a", 1)
        self.create("late", "late.>", "--mode", "ordered")
        self.assertEqual([record["offset"] for record in self.work("late", "--limit", "3")], [0, 1, 4])
        info, = cli.lines(cli.run(self.url, "subscription", "info", "late", "--json"))
        self.assertEqual(info["lag_positions"], 0)


if __name__ == "__main__":
    unittest.main()
