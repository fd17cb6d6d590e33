"""truc dead: what a subscription gave up is listed, shown, given again, closed; truc work holds runs of a key."""

import json
import subprocess
import unittest

import broker
import cli

EXISTS = 50


class DeadTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = broker.Broker().__enter__()
        cls.addClassCleanup(cls.broker.__exit__, None, None, None)

    @property
    def url(self):
        return self.broker.url

    def publish(self, topic, count, *arguments):
        lines = b"".join(b'{"n":%d}\n' % number for number in range(count))
        done = cli.run(self.url, "pub", topic, "--lines", *arguments, data=lines)
        self.assertEqual(done.returncode, 0, done.stderr)

    def create(self, name, pattern, *arguments):
        done = cli.run(self.url, "subscription", "create", name, pattern, "--from", "start", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)

    def work(self, name, *arguments):
        return [record["data"]["n"] for record in cli.lines(cli.run(self.url, "work", name, "--json", *arguments))]

    def letters(self, name, *arguments):
        return cli.lines(cli.run(self.url, "dead", "ls", name, "--json", *arguments))

    def dead(self, name, count):
        """The letters, once there are so many: they are written behind the refusals."""
        self.assertTrue(broker.eventually(lambda: len(self.letters(name)) == count), self.letters(name))
        return self.letters(name)

    def test_letters_are_listed_and_shown(self):
        self.publish("listed.a", 3, "--key", "k")
        self.create("listed", "listed.>", "--attempts", "1")
        self.assertEqual(self.letters("listed"), [])
        self.assertEqual(self.work("listed", "--limit", "1", "--nack"), [0])
        self.assertEqual(self.work("listed", "--limit", "1", "--reject"), [1])
        first, second = self.dead("listed", 2)
        self.assertEqual((first["offset"], first["reason"], first["attempts"], first["state"]), (0, "attempts", 1, "open"))
        self.assertEqual((second["offset"], second["reason"]), (1, "rejected"))
        letter, record = cli.lines(cli.run(self.url, "dead", "show", "listed", "1", "--json"))
        self.assertEqual((letter["offset"], record["data"], record["topic"]), (1, {"n": 1}, "listed.a"))
        self.assertEqual(cli.run(self.url, "dead", "show", "listed", "2").returncode, cli.NOT_FOUND)
        self.assertEqual(cli.run(self.url, "dead", "ls", "nobody").returncode, cli.NOT_FOUND)

    def test_redriven_record_is_given_again(self):
        self.publish("again.a", 4, "--key", "k")
        self.create("again", "again.>")
        self.assertEqual(self.work("again", "--limit", "2", "--reject"), [0, 1])
        self.assertEqual(self.work("again", "--limit", "2"), [2, 3])
        self.dead("again", 2)
        self.assertEqual(cli.run(self.url, "dead", "redrive", "again", "0", "7").returncode, cli.NOT_FOUND)
        done = cli.run(self.url, "dead", "redrive", "again", "1", "0")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, b"redriven 2 letters\n")
        self.assertEqual(self.letters("again"), [])
        self.assertEqual([letter["state"] for letter in self.letters("again", "--all")], ["redriven", "redriven"])
        self.assertEqual(cli.run(self.url, "dead", "redrive", "again", "0").returncode, EXISTS)
        self.broker.restart()
        self.assertEqual(self.work("again", "--limit", "2"), [0, 1])  # in key order, also after a kill
        self.assertEqual(self.letters("again"), [])

    def test_redriven_record_that_dies_again_has_a_new_letter(self):
        self.publish("twice.a", 1)
        self.create("twice", "twice.>")
        self.work("twice", "--limit", "1", "--reject")
        self.dead("twice", 1)
        self.assertEqual(cli.run(self.url, "dead", "redrive", "twice", "--all").returncode, 0)
        self.work("twice", "--limit", "1", "--reject")
        letter, = self.dead("twice", 1)
        self.assertGreater(letter["offset"], 0)
        done = cli.run(self.url, "dead", "drop", "twice", str(letter["offset"]))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.letters("twice"), [])
        self.assertEqual([row["state"] for row in self.letters("twice", "--all")], ["redriven", "dropped"])
        last = cli.lines(cli.run(self.url, "replay", "dead.local.twice", "--json"))[-1]
        self.assertEqual((last["type"], last["headers"]["by"]), ("truc.dead.dropped.v1", "local/dev"))
        self.assertEqual(cli.run(self.url, "dead", "drop", "twice", "0").returncode, EXISTS)

    def test_many_letters_are_dealt_with_at_once(self):
        self.publish("many.a", 600)
        self.create("many", "many.>")
        self.work("many", "--limit", "600", "--reject")
        self.dead("many", 600)
        done = cli.run(self.url, "dead", "drop", "many", "--all", "--json")
        self.assertEqual(json.loads(done.stdout), {"dropped": 600}, done.stderr)
        self.assertEqual(self.letters("many"), [])
        self.assertEqual(len(self.letters("many", "--all")), 600)

    def test_two_who_act_at_once_do_not_both_succeed(self):
        self.publish("race.a", 1)
        self.create("race", "race.>")
        self.work("race", "--limit", "1", "--reject")
        self.dead("race", 1)
        both = [cli.start(self.url, "dead", "drop", "race", "0", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for _ in range(2)]
        self.assertEqual(sorted(process.wait(timeout=cli.TIMEOUT_S) for process in both), [0, EXISTS])

    def test_run_of_a_key_is_worked_on_in_order(self):
        self.publish("run.a", 500, "--key", "hot")
        self.create("run", "run.>")
        self.assertEqual(self.work("run", "--limit", "200", "--key-run", "64"), list(range(200)))
        self.assertEqual(self.work("run", "--limit", "200", "--key-run", "1"), list(range(200, 400)))
        self.assertEqual(self.work("run", "--limit", "1", "--nack"), [400])
        self.assertEqual(self.work("run", "--limit", "100"), list(range(400, 500)))
        self.assertEqual(self.letters("run"), [])


if __name__ == "__main__":
    unittest.main()
