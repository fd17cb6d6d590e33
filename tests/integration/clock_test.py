"""A wall clock that jumps: appends stay in order, the operator is told, and a clock that is far behind stops appends."""

import os
import struct
import unittest

import broker
import wire

HOUR_NS = 3600 * 10**9
PRELOAD = os.path.join(os.environ.get("TRUC_LIB", "build/release/lib"), "truc_clockshift.so")


class ClockTest(unittest.TestCase):
    def setUp(self):
        self.broker = broker.Broker(preload=os.path.abspath(PRELOAD))
        self.shift_path = os.path.join(self.broker.base, "shift")
        self.broker.environment["TRUC_CLOCKSHIFT_FILE"] = self.shift_path
        self.shift(0)
        self.broker.__enter__()

    def tearDown(self):
        self.broker.__exit__(None, None, None)

    def shift(self, seconds):
        with open(self.shift_path, "r+b" if os.path.exists(self.shift_path) else "wb") as file:
            file.write(struct.pack("<q", seconds))

    @staticmethod
    def append_time(client, producer):
        return wire.first(producer.publish("clock.topic", [wire.record(b"tick")]), 3)

    def test_jump_of_an_hour_is_told_and_not_followed(self):
        for jump in (3600, -3600):
            with self.subTest(jump=jump), wire.Client(self.broker.url) as client:
                producer = client.open_producer()
                self.shift(0)
                before = self.append_time(client, producer)
                told = self.broker.log().count("clock")
                self.shift(jump)

                def noticed():
                    times.append(self.append_time(client, producer))
                    return self.broker.log().count("clock") > told
                times = [before]
                self.assertTrue(broker.eventually(noticed), "nobody was told of the jump:\n" + self.broker.log())
                times.append(self.append_time(client, producer))
                self.assertEqual(times, sorted(set(times)), "append times went back")
                self.assertLess(times[-1] - before, HOUR_NS // 2, "the jump was followed")
                self.shift(0)

    def test_clock_far_behind_at_start_refuses_appends_until_told(self):
        with wire.Client(self.broker.url) as client:
            last = self.append_time(client, client.open_producer())
        self.broker.kill()
        self.shift(-7200)
        self.broker.restart()
        with wire.Client(self.broker.url) as client:
            with self.assertRaises(wire.Refused) as caught:
                client.open_producer().publish("clock.topic", [wire.record(b"tick")])
            self.assertEqual(caught.exception.status, wire.CLOCK_BEHIND)
            self.assertIn("clock", client.state())
            self.assertEqual(len(client.read_all("clock.topic")), 1)
        self.broker.kill()
        self.broker.arguments = ["--accept-clock"]
        self.broker.restart()
        with wire.Client(self.broker.url) as client:
            self.assertGreater(self.append_time(client, client.open_producer()), last)


if __name__ == "__main__":
    unittest.main()
