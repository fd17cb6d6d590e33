"""Kills, starts and orderly stops, seen from the wire."""

import threading
import time
import unittest

import broker
import wire


class RestartTest(unittest.TestCase):
    def test_killed_broker_has_everything_it_acknowledged(self):
        with broker.Broker() as one:
            expected = []
            for round_number in range(4):
                with wire.Client(one.url) as client:
                    producer = client.open_producer("restart")
                    for number in range(40):
                        answer = producer.publish("restart.t%d" % (number % 5), [wire.record(b"%d %d" % (round_number, number))])
                        expected.append((wire.first(answer, 1), wire.first(answer, 2)))
                one.restart()
                with wire.Client(one.url) as client:
                    found = client.read_all("restart.>")
                    self.assertEqual([(entry.position, entry.base_offset) for entry in found], expected)
                    self.assertEqual([e.position for e in found], list(range(len(found))))

    def test_retry_after_a_kill_is_stored_once(self):
        with broker.Broker() as one:
            with wire.Client(one.url) as client:
                producer = client.open_producer("retry")
                first = [producer.batch("retry.topic", [wire.record(b"%d" % number)]) for number in range(8)]
                answers = [wire.decode(client.answer(producer.send(encoded)).header) for encoded in first]
            one.restart()
            with wire.Client(one.url) as client:
                producer = client.open_producer("retry")
                self.assertEqual(producer.sequences, {"retry.topic": 8})
                # The epoch is new, but what was sent before is known by producer and sequence: resumed batches are the same bytes.
                header = wire.field_bytes(1, "retry") + wire.field_uint(2, producer.id) + wire.field_uint(3, producer.epoch)
                self.assertEqual(wire.first(wire.decode(client.ask(wire.PRODUCER_OPEN, header).header), 1), producer.id)
                again = wire.batch("retry.topic", producer.id, producer.epoch, 7, [wire.record(b"7")])
                answer = wire.decode(client.answer(producer.send(again)).header)
                self.assertEqual(wire.first(answer, 1), wire.first(answers[7], 1))
                self.assertEqual(wire.first(answer, 4), 1)
                self.assertEqual(client.topics("retry.topic"), {"retry.topic": 8})

    def test_sigterm_drains_and_ends_with_success(self):
        with broker.Broker() as one, wire.Client(one.url) as client:
            producer = client.open_producer()
            requests = [producer.send(producer.batch("drain.topic", [wire.record(b"%d" % number)])) for number in range(200)]
            stopped = threading.Thread(target=lambda: statuses.append(one.stop()))
            statuses = []
            stopped.start()
            stored = 0
            for request_id in requests:
                try:
                    client.answer(request_id)
                    stored += 1
                except (wire.Refused, wire.Closed):
                    pass
            client.close()
            stopped.join(timeout=60)
            self.assertEqual(statuses, [0])
            one.restart()
            with wire.Client(one.url) as again:
                self.assertGreaterEqual(sum(entry.count for entry in again.read_all("drain.topic")), stored)

    def test_live_tail_goes_on_over_many_appends(self):
        with broker.Broker() as one, wire.Client(one.url) as reader, wire.Client(one.url) as writer:
            request_id = reader.read("tail.*", follow=True)
            producer = writer.open_producer()
            for number in range(100):
                producer.publish("tail.t%d" % (number % 2), [wire.record(b"%d" % number)])
            positions = []
            while len(positions) < 100:
                got = reader.answer(request_id)
                positions += [entry.position for entry in wire.entries_of(got.payload)]
                reader.credit(request_id, len(got.payload))
            self.assertEqual(positions, list(range(100)))

    def test_start_after_a_kill_is_quick(self):
        with broker.Broker() as one:
            with wire.Client(one.url) as client:
                producer = client.open_producer()
                for _ in range(100):
                    producer.publish("quick.topic", [wire.record(b"x" * 50000)])
            started = time.monotonic()
            one.restart()
            self.assertLess(time.monotonic() - started, 2.0 * broker.PATIENCE)


if __name__ == "__main__":
    unittest.main()
