"""Batches that lie: sizes, counts, codecs, sequences; compressed bombs."""

import os
import struct
import unittest

import broker
import hostile
import wire

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def zstd_bomb(raw_size):
    """A Zstandard frame of RLE blocks: 4 bytes for each 128 KiB of zeros."""
    blocks, left = b"", raw_size
    while left > 0:
        size = min(left, 128 << 10)
        left -= size
        blocks += struct.pack("<I", int(left == 0) | 1 << 1 | size << 3)[:3] + b"\0"
    # single segment, 8-byte content size
    return ZSTD_MAGIC + bytes([0xE0]) + struct.pack("<Q", raw_size) + blocks


def lz4_bomb(raw_size):
    """An LZ4 block: one literal, one overlapping match that covers the rest but the last literals."""
    match = raw_size - 1 - 8
    lengths, left = b"", match - 4 - 15
    while left >= 255:
        lengths += b"\xff"
        left -= 255
    return b"\x1f\0\x01\0" + lengths + bytes([left]) + b"\x80" + b"\0" * 8


class BatchesTest(hostile.BrokerTest):
    def setUp(self):
        self.client = wire.Client(self.broker.url)
        self.producer = self.client.open_producer()

    def tearDown(self):
        self.client.close()
        super().tearDown()

    def refused(self, encoded):
        """The status of a batch's refusal, which leaves the connection usable."""
        with self.assertRaises(wire.Refused) as caught:
            self.client.answer(self.producer.send(encoded))
        self.assertGreater(len(caught.exception.message), 5)
        self.client.ping()
        return caught.exception

    def header(self, count=1, topic="batch.topic", **options):
        return wire.batch_header(topic, self.producer.id, self.producer.epoch, 0, count, **options)

    def test_bombs_are_refused_before_they_cost_memory(self):
        before = self.broker.anonymous_bytes()
        huge = 8 << 20
        for codec, stored in ((wire.CODEC_ZSTD, zstd_bomb(huge)), (wire.CODEC_LZ4, lz4_bomb(huge))):
            for claimed in (huge, 64 << 10, 100, 0, 0xFFFFFFFF):
                with self.subTest(codec=codec, claimed=claimed):
                    error = self.refused(wire.batch_raw(self.header(), stored, claimed, codec))
                    # The LZ4 one of 8 MiB is within the ratio allowed, and so is found out by its records.
                    self.assertIn(error.status, (wire.BAD_CODEC, wire.BAD_BATCH, wire.BATCH_TOO_LARGE, wire.BAD_RECORD))
        self.assertLess(self.broker.anonymous_bytes() - before, (48 << 20) * (4 if broker.SANITIZED else 1))

    def test_many_bombs_at_once_stay_within_memory(self):
        clients = [wire.Client(self.broker.url) for _ in range(16)]
        bomb = wire.batch_raw(self.header(), zstd_bomb(1 << 20), 1 << 20, wire.CODEC_ZSTD)
        requests = [(client, client.request_id()) for client in clients for _ in range(8)]
        for client, request_id in requests:
            client.send(wire.frame(wire.PUBLISH, request_id, b"", bomb))
        for client, request_id in requests:
            with self.assertRaises(wire.Refused):
                client.answer(request_id)
        for client in clients:
            client.close()
        self.assertLess(self.broker.anonymous_bytes(), hostile.MEMORY_MAX)

    def test_sizes_that_contradict_are_refused(self):
        good = wire.payload_of([wire.record(b"x")])
        for encoded in (wire.batch_raw(self.header(), good, stored_size=len(good) + 1),
                        wire.batch_raw(self.header(), good, stored_size=0xFFFFFFFF),
                        wire.batch_raw(self.header(), good, raw_size=len(good) - 1),
                        wire.batch_raw(self.header(), good) + b"\0",
                        wire.batch_raw(self.header(), good)[:-1],
                        wire.batch_raw(self.header(), good)[:40],
                        b"",
                        b"\0" * 64):
            with self.subTest(size=len(encoded)):
                self.assertIn(self.refused(encoded).status, (wire.BAD_BATCH, wire.BATCH_TOO_LARGE, wire.PROTOCOL))

    def test_counts_that_lie_are_refused(self):
        records = [wire.record(b"a"), wire.record(b"b")]
        for count in (1, 3, 65536, 0xFFFFFFFF):
            with self.subTest(count=count):
                error = self.refused(wire.batch_raw(self.header(count=count), wire.payload_of(records)))
                self.assertIn(error.status, (wire.BAD_BATCH, wire.BATCH_TOO_LARGE))

    def test_batch_without_records_is_refused(self):
        self.assertEqual(self.refused(wire.batch_raw(self.header(count=0), b"")).status, wire.BAD_BATCH)

    def test_bad_records_are_refused_by_number(self):
        good = wire.record(b"good")
        for bad in (b"\xff\xff", b"\x0a\x7fshort", wire.field_bytes(3, b"\xc3\x28"), good + good, wire.field_bytes(3, "k" * 300)):
            with self.subTest(bad=bad[:10]):
                error = self.refused(wire.batch_raw(self.header(count=2), wire.payload_of([good, bad])))
                self.assertEqual(error.status, wire.BAD_RECORD)
                self.assertIn("1", error.message)

    def test_record_above_the_limit_is_refused(self):
        encoded = wire.batch_raw(self.header(), wire.payload_of([wire.record(os.urandom((1 << 20) + 1))]))
        self.assertEqual(self.refused(encoded).status, wire.RECORD_TOO_LARGE)

    def test_bad_topics_are_refused(self):
        for topic in ("a..b", "", "a.*", "a b", "x" * 256, "đ.ơ", ".".join("a" * 33)):
            with self.subTest(topic=topic):
                encoded = wire.batch_raw(self.header(topic=topic), wire.payload_of([wire.record(b"x")]))
                self.assertEqual(self.refused(encoded).status, wire.BAD_TOPIC)

    def test_reserved_fields_are_refused_as_unsupported(self):
        for extra in (wire.field_bytes(4, "H26"), wire.field_bytes(12, b"k"), wire.field_bytes(14, b"d")):
            with self.subTest(extra=extra):
                encoded = wire.batch_raw(self.header() + extra, wire.payload_of([wire.record(b"x")]))
                self.assertEqual(self.refused(encoded).status, 6)

    def test_unknown_producer_is_refused(self):
        encoded = wire.batch("batch.topic", 999999, 1, 0, [wire.record(b"x")])
        self.assertIn(self.refused(encoded).status, (wire.UNKNOWN_PRODUCER, wire.FENCED))

    def test_sequence_gap_is_refused_and_says_what_was_due(self):
        self.producer.publish("batch.gap", [wire.record(b"0"), wire.record(b"1")])
        error = self.refused(wire.batch("batch.gap", self.producer.id, self.producer.epoch, 5, [wire.record(b"x")]))
        self.assertEqual((error.status, error.actual), (wire.OUT_OF_SEQUENCE, 2))

    def test_duplicate_is_answered_with_its_first_place(self):
        encoded = self.producer.batch("batch.twice", [wire.record(b"once")])
        first, again = (wire.decode(self.client.answer(self.producer.send(encoded)).header) for _ in range(2))
        self.assertEqual([wire.first(first, n) for n in (1, 2)], [wire.first(again, n) for n in (1, 2)])
        self.assertEqual(wire.first(again, 4), 1)
        self.assertEqual(self.client.topics("batch.twice"), {"batch.twice": 1})

    def test_older_epoch_is_fenced(self):
        with wire.Client(self.broker.url) as other:
            first = self.client.open_producer("fence")
            first.publish("batch.fence", [wire.record(b"1")])
            second = other.open_producer("fence")
            self.assertGreater(second.epoch, first.epoch)
            self.assertEqual(second.sequences, {"batch.fence": 1})
            with self.assertRaises(wire.Refused) as caught:
                first.publish("batch.fence", [wire.record(b"2")])
            self.assertEqual(caught.exception.status, wire.FENCED)
            second.publish("batch.fence", [wire.record(b"2")])


if __name__ == "__main__":
    unittest.main()
