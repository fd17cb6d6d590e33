"""Subscriptions over the raw wire (docs/protocol.md, Subscriptions, Dead letters, Receipts), for tests that must be able to lie."""

from collections import namedtuple

import wire

SUBSCRIPTION_CREATE, SUBSCRIPTION_CHANGE, SUBSCRIPTION_OK = 64, 65, 66
SUBSCRIBE, SUBSCRIBE_OK, DELIVER, SETTLE, SETTLE_OK = range(69, 74)
DEAD, DEAD_OK, RECEIPT, RECEIPT_OK = range(80, 84)

ORDERED, SHARED = 1, 2
LOOK, PAUSE, RESUME, RESET, REMOVE = range(5)
ACK, NACK, REJECT = 1, 2, 3
REDRIVE, DROP = 1, 2
AHEAD, READY, LEASED, DELAYED, ACKNOWLEDGED, IS_DEAD, EXPIRED, PASSED, RESOLVED = range(1, 10)

Receipt = namedtuple("Receipt", "owner name mode state attempts resolved_ns first_failed_ns last_failed_ns reason")
Receipts = namedtuple("Receipts", "position index append_time_ns subscriptions more waited unwanted")


def _position(number, position):
    inside = wire.varint(1 << 3) + wire.varint(position)  # a member of a oneof is encoded even when 0
    return wire.varint(number << 3 | 2) + wire.varint(len(inside)) + inside


def create(client, name, pattern, mode=SHARED, start=0, attempts_max=0, key="", backoff_ms=()):
    header = (wire.field_bytes(1, name) + wire.field_bytes(2, pattern) + wire.field_uint(3, mode) + _position(4, start)
              + wire.field_bytes(5, key) + wire.field_uint(10, attempts_max)
              + b"".join(wire.varint(12 << 3) + wire.varint(ms) for ms in backoff_ms))
    client.ask(SUBSCRIPTION_CREATE, header)


def change(client, name, action, position=None):
    """The fields of the SubscriptionInfo, as wire.decode gives them."""
    header = wire.field_bytes(1, name) + wire.field_uint(2, action)
    if position is not None:
        header += _position(3, position)
    answer = wire.decode(client.ask(SUBSCRIPTION_CHANGE, header).header)
    return wire.decode(wire.first(answer, 1, b""))


class Subscriber:
    """Takes part in a subscription, on a connection of its own."""

    def __init__(self, url, name, credit=100, source="local"):
        self.client = wire.Client(url, source=source, system="worker")
        self.id = self.client.request_id()
        self.client.send(wire.frame(SUBSCRIBE, self.id, wire.field_bytes(1, name) + wire.field_uint(2, credit)))
        self.client.answer(self.id)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def deliver(self):
        """[(lease, position, index)] of the next DELIVER."""
        got = self.client.answer(self.id)
        fields = wire.decode(got.header)
        lease, leased = wire.first(fields, 1), []
        for encoded, entry in zip(fields.get(2, []), wire.entries_of(got.payload)):
            inner = wire.decode(encoded)
            indexes = []
            for packed in inner.get(2, []):
                if isinstance(packed, int):
                    indexes.append(packed)
                    continue
                at = 0
                while at < len(packed):
                    value, at = wire.read_varint(packed, at)
                    indexes.append(value)
            for index in indexes or range(wire.first(inner, 1)):
                leased.append((lease, entry.position, index))
                lease += 1
        return leased

    def settle(self, first, outcome, delay_ms=0, timeout=None):
        """What a lease came to; for an ordered one, first is the position below which all is acknowledged."""
        settlement = wire.field_uint(1, first) + wire.field_uint(3, outcome) + wire.field_uint(4, delay_ms)
        return self.client.ask(SETTLE, wire.field_uint(1, self.id) + wire.field_bytes(2, settlement), timeout=timeout)


def dead_header(name, action, letters, expected_offset):
    """letters: (offset, position, index)."""
    header = wire.field_bytes(1, name) + wire.field_uint(2, action)
    for offset, position, index in letters:
        inside = wire.field_uint(1, offset) + wire.field_uint(2, position) + wire.field_uint(3, index)
        header += wire.varint(3 << 3 | 2) + wire.varint(len(inside)) + inside
    return header + wire.field_uint(4, expected_offset)


def dead(client, name, action, letters, expected_offset):
    """The place of the entry that says so: position, base offset."""
    fields = wire.decode(client.ask(DEAD, dead_header(name, action, letters, expected_offset)).header)
    return wire.first(fields, 1), wire.first(fields, 2)


def letters(client, name, agency="local"):
    """[(offset, type, key, headers)] of the topic of dead letters."""
    found = []
    for entry in client.read_all("dead.%s.%s" % (agency, name)):
        for at, record in enumerate(wire.records_of(entry)):
            headers = {}
            for encoded in record.get(7, []):
                pair = wire.decode(encoded)
                headers[wire.first(pair, 1, b"").decode()] = wire.first(pair, 2, b"").decode()
            kind, key = wire.first(record, 2, b"").decode(), wire.first(record, 3, b"").decode()
            found.append((entry.base_offset + at, kind, key, headers))
    return found


def receipt_header(topic, offset, wait_for=(), wait_ms=0, after=""):
    return (wire.field_bytes(1, topic) + wire.field_uint(2, offset) + b"".join(wire.field_bytes(3, name) for name in wait_for)
            + wire.field_uint(4, wait_ms) + wire.field_bytes(5, after))


def parse_receipts(got):
    fields = wire.decode(got.header)
    subscriptions = []
    for encoded in fields.get(4, []):
        inner = wire.decode(encoded)
        subscriptions.append(Receipt(wire.first(inner, 1, b"").decode(), wire.first(inner, 2, b"").decode(),
                                     *(wire.first(inner, number) for number in range(3, 9)), wire.first(inner, 9, b"").decode()))
    return Receipts(wire.first(fields, 1), wire.first(fields, 2), wire.first(fields, 3), subscriptions, bool(wire.first(fields, 5)),
                    bool(wire.first(fields, 6)), [name.decode() for name in fields.get(7, [])])


def receipts(client, topic, offset, **options):
    return parse_receipts(client.ask(RECEIPT, receipt_header(topic, offset, **options)))
