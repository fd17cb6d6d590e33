"""truc replay, tail, topic, log, ping: what is shown, and where it begins and ends."""

import json
import os
import signal
import subprocess
import unittest

import broker
import cli

TOPICS = ("read.a", "read.b", "read.c.deep")


class ReadTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = broker.Broker().__enter__()
        cls.addClassCleanup(cls.broker.__exit__, None, None, None)
        cls.url = cls.broker.url
        for round_ in range(3):
            for number, topic in enumerate(TOPICS):
                lines = b"".join(b'{"round":%d,"n":%d}\n' % (round_, n) for n in range(10))
                done = cli.run(cls.url, "pub", topic, "--lines", "--key", "k%d" % number, "--type", "t%d" % round_, "--time",
                               "2020-06-0%dT00:00:00Z" % (round_ + 1), "--source", "H26.%d/portal" % (number + 1), data=lines)
                assert done.returncode == 0, done.stderr

    def replay(self, pattern, *arguments):
        return cli.lines(cli.run(self.url, "replay", pattern, "--json", *arguments))

    def test_pattern_is_in_log_order(self):
        records = self.replay("read.>")
        self.assertEqual(len(records), 90)
        places = [(r["position"], r["index"]) for r in records]
        self.assertEqual(places, sorted(places))
        for topic in TOPICS:
            self.assertEqual([r["offset"] for r in records if r["topic"] == topic], list(range(30)))
        self.assertEqual({r["topic"] for r in self.replay("read.*")}, {"read.a", "read.b"})

    def test_offsets_cut_inside_entries(self):
        self.assertEqual([r["offset"] for r in self.replay("read.a", "--from", "7", "--to", "13")], list(range(7, 13)))
        backwards = self.replay("read.a", "--from", "7", "--to", "13", "--reverse")
        self.assertEqual([r["offset"] for r in backwards], list(range(12, 6, -1)))
        self.assertEqual([r["offset"] for r in self.replay("read.a", "--from", "28")], [28, 29])
        self.assertEqual([r["offset"] for r in self.replay("read.a", "--to", "2")], [0, 1])
        self.assertEqual(self.replay("read.a", "--from", "5", "--to", "5"), [])

    def test_reverse_is_the_mirror(self):
        self.assertEqual(self.replay("read.>", "--reverse"), self.replay("read.>")[::-1])

    def test_limit_counts_records(self):
        self.assertEqual([r["offset"] for r in self.replay("read.b", "--limit", "13")], list(range(13)))
        self.assertEqual([r["offset"] for r in self.replay("read.b", "--limit", "3", "--reverse")], [29, 28, 27])

    def test_filters_are_exact(self):
        self.assertEqual({r["topic"] for r in self.replay("read.>", "--key", "k1")}, {"read.b"})
        self.assertEqual(len(self.replay("read.>", "--type", "t2")), 30)
        self.assertEqual({r["source"] for r in self.replay("read.>", "--source", "H26.3")}, {"H26.3/portal"})
        self.assertEqual({r["source"] for r in self.replay("read.>", "--source", "H26.2/portal")}, {"H26.2/portal"})
        self.assertEqual(self.replay("read.>", "--key", "nobody"), [])
        since = self.replay("read.a", "--event-since", "2020-06-02T00:00:00Z", "--event-until", "2020-06-03T00:00:00Z")
        self.assertEqual({r["type"] for r in since}, {"t1"})
        self.assertEqual(len(since), 10)

    def test_since_and_until_mean_append_time(self):
        times = sorted({r["append_time"] for r in self.replay("read.>")})
        middle = times[len(times) // 2]
        after, before = self.replay("read.>", "--since", middle), self.replay("read.>", "--until", middle)
        self.assertEqual(len(after) + len(before), 90)
        self.assertTrue(all(r["append_time"] >= middle for r in after))
        self.assertTrue(all(r["append_time"] < middle for r in before))
        self.assertEqual(self.replay("read.>", "--since", "+1h"), [])
        self.assertEqual(len(self.replay("read.>", "--since", "-1h")), 90)

    def test_digest_is_equal_for_equal_replays(self):
        first, second = self.replay("read.>", "--digest"), self.replay("read.>", "--digest")
        self.assertEqual(first, second)
        self.assertEqual(first[-1]["records"], 90)
        self.assertRegex(first[-1]["digest"], r"^[0-9a-f]{64}$")
        other = self.replay("read.>", "--digest", "--limit", "89")
        self.assertNotEqual(first[-1]["digest"], other[-1]["digest"])
        human = cli.run(self.url, "replay", "read.>", "--digest")
        self.assertIn(first[-1]["digest"].encode(), human.stdout.splitlines()[-1])

    def test_bounds_are_echoed(self):
        done = cli.run(self.url, "replay", "read.a", "--since", "2020-06-05 08:00")
        self.assertIn(b"2020-06-05T01:00:00.000000000Z", done.stderr)
        self.assertRegex(done.stderr, rb"from position \d+ to position \d+|from position \d+ to \d+")
        quiet = cli.run(self.url, "replay", "read.a", "--since", "2020-06-05 08:00", "--quiet")
        self.assertEqual(quiet.stderr, b"")
        self.assertEqual(len(quiet.stdout.splitlines()), 30)

    def test_human_lines(self):
        done = cli.run(self.url, "replay", "read.a", "--limit", "1")
        self.assertRegex(done.stdout, rb'^\S+Z  read\.a 0  H26\.1/portal  key=k0  type=t0  \{"round":0,"n":0\}\n$')

    def test_tail_shows_what_comes(self):
        tail = cli.start(self.url, "tail", "live.>", "--json", "--limit", "2", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertIn(b"following live.>", tail.stderr.readline())
        for data in (b"1", b"2", b"3"):
            cli.run(self.url, "pub", "live.topic", data=data)
        output, _ = tail.communicate(timeout=cli.TIMEOUT_S)
        self.assertEqual([json.loads(line)["offset"] for line in output.splitlines()], [0, 1])
        self.assertEqual(tail.returncode, 0)

    def test_tail_survives_the_broker_and_ends_with_zero_when_interrupted(self):
        with broker.Broker() as own:
            cli.run(own.url, "pub", "some.topic", data=b"1")
            tail = cli.start(own.url, "tail", "some.topic", "--json", "--from", "start", stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
            self.assertEqual(json.loads(tail.stdout.readline())["offset"], 0)
            own.restart()
            cli.run(own.url, "pub", "some.topic", data=b"2")
            self.assertEqual(json.loads(tail.stdout.readline())["offset"], 1)
            tail.send_signal(signal.SIGINT)
            tail.communicate(timeout=cli.TIMEOUT_S)
            self.assertEqual(tail.returncode, 0)

    def test_tail_places(self):
        for place, first in (("start", 0), ("12", 12), ("offset=29", 29), ("-1h", 0)):
            done = cli.run(self.url, "tail", "read.a", "--from", place, "--limit", "1", "--json")
            self.assertEqual(cli.lines(done)[0]["offset"], first, place)

    def test_topic_ls_and_info(self):
        topics = cli.lines(cli.run(self.url, "topic", "ls", "read.>", "--json"))
        self.assertEqual([t["topic"] for t in topics], sorted(TOPICS))
        human = cli.run(self.url, "topic", "ls", "read.*").stdout
        self.assertIn(b"read.a", human)
        self.assertNotIn(b"read.c.deep", human)
        info = cli.lines(cli.run(self.url, "topic", "info", "read.a", "--json"))[0]
        self.assertEqual(info["next_offset"], 30)
        self.assertEqual(info["evidence"], "record")
        self.assertEqual(cli.run(self.url, "topic", "info", "no.such.topic").returncode, cli.NOT_FOUND)
        self.assertEqual(cli.run(self.url, "topic", "ls", "no.such.>", "--json").stdout, b"")

    def test_log_info_and_ping(self):
        info = cli.lines(cli.run(self.url, "log", "info", "--json"))[0]
        self.assertEqual(info["domain"], "local/dev")
        self.assertEqual(info["log_id"], self.replay("read.a", "--limit", "1")[0]["log_id"])
        self.assertIn(b"local/dev", cli.run(self.url, "log", "info").stdout)
        answers = cli.lines(cli.run(self.url, "ping", "--count", "3", "--json"))
        self.assertEqual(len(answers), 3)
        self.assertTrue(all(a["round_trip_us"] > 0 for a in answers))

    def test_closed_pipe_ends_quietly(self):
        cli.run(self.url, "pub", "wide.topic", "--lines", data=b"z" * 1000 + b"\n" + (b"z" * 1000 + b"\n") * 3000)
        read, write = os.pipe()
        replay = cli.start(self.url, "replay", "wide.topic", "--json", stdout=write, stderr=subprocess.PIPE)
        os.close(write)
        os.read(read, 100)
        os.close(read)
        _, errors = replay.communicate(timeout=cli.TIMEOUT_S)
        self.assertEqual(replay.returncode, cli.CANCELLED)
        self.assertNotIn(b"truc:", errors)

    def test_silent_tail_notices_a_closed_pipe(self):
        read, write = os.pipe()
        tail = cli.start(self.url, "tail", "never.published", stdout=write, stderr=subprocess.DEVNULL)
        os.close(write)
        os.close(read)
        self.assertEqual(tail.wait(timeout=cli.TIMEOUT_S), cli.CANCELLED)


class VerifyTest(unittest.TestCase):
    def test_good_log_holds_and_damaged_one_names_the_place(self):
        with broker.Broker() as own:
            for number in range(5):
                cli.run(own.url, "pub", "verify.me", "--lines", data=b"0123456789abcdef%d\n" % number * 1000)
            own.stop()
            report = cli.lines(cli.run(None, "log", "verify", own.directory, "--json"))[0]
            self.assertEqual(report["status"], "OK")
            self.assertEqual(report["records"], 5000)
            self.assertIsNone(report["bad"])
            self.assertIn(b"everything holds", cli.run(None, "log", "verify", own.directory).stdout)
            segment = self.damage(own.directory, b"0123456789abcdef3")
            done = cli.run(None, "log", "verify", own.directory, "--json")
            self.assertEqual(done.returncode, cli.DAMAGED, segment)
            bad = json.loads(done.stdout)["bad"]
            self.assertIsNotNone(bad["position"])
            self.assertIn(b"DAMAGED (38)", done.stderr)
            self.assertIn(b"position %d" % bad["position"], done.stderr)

    @staticmethod
    def damage(directory, needle):
        """Flips one bit where the needle is stored first, and in stale copies of it that LMDB may have left in the file."""
        for folder, _, names in sorted(os.walk(directory)):
            for name in sorted(names):
                path = os.path.join(folder, name)
                with open(path, "r+b") as file:
                    content = file.read()
                    wide = content.find(needle)
                    if wide < 0:
                        continue
                    needle = content[wide:wide + 256]  # of one batch only, with its neighbourhood
                    at = wide
                    while at >= 0:
                        file.seek(at)
                        file.write(bytes([content[at] ^ 1]))
                        at = content.find(needle, at + 1)
                    return path
        raise AssertionError("the records are nowhere in %s" % directory)

    def test_not_a_log_is_not_found(self):
        self.assertEqual(cli.run(None, "log", "verify", "/nonexistent").returncode, cli.NOT_FOUND)
        self.assertEqual(cli.run(None, "log", "verify", os.path.dirname(os.path.abspath(__file__))).returncode, cli.NOT_FOUND)


if __name__ == "__main__":
    unittest.main()
