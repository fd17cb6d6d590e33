"""No file descriptors left: those who are connected go on, the log says why, and service is back when there are some."""

import os
import resource
import unittest

import broker
import wire


class DescriptorsTest(unittest.TestCase):
    def test_no_descriptors_left_keeps_those_who_are_there(self):
        with broker.Broker() as one, wire.Client(one.url) as client:
            producer = client.open_producer()
            producer.publish("files.topic", [wire.record(b"before")])
            soft, hard = resource.prlimit(one.pid, resource.RLIMIT_NOFILE)
            highest = max(int(name) for name in os.listdir("/proc/%d/fd" % one.pid))
            resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (highest + 3, hard))
            waiting = []
            for _ in range(40):
                try:
                    waiting.append(wire.dial(one.url, timeout=2.0))
                except OSError:
                    pass
            for number in range(50):
                producer.publish("files.topic", [wire.record(b"%d" % number)])
            self.assertEqual(sum(entry.count for entry in client.read_all("files.topic")), 51)
            self.assertTrue(broker.eventually(lambda: "descriptor" in one.log() or "open files" in one.log()),
                            "the log names no cause:\n" + one.log())
            for sock in waiting:
                sock.close()
            resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (soft, hard))

            def served_again():
                try:
                    with wire.Client(one.url, timeout=1.0 * broker.PATIENCE) as other:
                        return other.ping() >= 0
                except (OSError, wire.Closed, wire.Refused):
                    return False
            self.assertTrue(broker.eventually(served_again), "no new connection is accepted after the limit was raised")


if __name__ == "__main__":
    unittest.main()
