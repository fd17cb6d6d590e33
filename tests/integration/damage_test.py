"""Damage at rest: a flipped bit, a segment cut short or gone, derived data missing, stale or rubbish."""

import glob
import os
import random
import shutil
import unittest

import broker
import wire

CONFIG = "segment_bytes: 8388608\n"


class DamageTest(unittest.TestCase):
    def setUp(self):
        self.broker = broker.Broker(config=CONFIG)
        self.broker.__enter__()

    def tearDown(self):
        self.broker.__exit__(None, None, None)

    def publish(self, count, size=200, name="damage", topics=3):
        with wire.Client(self.broker.url) as client:
            producer = client.open_producer(name)
            for number in range(count):
                records = [wire.record(b"%06d" % number + os.urandom(size)) for _ in range(2)]
                producer.publish("damage.t%d" % (number % topics), records)

    def everything(self, pattern="damage.>", **options):
        with wire.Client(self.broker.url) as client:
            return client.read_all(pattern, **options)

    def segments(self):
        return sorted(glob.glob(os.path.join(self.broker.directory, "segments", "0*.mdb")))

    def flip(self, entry):
        """Flips a bit of a stored entry's batch, also in stale copies that LMDB may have left in the file."""
        found = 0
        for path in self.segments():
            with open(path, "r+b") as file:
                data = file.read()
                at = data.find(entry.encoded)
                while at >= 0:
                    found += 1
                    bad = at + len(entry.encoded) - 40
                    file.seek(bad)
                    file.write(bytes([data[bad] ^ 0x10]))
                    at = data.find(entry.encoded, at + 1)
        self.assertGreater(found, 0, "the entry is in no segment")

    def test_flipped_bit_is_named_and_everything_else_is_served(self):
        self.publish(60)
        whole = self.everything()
        victim = whole[20]
        self.flip(victim)
        with wire.Client(self.broker.url) as client:
            with self.assertRaises(wire.Refused) as caught:
                client.read_all(victim.topic)
            self.assertEqual(caught.exception.status, wire.DAMAGED)
            self.assertIn(str(victim.position), caught.exception.message)
            before = [e for e in whole if e.topic == victim.topic and e.position < victim.position]
            self.assertEqual(caught.exception.entries, before)
            beyond = client.read_all(victim.topic, from_position=victim.position + 1)
            self.assertEqual(beyond, [e for e in whole if e.topic == victim.topic and e.position > victim.position])
            for topic in sorted({e.topic for e in whole} - {victim.topic}):
                self.assertEqual(client.read_all(topic), [e for e in whole if e.topic == topic])
        self.publish(3, name="other")
        self.broker.restart()
        self.publish(3, name="other")
        self.assertEqual(len(self.everything("damage.>", from_position=victim.position + 1)), len(whole) - victim.position - 1 + 6)

    def test_derived_data_missing_is_made_again(self):
        self.publish(100)
        whole, topics = self.everything(), self.all_topics()
        self.broker.stop()
        os.unlink(os.path.join(self.broker.directory, "derived.mdb"))
        self.broker.restart()
        self.assertEqual((self.everything(), self.all_topics()), (whole, topics))
        self.assert_producer_goes_on(100)

    def all_topics(self):
        with wire.Client(self.broker.url) as client:
            return client.topics()

    def assert_producer_goes_on(self, count):
        """Sequences are known: 100 publications over 3 topics, 2 records each."""
        with wire.Client(self.broker.url) as client:
            producer = client.open_producer("damage")
            self.assertEqual(sum(producer.sequences.values()), count * 2)
            producer.publish("damage.t0", [wire.record(b"on")])

    def test_derived_data_stale_is_brought_up(self):
        self.publish(50)
        self.broker.stop()
        old = os.path.join(self.broker.base, "old.mdb")
        shutil.copy(os.path.join(self.broker.directory, "derived.mdb"), old)
        self.broker.restart()
        self.publish(50)
        whole, topics = self.everything(), self.all_topics()
        self.broker.stop()
        shutil.copy(old, os.path.join(self.broker.directory, "derived.mdb"))
        self.broker.restart()
        self.assertEqual((self.everything(), self.all_topics()), (whole, topics))
        self.assert_producer_goes_on(100)

    def test_derived_data_of_rubbish_is_made_again(self):
        self.publish(50)
        whole = self.everything()
        path = os.path.join(self.broker.directory, "derived.mdb")
        chance = random.Random(9)
        size = os.path.getsize(path)
        for rubbish in (chance.randbytes(size), b"", chance.randbytes(100)):
            self.broker.stop()
            with open(path, "wb") as file:
                file.write(rubbish)
            self.broker.restart()
            self.assertEqual(self.everything(), whole)

    def test_derived_data_with_flipped_bits_is_never_believed(self):
        self.publish(50)
        whole, topics = self.everything(), self.all_topics()
        self.broker.stop()
        path = os.path.join(self.broker.directory, "derived.mdb")
        with open(path, "rb") as file:
            good = file.read()
        chance = random.Random(10)
        for _ in range(6):
            bad = bytearray(good)
            for at in range(2 * 4096, len(bad), 4096):  # a bit of every page but the two meta pages
                bad[at + chance.randrange(20, 4096)] ^= 1 << chance.randrange(8)
            with open(path, "wb") as file:
                file.write(bad)
            self.broker.restart()
            self.assertEqual((self.everything(), self.all_topics()), (whole, topics))
            self.broker.stop()

    def test_older_segment_cut_short_is_named_and_the_rest_is_served(self):
        self.publish(250, size=60000)  # some 30 MB: four segments
        whole = self.everything()
        paths = self.segments()
        self.assertGreaterEqual(len(paths), 4)
        for path in paths[:2]:
            self.broker.stop()
            with open(path, "rb") as file:
                good = file.read()
            os.truncate(path, len(good) // 2)
            self.broker.restart()
            with wire.Client(self.broker.url) as client:
                with self.assertRaises(wire.Refused) as caught:
                    client.read_all("damage.>")
                self.assertEqual(caught.exception.status, wire.DAMAGED)
                self.assertIn(os.path.basename(path), caught.exception.message + self.broker.log())
                newest = whole[-1]
                self.assertEqual(client.read_all("damage.>", from_position=newest.position), [newest])
            self.publish(3, name="other")
            whole += self.everything(from_position=len(whole))
            self.broker.stop()
            with open(path, "wb") as file:  # as from a backup
                file.write(good)
            self.broker.restart()
            self.assertEqual(self.everything(), whole)

    def test_newest_segment_cut_short_stops_the_start_and_says_why(self):
        self.publish(60, size=30000)
        self.broker.stop()
        path = self.segments()[-1]
        os.truncate(path, 64 << 10)
        with self.assertRaises(broker.BrokerFailed) as caught:
            self.broker.restart()
        self.assertEqual(self.broker.process.returncode, wire.DAMAGED)
        self.assertIn(os.path.basename(path), str(caught.exception))


if __name__ == "__main__":
    unittest.main()
