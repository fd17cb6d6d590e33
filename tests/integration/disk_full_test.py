"""A full disk: a small tmpfs of the broker's own. Nothing acknowledged is lost, reading goes on, and so does service later."""

import os
import subprocess
import unittest

import broker
import wire

SIZE = 256 << 20


def can_mount():
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


@unittest.skipUnless(can_mount(), "a mount namespace is not allowed here")
class DiskFullTest(unittest.TestCase):
    def setUp(self):
        self.broker = broker.Broker(config="segment_bytes: 8388608\n")
        self.place = os.path.join(self.broker.base, "small")
        os.mkdir(self.place)
        self.broker.directory = os.path.join(self.place, "data")
        self.broker.wrapper = ["unshare", "-rm", "sh", "-c",
                               'mount -t tmpfs -o size=%d tmpfs "$0" && exec "$@"' % SIZE, self.place]
        self.broker.__enter__()

    def tearDown(self):
        self.broker.__exit__(None, None, None)

    def inside(self, *path):
        """A path on the small disk, as the broker sees it."""
        return os.path.join("/proc/%d/root%s" % (self.broker.pid, self.place), *path)

    def publish_until_full(self, client, producer):
        for number in range(4 * SIZE // 240000):
            try:
                producer.publish("full.topic", [wire.record(os.urandom(60000)) for _ in range(4)])
            except wire.Refused as error:
                return number, error
        self.fail("the disk never filled up")

    def test_full_disk_refuses_appends_and_serves_the_rest(self):
        filler = self.inside("filler")
        with open(filler, "wb") as file:  # room for a few segments only
            file.write(b"\0" * (8 << 20))
        with wire.Client(self.broker.url) as client:
            producer = client.open_producer("full")
            stored, error = self.publish_until_full(client, producer)
            self.assertEqual(error.status, wire.DISK_FULL, error)
            self.assertGreater(stored, 10)
            self.assertIn("full", client.state())
            self.assertEqual(len(client.read_all("full.topic")), stored)
            with self.assertRaises(wire.Refused):  # it stays so
                producer.publish("full.topic", [wire.record(b"x")])
            os.unlink(filler)

            def accepted():
                try:
                    return producer.publish("full.topic", [wire.record(b"again")])
                except wire.Refused as refused:
                    self.assertEqual(refused.status, wire.DISK_FULL)
                    return None
            self.assertTrue(broker.eventually(accepted, step=0.1), "space was freed, appends are still refused")
            self.assertEqual(len(client.read_all("full.topic")), stored + 1)

    def test_broker_that_dies_on_a_full_disk_starts_on_it(self):
        with wire.Client(self.broker.url) as client:
            producer = client.open_producer("full")
            stored, _ = self.publish_until_full(client, producer)
        # The name space, and with it the small disk, lives as long as this shell.
        hold = ["nsenter", "-t", str(self.broker.pid), "-U", "-m", "--preserve-credentials", "sleep", "600"]
        with subprocess.Popen(hold) as holder:
            try:
                broker.eventually(lambda: os.path.exists("/proc/%d/root%s/data" % (holder.pid, self.place)))
                self.broker.kill()
                self.broker.wrapper = ["nsenter", "-t", str(holder.pid), "-U", "-m", "--preserve-credentials"]
                self.broker.restart()
                with wire.Client(self.broker.url) as client:
                    self.assertEqual(len(client.read_all("full.topic")), stored)
            finally:
                holder.kill()


if __name__ == "__main__":
    unittest.main()
