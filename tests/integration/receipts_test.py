"""Dead letters that are redriven and dropped, receipts, and lag, over the raw wire: what holds, and what is refused."""

import itertools
import time
import unittest

import broker
import delivery
import hostile
import wire

CONFLICT, EXISTS, INVALID_ARGUMENT = 35, 50, 3


numbers = itertools.count()


class DeliveryTest(hostile.BrokerTest):
    def setUp(self):
        number = next(numbers)
        self.topic = "receipts.%d" % number  # each test has a topic and subscriptions of its own
        self.name = "work-%d" % number
        self.connect()

    def connect(self):
        self.client = wire.Client(self.broker.url)
        self.producer = self.client.open_producer()

    def tearDown(self):
        self.client.close()
        super().tearDown()

    def publish(self, *keys):
        """One batch; its position."""
        return wire.first(self.producer.publish(self.topic, [wire.record(b"x", key=key) for key in keys]), 1)

    def refused(self, status, call, *arguments, **options):
        with self.assertRaises(wire.Refused) as caught:
            call(self.client, *arguments, **options)
        self.assertEqual(caught.exception.status, status, caught.exception.message)
        self.assertGreater(len(caught.exception.message), 10)
        return caught.exception

    def receipt(self, offset, name=None, **options):
        """That of one subscription."""
        found = delivery.receipts(self.client, self.topic, offset, **options)
        return next(one for one in found.subscriptions if one.name == (name or self.name))


class DeadTest(DeliveryTest):
    def kill(self, *keys):
        """Publishes and rejects; the position of the batch."""
        delivery.create(self.client, self.name, self.topic)
        position = self.publish(*keys)
        with delivery.Subscriber(self.broker.url, self.name) as worker:
            left = len(keys)
            while left > 0:
                for lease, _, _ in worker.deliver():
                    worker.settle(lease, delivery.REJECT)
                    left -= 1
        return position

    def dead(self, action, letters, expected_offset):
        return delivery.dead(self.client, self.name, action, letters, expected_offset)

    def test_redriven_record_is_given_again_and_told(self):
        position = self.kill("a", "b")
        found = delivery.letters(self.client, self.name)
        self.assertEqual([(kind, key) for _, kind, key, _ in found],
                         [("truc.dead.v1", "%d.0" % position), ("truc.dead.v1", "%d.1" % position)])
        self.assertEqual(found[0][3]["reason"], "rejected")
        _, base_offset = self.dead(delivery.REDRIVE, [(0, position, 0), (1, position, 1)], 2)
        self.assertEqual(base_offset, 2)
        again = delivery.letters(self.client, self.name)[2:]
        self.assertEqual([(kind, key) for _, kind, key, _ in again],
                         [("truc.dead.redriven.v1", "%d.0" % position), ("truc.dead.redriven.v1", "%d.1" % position)])
        self.assertEqual(again[1][3], {"letter-offset": "1", "position": str(position), "index": "1", "subscription": self.name,
                                       "by": "local/test"})
        with delivery.Subscriber(self.broker.url, self.name) as worker:
            leased = []
            while len(leased) < 2:
                leased += worker.deliver()
            self.assertEqual([(at, index) for _, at, index in leased], [(position, 0), (position, 1)])
            for lease, _, _ in leased:
                worker.settle(lease, delivery.ACK)
        self.assertEqual(self.receipt(0).state, delivery.ACKNOWLEDGED)

    def test_what_was_answered_survives_kill(self):
        position = self.kill("a")
        self.dead(delivery.REDRIVE, [(0, position, 0)], 1)
        self.client.close()
        self.broker.restart()
        self.connect()
        self.refused(EXISTS, delivery.dead, self.name, delivery.REDRIVE, [(0, position, 0)], 2)  # it waits already
        self.assertEqual(self.receipt(0).state, delivery.READY)
        with delivery.Subscriber(self.broker.url, self.name) as worker:
            lease, at, index = worker.deliver()[0]
            self.assertEqual((at, index), (position, 0))
            worker.settle(lease, delivery.ACK)
        receipt = self.receipt(0)
        self.assertEqual((receipt.state, receipt.attempts), (delivery.ACKNOWLEDGED, 1))
        self.assertGreater(receipt.resolved_ns, 0)

    def test_dropped_letter_is_told_and_stays_dead(self):
        position = self.kill("a")
        self.dead(delivery.DROP, [(0, position, 0)], 1)
        self.assertEqual(delivery.letters(self.client, self.name)[1][1], "truc.dead.dropped.v1")
        self.assertEqual(self.receipt(0).state, delivery.IS_DEAD)

    def test_wrong_requests_change_nothing(self):
        position = self.kill("a")
        elsewhere = wire.first(self.producer.publish("receipts.elsewhere", [wire.record(b"x")]), 1)
        delivery.create(self.client, "ordered", self.topic, delivery.ORDERED)
        redrive, letter = delivery.REDRIVE, [(0, position, 0)]
        self.refused(wire.NOT_FOUND, delivery.dead, "nobody", redrive, letter, 1)
        self.refused(INVALID_ARGUMENT, delivery.dead, "ordered", redrive, letter, 0)
        self.refused(INVALID_ARGUMENT, delivery.dead, self.name, 0, letter, 1)
        self.refused(INVALID_ARGUMENT, delivery.dead, self.name, 7, letter, 1)
        self.refused(INVALID_ARGUMENT, delivery.dead, self.name, redrive, [], 1)
        self.refused(INVALID_ARGUMENT, delivery.dead, self.name, redrive, letter * 2, 1)
        self.refused(wire.OUT_OF_RANGE, delivery.dead, self.name, redrive, [(1, position, 0)], 1)
        self.assertEqual(self.refused(CONFLICT, delivery.dead, self.name, redrive, letter, 0).actual, 1)
        for place in ((elsewhere, 0), (position, 1), (1 << 60, 0), (position, 0xFFFFFFFF)):
            self.refused(wire.NOT_FOUND, delivery.dead, self.name, redrive, [(0, *place)], 1)
        self.assertEqual(len(delivery.letters(self.client, self.name)), 1)
        self.dead(redrive, letter, 1)
        self.refused(EXISTS, delivery.dead, self.name, redrive, letter, 2)  # twice

    def test_255_that_fail_refuse_the_one(self):
        position = self.kill("a")
        letters = [(0, position, 0)]
        for i in range(1, 256):
            self.dead(delivery.DROP, [(0, position, 0)], i)
            letters.append((i, position, i))
        self.refused(wire.NOT_FOUND, delivery.dead, self.name, delivery.REDRIVE, letters, 256)
        self.dead(delivery.DROP, letters, 256)
        self.assertEqual(len(delivery.letters(self.client, self.name)), 512)


