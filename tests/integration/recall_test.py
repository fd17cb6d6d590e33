"""Recalls, seen from the wire: refused when they are wrong, told with what is delivered later, kept over kills and losses."""

import os
import subprocess
import unittest

import broker
import wire

SENDER, RECEIVER = "H26.16", "G22"
TYPE = "truc.recall.v1"


def recall(offset, **options):
    return wire.record(b"", kind=TYPE, relates_to=wire.relation(offset, "recall", **options))


def told(encoded):
    """(position, index, agency, recall position) of each Recalled."""
    fields = [wire.decode(one) for one in encoded]
    return [(wire.first(f, 1), wire.first(f, 2), wire.first(f, 3, b"").decode(), wire.first(f, 4)) for f in fields]


def work(client, name, records):
    """What a worker is told of with its first so many records."""
    request_id = client.subscribe(name, 1000)
    found, count = [], 0
    while count < records:
        got = client.answer(request_id)
        if got.kind != wire.DELIVER:
            raise ValueError("kind %d instead of DELIVER" % got.kind)
        fields = wire.decode(got.header)
        found += told(fields.get(5, []))
        count += sum(wire.first(wire.decode(entry), 1) for entry in fields.get(2, []))
    return found


def mirror(client, name, records):
    """The same of an ordered subscription."""
    request_id = client.subscribe(name, 1 << 20)
    found, count = [], 0
    while count < records:
        got = client.answer(request_id)
        if got.kind == wire.READ_OK:
            continue
        if got.kind != wire.READ_DATA:
            raise ValueError("kind %d instead of READ_DATA" % got.kind)
        found += told(wire.decode(got.header).get(4, []))
        count += sum(entry.count for entry in wire.entries_of(got.payload))
    return found


class RecallTest(unittest.TestCase):
    def scene(self, url):
        """Two entries of three records each; of (0, 1) and (1, 2) is told by the sender, of (1, 0) by somebody else."""
        with wire.Client(url, source=SENDER) as sender, wire.Client(url, source=RECEIVER) as other:
            producer, foreign = sender.open_producer(), other.open_producer()
            for _ in range(2):
                producer.publish("dossier.a", [wire.record(b"%d" % number) for number in range(3)], source=SENDER)
            log_id = wire.first(sender.hello, 5, b"")
            producer.publish("dossier.a", [wire.record(b"between"), recall(1), recall(5, topic="dossier.a", log_id=log_id)],
                             source=SENDER)
            foreign.publish("dossier.a", [recall(3)], source=RECEIVER)
        return [(0, 1, SENDER, 2), (1, 0, RECEIVER, 3), (1, 2, SENDER, 2)], 10

    def check(self, url, name, expected, records):
        with wire.Client(url, source=RECEIVER) as client:
            client.create_subscription(name + "-work", "dossier.>", wire.SHARED)
            client.create_subscription(name + "-mirror", "dossier.>", wire.ORDERED)
            self.assertEqual(work(client, name + "-work", records), expected)
            self.assertEqual(mirror(client, name + "-mirror", records), expected)

    def test_what_was_recalled_arrives_marked(self):
        with broker.Broker() as one:
            expected, records = self.scene(one.url)
            self.check(one.url, "late", expected, records)
            with wire.Client(one.url) as reader:  # a plain reader sees the recalls themselves
                request_id = reader.read("dossier.>")
                self.assertNotIn(4, wire.decode(reader.answer(request_id).header))

    def test_recall_after_delivery_comes_as_a_record(self):
        with broker.Broker() as one, wire.Client(one.url, source=SENDER) as sender:
            producer = sender.open_producer()
            producer.publish("dossier.a", [wire.record(b"1"), wire.record(b"2")], source=SENDER)
            sender.create_subscription("work", "dossier.>", wire.SHARED)
            request_id = sender.subscribe("work", 1000)
            got = sender.answer(request_id)
            self.assertNotIn(5, wire.decode(got.header))
            producer.publish("dossier.a", [recall(0)], source=SENDER)
            got = sender.answer(request_id)
            self.assertNotIn(5, wire.decode(got.header))
            self.assertEqual([entry.position for entry in wire.entries_of(got.payload)], [1])

    def test_recalls_survive_kills_and_the_loss_of_the_catalog(self):
        with broker.Broker() as one:
            expected, records = self.scene(one.url)
            one.restart()
            self.check(one.url, "killed", expected, records)
            self.assertEqual(one.stop(), 0)
            os.remove(os.path.join(one.directory, "derived.mdb"))
            one.restart()
            self.check(one.url, "lost", expected, records)
            self.assertEqual(one.stop(), 0)
            command = [os.path.join(broker.BIN, "truc"), "log", "verify", one.directory]
            done = subprocess.run(command, capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_wrong_recalls_are_refused(self):
        with broker.Broker(config="limits:\n  recalls_max: 2\n") as one, wire.Client(one.url, source=SENDER) as sender:
            producer = sender.open_producer()
            producer.publish("dossier.a", [wire.record(b"1")], source=SENDER)
            wrong = [
                (wire.record(b"", kind=TYPE), wire.BAD_RECORD, "record 1: relates_to: missing"),
                (recall(0, topic="dossier.b"), wire.BAD_RECORD, "record 1: relates_to.topic"),
                (recall(0, log_id=bytes(16)), wire.BAD_RECORD, "record 1: relates_to.log_id"),
                (wire.record(b"", kind=TYPE, relates_to=wire.relation(0, "answer")), wire.BAD_RECORD, "relates_to.relation"),
                (recall(1), wire.OUT_OF_RANGE, "offset 1"),
                (recall(1 << 63), wire.OUT_OF_RANGE, "offset %d" % (1 << 63)),
            ]
            for record, status, text in wrong:
                with self.assertRaises(wire.Refused) as refused:
                    producer.publish("dossier.a", [wire.record(b"good"), record], source=SENDER)
                self.assertEqual(refused.exception.status, status)
                self.assertIn(text, refused.exception.message)
            for count, status in ((257, wire.BAD_BATCH), (3, wire.TOO_MANY)):
                with self.assertRaises(wire.Refused) as refused:
                    producer.publish("dossier.a", [recall(0)] * count, source=SENDER)
                self.assertEqual(refused.exception.status, status)
            self.assertEqual(sender.topics(), {"dossier.a": 1})
            producer.publish("dossier.a", [recall(0), recall(0)], source=SENDER)
            self.assertEqual(sender.topics(), {"dossier.a": 3})


if __name__ == "__main__":
    unittest.main()
