"""truc subscription, truc work: what is given, settled, and still known after kill -9."""

import json
import os
import subprocess
import tempfile
import unittest

import broker
import cli

EXISTS, INVALID_ARGUMENT, UNSUPPORTED = 50, 3, 6


class WorkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = broker.Broker().__enter__()
        cls.addClassCleanup(cls.broker.__exit__, None, None, None)

    @property
    def url(self):
        return self.broker.url

    def publish(self, topic, count, keys=0, *arguments):
        for number in range(count):
            key = ["--key", "k%d" % (number % keys)] if keys else []
            done = cli.run(self.url, "pub", topic, *key, *arguments, data=b'{"n":%d}' % number)
            self.assertEqual(done.returncode, 0, done.stderr)

    def create(self, name, pattern, *arguments):
        done = cli.run(self.url, "subscription", "create", name, pattern, "--from", "start", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)

    def info(self, name):
        return cli.lines(cli.run(self.url, "subscription", "info", name, "--json"))[0]

    def work(self, name, *arguments):
        return [record["data"]["n"] for record in cli.lines(cli.run(self.url, "work", name, "--json", *arguments))]

    def test_what_was_acknowledged_is_known_after_a_kill(self):
        self.publish("known.a", 5)
        self.create("known", "known.>")
        self.assertEqual(self.work("known", "--limit", "2"), [0, 1])
        self.broker.restart()
        info = self.info("known")
        self.assertEqual((info["acknowledged"], info["lanes"], info["dead"]), (2, 3, 0))  # each without a key waits by itself
        self.assertEqual(self.work("known", "--limit", "3"), [2, 3, 4])

    def test_what_was_removed_is_not_mistaken_for_what_comes_after(self):
        with broker.Broker() as own:
            for name in ("kept", "gone"):
                self.assertEqual(cli.run(own.url, "subscription", "create", name, "removed.>").returncode, 0)
            self.assertEqual(cli.run(own.url, "subscription", "rm", "gone").returncode, 0)
            own.restart()
            self.assertEqual(cli.run(own.url, "subscription", "create", "new", "removed.>").returncode, 0)
            own.stop()
            self.assertIn(b"everything holds", cli.run(None, "log", "verify", own.directory).stdout)

    def test_workers_share_and_keys_stay_in_order(self):
        self.create("divided", "divided.>")
        self.publish("divided.a", 12, 3)
        given = []
        with tempfile.TemporaryDirectory() as base:
            command = "read line; echo $TRUC_KEY $line >> %s/$TRUC_KEY" % base
            workers = [cli.start(self.url, "work", "divided", "--exec", command, stderr=subprocess.DEVNULL) for _ in range(3)]
            try:
                self.assertTrue(broker.eventually(lambda: self.info("divided")["acknowledged"] == 12, timeout=30))
            finally:
                for worker in workers:
                    worker.terminate()
                    worker.wait()
            for key in range(3):
                with open(os.path.join(base, "k%d" % key), encoding="ascii") as file:
                    numbers = [json.loads(line.split(" ", 1)[1])["n"] for line in file]
                self.assertEqual(numbers, sorted(numbers))
                given += numbers
        self.assertEqual(sorted(given), list(range(12)))

    def test_refused_record_comes_again_and_dies_at_last(self):
        self.publish("poison.a", 2, 1)
        self.create("poison", "poison.>", "--attempts", "2")
        self.assertEqual(self.work("poison", "--limit", "1", "--nack"), [0])
        self.assertEqual(self.work("poison", "--limit", "1", "--nack"), [0])
        self.assertEqual(self.work("poison", "--limit", "1"), [1])
        letter, = cli.lines(cli.run(self.url, "replay", "dead.local.poison", "--json"))
        self.assertEqual((letter["headers"]["reason"], letter["headers"]["attempts"]), ("attempts", "2"))
        self.assertEqual(self.info("poison")["dead"], 1)

    def test_command_that_fails_lets_the_record_come_again(self):
        self.publish("exec.a", 1)
        self.create("exec", "exec.>")
        cli.run(self.url, "work", "exec", "--limit", "1", "--exec", "exit 75")
        done = cli.run(self.url, "work", "exec", "--limit", "1", "--exec", "cat; exit 0")
        self.assertIn(b'{"n":0}', done.stdout)
        self.assertEqual(self.info("exec")["acknowledged"], 1)

    def test_ordered_goes_on_where_it_was_acknowledged(self):
        self.publish("mirror.a", 4)
        self.create("mirror", "mirror.>", "--mode", "ordered")
        self.assertEqual(self.work("mirror", "--limit", "2"), [0, 1])
        self.broker.restart()
        self.assertEqual(self.work("mirror", "--limit", "1"), [2])
        self.assertEqual(cli.run(self.url, "subscription", "reset", "mirror", "start").returncode, 0)
        self.assertEqual(self.work("mirror", "--limit", "1"), [0])
        self.assertEqual(cli.run(self.url, "work", "mirror", "--limit", "1", "--nack").returncode, UNSUPPORTED)

    def test_filter_by_header_key_and_type(self):
        self.publish("filter.a", 2, 2, "--header", "unit=a", "--type", "x.y")
        self.publish("filter.a", 2, 2, "--header", "unit=b", "--type", "x.z")
        self.create("by-header", "filter.>", "--header", "unit=b", "--key", "k1")
        self.create("by-type", "filter.>", "--type", "x.y")
        self.assertEqual(self.work("by-header", "--limit", "1"), [1])
        self.assertEqual(self.work("by-type", "--limit", "2"), [0, 1])

    def test_paused_gives_nothing_until_resumed(self):
        self.publish("pause.a", 1)
        self.create("pause", "pause.>")
        self.assertEqual(cli.run(self.url, "subscription", "pause", "pause").returncode, 0)
        worker = cli.start(self.url, "work", "pause", "--limit", "1", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertTrue(broker.eventually(lambda: self.info("pause")["connected"] == 1, timeout=20))
        self.assertEqual(self.info("pause")["in_flight"], 0)
        self.assertEqual(cli.run(self.url, "subscription", "resume", "pause").returncode, 0)
        self.assertIn(b'{"n":0}', worker.communicate(timeout=cli.TIMEOUT_S)[0])

    def test_removed_subscription_ends_its_worker(self):
        self.create("gone", "gone.>")
        worker = cli.start(self.url, "work", "gone", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.assertTrue(broker.eventually(lambda: self.info("gone")["connected"] == 1, timeout=20))
        self.assertEqual(cli.run(self.url, "subscription", "rm", "gone").returncode, 0)
        self.assertIn(b"the subscription ended", worker.communicate(timeout=cli.TIMEOUT_S)[1])
        self.assertEqual(worker.returncode, cli.NOT_FOUND)
        self.assertEqual(cli.run(self.url, "subscription", "info", "gone").returncode, cli.NOT_FOUND)

    def test_begins_and_goes_on_at_offset_and_time(self):
        self.publish("place.a", 4)
        self.create("by-offset", "place.a")
        self.assertEqual(cli.run(self.url, "subscription", "reset", "by-offset", "offset=2").returncode, 0)
        self.assertEqual(self.work("by-offset", "--limit", "2"), [2, 3])
        third = cli.lines(cli.run(self.url, "replay", "place.a", "--json"))[2]
        done = cli.run(self.url, "subscription", "create", "by-time", "place.>", "--from", third["append_time"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.work("by-time", "--limit", "2"), [2, 3])
        for status, pattern, place in ((cli.OUT_OF_RANGE, "place.a", "offset=99"), (cli.NOT_FOUND, "nowhere", "offset=0"),
                                       (INVALID_ARGUMENT, "place.>", "offset=1")):
            with self.subTest(place):
                done = cli.run(self.url, "subscription", "create", "wrong", pattern, "--from", place)
                self.assertEqual(done.returncode, status, done.stderr)

    def test_wrong_input_is_told(self):
        self.create("right", "right.>")
        self.create("right", "right.>")  # again is no error
        for status, arguments in ((EXISTS, ["create", "right", "other.>"]), (INVALID_ARGUMENT, ["create", "a.b", "x"]),
                                  (cli.BAD_PATTERN, ["create", "x", "a..b"]), (cli.NOT_FOUND, ["pause", "nobody"]),
                                  (cli.NOT_FOUND, ["rm", "nobody"]), (cli.OUT_OF_RANGE, ["reset", "right", "position=99999999"])):
            with self.subTest(arguments):
                done = cli.run(self.url, "subscription", *arguments)
                self.assertEqual(done.returncode, status, done.stderr)

    def test_log_of_subscriptions_verifies(self):
        self.publish("verified.a", 3, 1)
        self.create("verified", "verified.>")
        self.work("verified", "--limit", "1", "--reject")
        cli.run(self.url, "subscription", "reset", "verified", "start")
        self.work("verified", "--limit", "2")
        cli.run(self.url, "subscription", "rm", "verified")
        self.broker.stop()
        done = cli.run(None, "log", "verify", self.broker.directory)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.broker.restart()


if __name__ == "__main__":
    unittest.main()