class ReceiptTest(DeliveryTest):
    def test_states_follow_the_record(self):
        delivery.create(self.client, self.name, self.topic, attempts_max=3)
        position = self.publish("a", "a")
        self.assertEqual(self.receipt(0).state, delivery.AHEAD)
        with delivery.Subscriber(self.broker.url, self.name) as worker:
            lease = worker.deliver()[0][0]
            receipt = self.receipt(0)
            self.assertEqual((receipt.owner, receipt.mode, receipt.state, receipt.attempts),
                             ("local", delivery.SHARED, delivery.LEASED, 1))
            self.assertEqual(self.receipt(1).state, delivery.READY)
            worker.settle(lease, delivery.NACK, delay_ms=200)
            receipt = self.receipt(0)
            self.assertEqual((receipt.state, receipt.attempts), (delivery.DELAYED, 1))
            self.assertGreater(receipt.first_failed_ns, 0)
            before_ns = wire.first(self.client.log_info(), 17)
            worker.settle(worker.deliver()[0][0], delivery.ACK)
            receipt = self.receipt(0)
            self.assertEqual((receipt.state, receipt.attempts), (delivery.ACKNOWLEDGED, 2))
            self.assertGreater(receipt.resolved_ns, 0)
            self.assertLessEqual(receipt.resolved_ns, wire.first(self.client.log_info(), 17))
            self.assertGreater(before_ns, 0)
            worker.settle(worker.deliver()[0][0], delivery.REJECT)
        receipt = self.receipt(1)
        self.assertEqual((receipt.state, receipt.attempts, receipt.reason), (delivery.IS_DEAD, 1, "rejected"))
        whole = delivery.receipts(self.client, self.topic, 1)
        self.assertEqual((whole.position, whole.index, whole.more), (position, 1, False))
        self.assertGreater(whole.append_time_ns, 0)
        self.broker.restart()
        self.client.close()
        self.connect()
        self.assertEqual(self.receipt(0).attempts, 2)  # the log says it
        self.assertEqual(self.receipt(1).reason, "rejected")

    def test_subscriptions_that_do_not_want_it_are_not_told(self):
        delivery.create(self.client, self.name, self.topic, key="a")
        delivery.create(self.client, "reset-%s" % self.name, "receipts.>")
        self.publish("a")
        self.publish("b")
        self.assertEqual([one.name for one in delivery.receipts(self.client, self.topic, 1).subscriptions if self.name in one.name],
                         ["reset-%s" % self.name])
        delivery.change(self.client, "reset-%s" % self.name, delivery.RESET, self.client.durable_position())
        self.assertEqual(self.receipt(1, name="reset-%s" % self.name).state, delivery.PASSED)
        delivery.create(self.client, "late-%s" % self.name, self.topic, start=self.client.durable_position())
        self.assertEqual(self.receipt(1, name="late-%s" % self.name).state, delivery.PASSED)
        self.publish("c")
        self.assertEqual(self.receipt(2, name="late-%s" % self.name).state, delivery.AHEAD)

    def test_ordered_one_is_acknowledged_by_position(self):
        delivery.create(self.client, self.name, self.topic, delivery.ORDERED)
        position = self.publish("a")
        with delivery.Subscriber(self.broker.url, self.name, credit=1 << 20) as reader:
            self.assertEqual(reader.client.answer(reader.id).kind, wire.READ_OK)
            self.assertEqual(reader.client.answer(reader.id).kind, wire.READ_DATA)
            self.assertEqual(self.receipt(0).state, delivery.LEASED)
            reader.settle(position + 1, delivery.ACK)
        receipt = self.receipt(0)
        self.assertEqual((receipt.state, receipt.attempts), (delivery.ACKNOWLEDGED, 1))

    def test_waiting_ends_with_its_time(self):
        delivery.create(self.client, self.name, self.topic)
        self.publish("a")
        started = time.monotonic()
        found = delivery.receipts(self.client, self.topic, 0, wait_for=[self.name], wait_ms=300)
        self.assertGreaterEqual(time.monotonic() - started, 0.29)
        self.assertFalse(found.waited)
        self.assertEqual(found.unwanted, [])

    def test_waiting_ends_with_the_acknowledgement(self):
        delivery.create(self.client, self.name, self.topic)
        delivery.create(self.client, "not-%s" % self.name, self.topic, key="other")
        self.publish("a")
        names = ["local/%s" % self.name, "not-%s" % self.name]
        with delivery.Subscriber(self.broker.url, self.name) as worker:
            lease = worker.deliver()[0][0]
            request_id = self.client.request_id()
            self.client.send(wire.frame(delivery.RECEIPT, request_id,
                                        delivery.receipt_header(self.topic, 0, wait_for=names, wait_ms=60000)))
            self.client.ping()  # the others are served meanwhile
            worker.settle(lease, delivery.ACK)
            found = delivery.parse_receipts(self.client.answer(request_id, timeout=20 * broker.PATIENCE))
        self.assertTrue(found.waited)
        self.assertEqual(found.unwanted, ["not-%s" % self.name])
        self.assertEqual([one.state for one in found.subscriptions if one.name == self.name], [delivery.ACKNOWLEDGED])

    def test_who_leaves_while_waiting_harms_nobody(self):
        delivery.create(self.client, self.name, self.topic)
        self.publish("a")
        with wire.Client(self.broker.url) as other:
            for _ in range(100):
                other.send(wire.frame(delivery.RECEIPT, other.request_id(),
                                      delivery.receipt_header(self.topic, 0, wait_for=[self.name], wait_ms=60000)))
            other.ping()
        with delivery.Subscriber(self.broker.url, self.name) as worker:
            worker.settle(worker.deliver()[0][0], delivery.ACK)
        self.assertEqual(self.receipt(0).state, delivery.ACKNOWLEDGED)

    def test_wrong_requests_are_refused(self):
        delivery.create(self.client, self.name, self.topic)
        self.publish("a")
        self.refused(wire.NOT_FOUND, delivery.receipts, "receipts.nowhere", 0)
        self.refused(wire.NOT_FOUND, delivery.receipts, "no topic!", 0)
        self.assertEqual(self.refused(wire.OUT_OF_RANGE, delivery.receipts, self.topic, 1).actual, 1)
        self.refused(wire.OUT_OF_RANGE, delivery.receipts, self.topic, 1 << 63)
        self.refused(wire.NOT_FOUND, delivery.receipts, self.topic, 0, wait_for=["nobody"], wait_ms=10)
        self.refused(wire.NOT_FOUND, delivery.receipts, self.topic, 0, wait_for=["G22/%s" % self.name], wait_ms=10)
        self.refused(INVALID_ARGUMENT, delivery.receipts, self.topic, 0, wait_for=[self.name], wait_ms=24 * 3600 * 1000 + 1)
        self.refused(INVALID_ARGUMENT, delivery.receipts, self.topic, 0, wait_for=[self.name] * 17, wait_ms=10)
        self.refused(INVALID_ARGUMENT, delivery.receipts, self.topic, 0, after="not/a/place")


