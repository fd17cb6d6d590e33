"""Frames that are garbage, cut, too large, or lie about themselves."""

import os
import random
import struct
import unittest

import broker
import hostile
import wire


def prefix(body, header, kind, flags=0, request_id=1):
    return wire.PREFIX.pack(body, header, kind, flags, request_id)


class FramesTest(hostile.BrokerTest):
    def test_garbage_before_login_is_told_and_closed(self):
        self.assert_refused(b"\xff" * 4096, (wire.PROTOCOL, wire.FRAME_TOO_LARGE), login=False)

    def test_http_request_is_told_and_closed(self):
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: truc\r\n\r\n", (wire.PROTOCOL, wire.FRAME_TOO_LARGE), login=False)

    def test_unknown_kind_is_protocol_error(self):
        self.assert_refused(prefix(0, 0, 250), (wire.PROTOCOL,))

    def test_flags_set_is_protocol_error(self):
        self.assert_refused(prefix(0, 0, wire.PING, flags=1), (wire.PROTOCOL,))

    def test_header_larger_than_body_is_protocol_error(self):
        self.assert_refused(prefix(4, 400, wire.PING) + b"abcd", (wire.PROTOCOL,))

    def test_answer_kind_from_client_is_protocol_error(self):
        self.assert_refused(wire.frame(wire.PUBLISH_OK, 5, b""), (wire.PROTOCOL,))

    def test_large_frame_before_login_is_refused_by_its_prefix(self):
        self.assert_refused(prefix(1 << 20, 100, wire.HELLO), (wire.FRAME_TOO_LARGE,), login=False)

    def test_too_large_frame_after_login_is_refused_by_its_prefix(self):
        before = self.broker.anonymous_bytes()
        self.assert_refused(prefix(0xFFFFFFF0, 0, wire.PUBLISH), (wire.FRAME_TOO_LARGE,))
        self.assertLess(self.broker.anonymous_bytes() - before, 16 << 20)

    def test_request_before_login_is_refused(self):
        self.assert_refused(wire.frame(wire.LOG_INFO, 1), (wire.NOT_LOGGED_IN,), login=False)

    def test_wrong_magic_is_refused(self):
        self.assert_refused(wire.frame(wire.HELLO, 1, wire.hello_header(magic=0x12345678)), (wire.PROTOCOL,), login=False)

    def test_no_common_version_is_refused(self):
        self.assert_refused(wire.frame(wire.HELLO, 1, wire.hello_header(900, 901)), (wire.VERSION_MISMATCH,), login=False)

    def test_other_log_remembered_is_refused(self):
        header = wire.hello_header(log_id=b"\x07" * 16, generation=1)
        self.assert_refused(wire.frame(wire.HELLO, 1, header), (wire.LOG_MISMATCH,), login=False)

    def test_bad_source_is_refused(self):
        with wire.Client(self.broker.url, login=False) as client:
            client.ask(wire.HELLO, wire.hello_header())
            with self.assertRaises(wire.Refused) as caught:
                client.ask(wire.LOGIN, wire.field_bytes(1, "none") + wire.field_bytes(2, "no such/agency")
                           + wire.field_bytes(3, "x"))
            self.assertEqual(caught.exception.status, wire.BAD_SOURCE)

    def test_malformed_headers_are_refused(self):
        deep = b""
        for _ in range(40):
            deep = wire.field_bytes(2, deep or b"\x08\x01")
        twice = wire.field_bytes(1, "a.b") + wire.field_bytes(1, "c.d")
        for header in (b"\xff" * 30, b"\x0a\xff\xff\xff\xff\x0f", deep, twice, wire.field_bytes(1, b"\xc3\x28"),
                       b"\x08\x01" * 5000):
            with self.subTest(header=header[:16]):
                self.assert_refused(wire.frame(wire.READ, 3, header), (wire.PROTOCOL, wire.BAD_PATTERN))

    def test_bad_pattern_is_refused_and_connection_goes_on(self):
        with wire.Client(self.broker.url) as client:
            for pattern in ("a..b", "a.>.b", "a b", ".", "x" * 300, "*" * 3):
                with self.assertRaises(wire.Refused) as caught:
                    client.read(pattern)
                self.assertEqual(caught.exception.status, wire.BAD_PATTERN, pattern)
            client.ping()

    def test_cut_frames_leave_nothing_behind(self):
        whole = wire.frame(wire.HELLO, 1, wire.hello_header())
        with wire.Client(self.broker.url) as client:
            client.ping()
            before = self.broker.descriptor_count()
            for cut in range(1, len(whole), 3):
                sock = wire.dial(self.broker.url)
                sock.sendall(whole[:cut])
                sock.close()
            self.assertTrue(broker.eventually(lambda: self.broker.descriptor_count() <= before + 2))

    def test_byte_by_byte_frames_are_understood(self):
        with wire.Client(self.broker.url, login=False) as client:
            for byte in wire.frame(wire.HELLO, 1, wire.hello_header()):
                client.send(bytes([byte]))
            self.assertEqual(client.receive().kind, wire.HELLO_OK)

    def test_random_frames_never_stop_the_broker(self):
        chance = random.Random(2026)
        kinds = list(range(0, 64)) + [255]
        for _ in range(60):
            try:
                with wire.Client(self.broker.url, login=chance.random() < 0.8) as client:
                    for _ in range(20):
                        header = chance.randbytes(chance.choice((0, 1, 7, 60)))
                        payload = chance.randbytes(chance.choice((0, 3, 64, 900)))
                        client.send(wire.frame(chance.choice(kinds), chance.randrange(1 << 20), header, payload))
            except (wire.Closed, wire.Refused, OSError):
                pass

    def test_flipped_bits_in_good_frames_never_stop_the_broker(self):
        chance = random.Random(2027)
        good = bytearray(wire.frame(wire.HELLO, 1, wire.hello_header())
                         + wire.frame(wire.LOGIN, 2, wire.field_bytes(1, "none") + wire.field_bytes(2, "local")
                                      + wire.field_bytes(3, "x"))
                         + wire.frame(wire.PRODUCER_OPEN, 3, wire.field_bytes(1, "flips"))
                         + wire.frame(wire.PUBLISH, 4, b"", wire.batch("flip.here", 1, 1, 0, [wire.record(b"x" * 50)])))
        for _ in range(200):
            bad = bytearray(good)
            for _ in range(chance.choice((1, 1, 3))):
                bit = chance.randrange(len(bad) * 8)
                bad[bit // 8] ^= 1 << bit % 8
            sock = wire.dial(self.broker.url)
            try:
                sock.sendall(bad)
            except OSError:
                pass
            sock.close()


class CreditTest(hostile.BrokerTest):
    def test_more_than_the_credit_in_flight_is_bounded(self):
        """A client that floods without reading answers is held back or refused; it costs no memory."""
        with wire.Client(self.broker.url) as client:
            producer = client.open_producer()
            client.sock.settimeout(2.0)
            encoded = producer.batch("flood.topic", [wire.record(os.urandom(60000)) for _ in range(4)])
            try:
                for _ in range(1000):
                    client.sock.sendall(wire.frame(wire.PUBLISH, client.request_id(), b"", encoded))
            except (TimeoutError, OSError):
                pass  # back-pressure, or the connection was ended
            self.assertLess(self.broker.anonymous_bytes(), hostile.MEMORY_MAX)

    def test_reader_credit_beyond_the_limit_is_harmless(self):
        with wire.Client(self.broker.url) as client:
            client.open_producer().publish("credit.topic", [wire.record(b"one")])
            request_id = client.read("credit.topic", credit=(1 << 63) - 1, follow=True)
            for _ in range(50):
                client.send(wire.frame(wire.CREDIT, request_id, struct.pack("<B", 8) + wire.varint((1 << 64) - 1)))
            try:
                self.assertIn(client.answer(request_id).kind, (wire.READ_DATA, wire.READ_END))
            except (wire.Refused, wire.Closed):
                pass  # refusing it is as good as capping it


if __name__ == "__main__":
    unittest.main()
