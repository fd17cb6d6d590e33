"""The data directory: in use by another broker, not writable, not a log, of another domain."""

import os
import unittest

import broker
import wire


class DirectoryTest(unittest.TestCase):
    def test_second_broker_on_the_directory_is_refused_and_the_first_goes_on(self):
        with broker.Broker() as first:
            with wire.Client(first.url) as client:
                client.open_producer().publish("own.topic", [wire.record(b"1")])
                second = broker.Broker(directory=first.directory)
                try:
                    with self.assertRaises(broker.BrokerFailed) as caught:
                        second.start()
                finally:
                    second.remove()
                self.assertEqual(second.process.returncode, wire.LOCKED)
                self.assertIn(first.directory, str(caught.exception))
                client.open_producer().publish("own.topic", [wire.record(b"2")])
                self.assertEqual(len(client.read_all("own.topic")), 2)

    def test_killed_broker_leaves_no_lock(self):
        with broker.Broker() as one:
            one.restart()
            with wire.Client(one.url) as client:
                client.ping()

    def test_directory_that_cannot_be_made_is_named(self):
        for path in ("/proc/no/such", os.path.join(os.path.abspath(__file__), "below-a-file")):
            one = broker.Broker(directory=path)
            try:
                with self.assertRaises(broker.BrokerFailed) as caught:
                    one.start()
                self.assertIn(path.split("/")[1], str(caught.exception))
                self.assertNotEqual(one.process.returncode, 0)
            finally:
                one.remove()

    def test_other_domain_is_refused(self):
        with broker.Broker(config="domain: H26/test\n") as one:
            one.kill()
            one.config = "domain: H26/prod\n"
            with self.assertRaises(broker.BrokerFailed) as caught:
                one.start()
            self.assertIn("H26/test", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
