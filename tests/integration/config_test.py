"""Configuration and command line: what is wrong is named, and nothing starts half."""

import os
import subprocess
import unittest

import broker
import wire


class ConfigTest(unittest.TestCase):
    def fails(self, **options):
        one = broker.Broker(**options)
        try:
            with self.assertRaises(broker.BrokerFailed) as caught:
                one.start()
            self.assertNotEqual(one.process.returncode, 0)
            return str(caught.exception), one.process.returncode
        finally:
            one.remove()

    def test_unknown_key_is_named_with_its_line(self):
        text, status = self.fails(config="# a comment\n\nno_such_key: 5\n")
        self.assertIn("no_such_key", text)
        self.assertIn("3", text)
        self.assertEqual(status, 45)

    def test_bad_value_is_named(self):
        text, status = self.fails(config="segment_bytes: many\n")
        self.assertIn("segment_bytes", text)
        self.assertEqual(status, 45)

    def test_address_that_others_can_reach_is_refused(self):
        text, status = self.fails(listen="tcp://0.0.0.0:0")
        self.assertIn("loopback", text)
        self.assertEqual(status, wire.NOT_ALLOWED)

    def test_port_0_tells_the_port_it_got(self):
        with broker.Broker(listen="tcp://127.0.0.1:0") as one:
            self.assertRegex(one.url, r"^tcp://127\.0\.0\.1:[1-9][0-9]*$")
            with wire.Client(one.url) as client:
                client.ping()

    def test_port_in_use_is_named(self):
        with broker.Broker() as first:
            text, _ = self.fails(listen=first.url)
            self.assertIn(first.url.rsplit(":", 1)[1], text)

    def test_ipc_address_serves(self):
        one = broker.Broker()
        one.listen = "ipc://" + os.path.join(one.base, "truc.sock")
        with one, wire.Client(one.url) as client:
            client.open_producer().publish("ipc.topic", [wire.record(b"x")])
            self.assertEqual(len(client.read_all()), 1)
            one.restart()
            with wire.Client(one.url) as again:
                self.assertEqual(len(again.read_all()), 1)

    def test_unknown_option_is_a_usage_error(self):
        done = subprocess.run([os.path.join(broker.BIN, "trucd"), "--no-such-option"], capture_output=True, text=True,
                              check=False, timeout=30)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no-such-option", done.stderr)

    def test_topic_family_rules_hold(self):
        config = ("topics:\n"
                  "  - pattern: sensor.>\n    evidence: batch\n    record_bytes_max: 1000\n"
                  "  - pattern: plain.>\n    codec: none\n")
        with broker.Broker(config=config) as one, wire.Client(one.url) as client:
            producer = client.open_producer()
            with self.assertRaises(wire.Refused) as caught:
                producer.publish("sensor.a", [wire.record(b"x" * 2000)], evidence=0)
            self.assertEqual(caught.exception.status, wire.RECORD_TOO_LARGE)
            producer.publish("sensor.a", [wire.record(b"x" * 100)], evidence=0)
            with self.assertRaises(wire.Refused) as caught:
                producer.publish("sensor.a", [wire.record(b"x" * 100)], evidence=wire.EVIDENCE_RECORD)
            self.assertEqual(caught.exception.status, 32)


if __name__ == "__main__":
    unittest.main()
