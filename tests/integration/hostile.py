"""What the tests of hostile input share: send something, see how it is refused, see that everybody else is served."""

import unittest

import broker
import wire

MEMORY_MAX = (192 << 20) * (6 if broker.SANITIZED else 1)


def refusal(url, data, login=True, timeout=10.0):
    """Sends bytes on a connection of its own. ("refused", status, message), ("closed", None, text), or ("answered", kind, "")."""
    try:
        with wire.Client(url, login=login) as client:
            client.send(data)
            got = client.judged(client.receive(timeout=timeout * broker.PATIENCE))
            return "answered", got.kind, ""
    except wire.Refused as error:
        return "refused", error.status, error.message
    except wire.Closed as error:
        return "closed", None, str(error)
    except TimeoutError:
        return "silent", None, ""


class BrokerTest(unittest.TestCase):
    """One broker for all tests of a class; after each test it must still serve, within its memory."""

    config = ""
    arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.broker = broker.Broker(config=cls.config, arguments=cls.arguments).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.broker.__exit__(None, None, None)

    def tearDown(self):
        if self.broker.process.poll() is not None:
            self.fail("trucd ended with status %d:\n%s" % (self.broker.process.returncode, self.broker.log()[-6000:]))
        self.assert_served()
        self.assertLess(self.broker.anonymous_bytes(), MEMORY_MAX)

    def assert_served(self):
        with wire.Client(self.broker.url) as client:
            answer = client.open_producer().publish("served.check", [wire.record(b"still here")])
            position = wire.first(answer, 1)
            found = client.read_all("served.check", from_position=position, until_position=position + 1)
            self.assertEqual([entry.position for entry in found], [position])

    def assert_refused(self, data, statuses, login=True):
        """An ERROR frame of one of these statuses, with a text that says something."""
        how, status, message = refusal(self.broker.url, data, login)
        self.assertEqual(how, "refused", "%s %s" % (status, message))
        self.assertIn(status, statuses, message)
        self.assertGreater(len(message), 5, "the error names no cause")
        return message
