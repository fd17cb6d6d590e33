"""Thousands of connections that say nothing."""

import resource
import socket
import unittest

import broker
import hostile
import wire

WANTED = 10000


class SilentTest(hostile.BrokerTest):
    def test_silent_connections_cost_little_and_go_away(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        count = min(WANTED, hard - 200)
        host, port = self.broker.url[len("tcp://"):].rsplit(":", 1)
        with wire.Client(self.broker.url) as served:
            before_memory, before_files = self.broker.anonymous_bytes(), self.broker.descriptor_count()
            silent = []
            for _ in range(count):
                sock = socket.socket()
                sock.setblocking(False)
                sock.connect_ex((host, int(port)))
                silent.append(sock)
                if len(silent) % 500 == 0:
                    served.ping(timeout=10 * broker.PATIENCE)  # whoever is there already is served all the while
            producer = served.open_producer()
            for number in range(50):
                producer.publish("silent.topic", [wire.record(b"%d" % number)])
            self.assertLess(self.broker.anonymous_bytes() - before_memory, hostile.MEMORY_MAX)
            self.assertLess(self.broker.descriptor_count(), 8192)
            # Whoever does not say hello in time is let go, and there is room for others again.
            self.assertTrue(broker.eventually(lambda: self.broker.descriptor_count() < before_files + 50, timeout=45),
                            "%d descriptors are still open" % self.broker.descriptor_count())
            served.ping()
            for sock in silent:
                sock.close()


if __name__ == "__main__":
    unittest.main()
