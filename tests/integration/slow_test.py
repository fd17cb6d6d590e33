"""Clients that stop reading: they cost no memory and hold nobody up."""

import os
import time
import unittest

import broker
import hostile
import wire

RECORD = os.urandom(30000)


def fill(url, topic, size):
    with wire.Client(url) as client:
        producer = client.open_producer()
        batches = size // (len(RECORD) * 8)
        waiting = []
        for _ in range(batches):
            waiting.append(producer.send(producer.batch(topic, [wire.record(RECORD) for _ in range(8)])))
            if len(waiting) > 8:
                client.answer(waiting.pop(0))
        for request_id in waiting:
            client.answer(request_id)


class SlowTest(hostile.BrokerTest):
    def test_readers_that_stop_reading_cost_no_memory(self):
        fill(self.broker.url, "slow.topic", 48 << 20)
        before = self.broker.anonymous_bytes()
        stopped = []
        for _ in range(24):
            client = wire.Client(self.broker.url)
            client.read("slow.topic", from_position=0, credit=1 << 40, follow=True)
            stopped.append(client)  # and never receives again
        with wire.Client(self.broker.url) as healthy:
            producer = healthy.open_producer()
            slowest = 0.0
            for number in range(200):
                started = time.monotonic()
                producer.publish("slow.other", [wire.record(b"%d" % number)])
                slowest = max(slowest, time.monotonic() - started)
            self.assertLess(slowest, 2.0 * broker.PATIENCE)
            found = healthy.read_all("slow.other")
            self.assertEqual(sum(entry.count for entry in found), 200)
            self.assertLess(self.broker.anonymous_bytes() - before, hostile.MEMORY_MAX)
        for client in stopped:
            client.close()

    def test_reader_without_credit_gets_nothing_and_goes_on_with_credit(self):
        fill(self.broker.url, "credit.slow", 4 << 20)
        with wire.Client(self.broker.url) as client:
            request_id = client.read("credit.slow", credit=300000)
            got = 0
            while got < 4 << 20:
                frame = client.answer(request_id)
                if frame.kind == wire.READ_END:
                    break
                got += len(frame.payload)
                client.ping()  # other requests of the connection are answered in between
                client.credit(request_id, len(frame.payload))
            self.assertGreaterEqual(got, 3 << 20)

    def test_publisher_that_reads_no_answers_holds_nobody_up(self):
        with wire.Client(self.broker.url) as deaf:
            producer = deaf.open_producer()
            deaf.sock.settimeout(1.0)
            try:
                for number in range(20000):
                    encoded = producer.batch("deaf.topic", [wire.record(b"x")])
                    deaf.sock.sendall(wire.frame(wire.PUBLISH, number + 100, b"", encoded))
            except (TimeoutError, OSError):
                pass
            self.assert_served()
            self.assertLess(self.broker.anonymous_bytes(), hostile.MEMORY_MAX)


if __name__ == "__main__":
    unittest.main()
