"""Conditional batches, and several batches in one PUBLISH, from a raw client: refusals, retries, kills."""

import os
import random
import subprocess
import unittest

import broker
import wire

TOPICS = ["sum.a", "sum.b", "sum.c"]


def places(answer):
    """[(position, base offset)] of a PUBLISH_OK of several batches."""
    fields = wire.decode(answer.header)
    others = [wire.decode(encoded) for encoded in fields.get(7, [])]
    return [(wire.first(one, 1), wire.first(one, 2)) for one in [fields] + others]


class ConditionalTest(unittest.TestCase):
    def test_conflict_names_the_actual_offset(self):
        with broker.Broker() as one, wire.Client(one.url) as client:
            producer = client.open_producer("conditional")
            self.assertEqual(wire.first(producer.publish("case.1", [wire.record(b"opened")], expected_offset=0), 2), 0)
            with self.assertRaises(wire.Refused) as caught:
                producer.publish("case.1", [wire.record(b"opened twice")], expected_offset=0)
            self.assertEqual((caught.exception.status, caught.exception.actual), (wire.CONFLICT, 1))
            self.assertIn("next offset is 1, the batch expected 0", caught.exception.message)
            answer = producer.publish("case.1", [wire.record(b"decided")], expected_offset=caught.exception.actual)
            self.assertEqual(wire.first(answer, 2), 1)
            one.restart()
            with wire.Client(one.url) as again:
                producer.resume(again)
                with self.assertRaises(wire.Refused) as caught:
                    producer.publish("case.1", [wire.record(b"decided twice")], expected_offset=1)
                self.assertEqual((caught.exception.status, caught.exception.actual), (wire.CONFLICT, 2))
                self.assertEqual([list(wire.records_of(entry))[0][8] for entry in again.read_all("case.1")],
                                 [[b"opened"], [b"decided"]])

    def test_two_who_expect_the_same_offset_do_not_both_get_it(self):
        with broker.Broker() as one, wire.Client(one.url) as first, wire.Client(one.url) as second:
            producers = [first.open_producer("first"), second.open_producer("second")]
            won = [0, 0]
            for offset in range(50):
                requests = [one.send(one.batch("race", [wire.record(b"x")], expected_offset=offset)) for one in producers]
                for number, (producer, request_id) in enumerate(zip(producers, requests)):
                    try:
                        producer.client.answer(request_id)
                        won[number] += 1
                    except wire.Refused as refused:
                        self.assertEqual((refused.status, refused.actual), (wire.CONFLICT, offset + 1))
                        producer.sequences["race"] -= 1
            self.assertEqual(sum(won), 50)
            self.assertEqual(first.topics("race"), {"race": 50})