class LagTest(DeliveryTest):
    def test_lag_is_counted_in_records_bytes_and_time(self):
        delivery.create(self.client, self.name, self.topic)
        info = delivery.change(self.client, self.name, delivery.LOOK)
        self.assertEqual(wire.first(info, 30), 0)
        self.publish("a", "b", "c")
        self.publish("d")
        self.producer.publish("receipts.elsewhere", [wire.record(b"x")])
        info = delivery.change(self.client, self.name, delivery.LOOK)
        self.assertEqual(wire.first(info, 30), 4)
        self.assertGreater(wire.first(info, 31), 100)
        self.assertEqual(wire.first(info, 27), delivery.receipts(self.client, self.topic, 0).append_time_ns)
        self.assertEqual(wire.first(info, 32), 0)
        with delivery.Subscriber(self.broker.url, self.name) as one, delivery.Subscriber(self.broker.url, self.name, credit=1):
            leased = []
            while len(leased) < 3:
                leased += one.deliver()
            info = delivery.change(self.client, self.name, delivery.LOOK)
            self.assertEqual(info.get(33), [b"local/worker"])
            self.assertEqual(wire.first(info, 20), 2)
        info = delivery.change(self.client, self.name, delivery.PAUSE)
        self.assertNotIn(30, info)


if __name__ == "__main__":
    unittest.main()