class TogetherTest(unittest.TestCase):
    def setUp(self):
        self.broker = broker.Broker()
        self.broker.__enter__()
        self.addCleanup(self.broker.__exit__, None)
        self.client = wire.Client(self.broker.url)
        self.addCleanup(self.client.close)
        self.producer = self.client.open_producer("together")

    def batches(self, number=0, topics=tuple(TOPICS), **options):
        return [wire.batch(topic, self.producer.id, self.producer.epoch, number, [wire.record(b"%d" % number)], **options)
                for topic in topics]

    def refused(self, batches, sizes=None):
        with self.assertRaises(wire.Refused) as caught:
            self.client.answer(self.producer.send_together(batches, sizes))
        self.assertEqual(self.client.topics("sum.*"), {})  # nothing of it was stored
        return caught.exception

    def test_batches_together_are_stored_and_told_in_order(self):
        for number in range(3):
            answer = self.client.answer(self.producer.send_together(self.batches(number)))
            self.assertEqual(places(answer), [(3 * number + i, number) for i in range(3)])
        self.assertEqual([entry.topic for entry in self.client.read_all("sum.*")], 3 * TOPICS)

    def test_wrong_sizes_are_refused(self):
        batches = self.batches()
        sizes = [len(one) for one in batches]
        for wrong in (sizes[:2], sizes + [1], [sizes[0] - 1, sizes[1] + 1, sizes[2]], [0, sizes[0] + sizes[1], sizes[2]],
                      [2**32 - 1, sum(sizes) + 1]):
            with self.subTest(wrong=wrong):
                self.assertEqual(self.refused(batches, wrong).status, wire.BAD_BATCH)
        self.assertEqual(self.refused(batches, [sum(sizes)]).status, wire.INVALID_ARGUMENT)
        self.assertEqual(self.refused(batches, [1] * 65).status, wire.INVALID_ARGUMENT)
        self.assertEqual(self.refused(batches, [0] * 50000).status, wire.INVALID_ARGUMENT)

    def test_one_refused_refuses_all_and_is_named(self):
        broken = self.batches()
        broken[1] = wire.batch_raw(wire.batch_header("sum.b", self.producer.id, self.producer.epoch, 0, 1), b"\x02\xff\xff")
        error = self.refused(broken)
        self.assertEqual(error.status, wire.BAD_RECORD)
        self.assertIn("batch 2: record 0", error.message)
        self.assertEqual(self.refused(self.batches(topics=("sum.a", "sum.b", "sum.a"))).status, wire.BAD_BATCH)
        self.assertEqual(self.refused(self.batches(1)).status, wire.OUT_OF_SEQUENCE)
        self.assertEqual(self.refused(self.batches()[:2] + self.batches(expected_offset=1)[2:]).status, wire.CONFLICT)
        other = self.client.open_producer("other")
        mixed = self.batches()[:2] + [wire.batch("sum.c", other.id, other.epoch, 0, [wire.record(b"x")])]
        self.assertEqual(self.refused(mixed).status, wire.BAD_BATCH)
        self.client.answer(self.producer.send_together(self.batches()))  # the connection is none the worse

    def test_retry_after_a_reconnect_is_a_duplicate_of_all(self):
        batches = self.batches()
        first = places(self.client.answer(self.producer.send_together(batches)))
        self.broker.restart()
        with wire.Client(self.broker.url) as again:
            self.producer.resume(again)
            answer = again.answer(self.producer.send_together(batches))
            self.assertEqual(places(answer), first)
            self.assertEqual(wire.first(wire.decode(answer.header), 4), 1)
            # Part of it with something new was never sent together.
            with self.assertRaises(wire.Refused) as caught:
                again.answer(self.producer.send_together([batches[0], self.batches(1)[1]]))
            self.assertEqual(caught.exception.status, wire.BAD_BATCH)
            self.assertEqual(again.topics("sum.*"), dict.fromkeys(TOPICS, 1))

    def test_kills_leave_all_or_none(self):
        """Publishes under way when the broker is killed, sent again by the same instance: each is there once, as a whole."""
        seed = int.from_bytes(os.urandom(4), "little")
        print("seed %d" % seed)
        chance = random.Random(seed)
        number = 0
        for _ in range(8):
            window = [self.batches(number + i) for i in range(16)]
            requests = [self.producer.send_together(batches) for batches in window]
            answered = chance.randrange(17)
            for request_id in requests[:answered]:
                self.client.answer(request_id)
            self.broker.restart()
            self.client.close()
            self.client = wire.Client(self.broker.url)
            self.addCleanup(self.client.close)
            stored = self.client.topics("sum.*")
            self.assertEqual(len(set(stored.get(topic, 0) for topic in TOPICS)), 1, stored)
            self.assertGreaterEqual(stored.get("sum.a", 0), number + answered)
            self.producer.resume(self.client)
            for batches in window:
                self.client.answer(self.producer.send_together(batches))
            number += len(window)
            self.assertEqual(self.client.topics("sum.*"), dict.fromkeys(TOPICS, number))
        entries = self.client.read_all("sum.*")
        self.assertEqual([entry.topic for entry in entries], number * TOPICS)
        self.assertEqual([entry.position for entry in entries], list(range(3 * number)))

    def test_log_with_delayed_and_conditional_batches_verifies(self):
        delayed = self.batches(deliver_at_ns=2 * 10**18, expected_offset=0)
        self.client.answer(self.producer.send_together(delayed))
        self.assertEqual([entry.batch for entry in self.client.read_all("sum.*")], delayed)
        self.assertEqual(self.broker.stop(), 0)
        done = subprocess.run([os.path.join(broker.BIN, "truc"), "log", "verify", self.broker.directory],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
