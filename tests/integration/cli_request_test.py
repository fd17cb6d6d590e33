"""truc request, truc serve: asked, answered, in time or not, by servers that may die."""

import json
import os
import signal
import subprocess
import tempfile
import unittest

import broker
import cli

UNSUPPORTED = 6


class RequestTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = broker.Broker().__enter__()
        cls.addClassCleanup(cls.broker.__exit__, None, None, None)

    @property
    def url(self):
        return self.broker.url

    def create(self, name, pattern, *arguments):
        done = cli.run(self.url, "subscription", "create", name, pattern, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)

    def info(self, name):
        return cli.lines(cli.run(self.url, "subscription", "info", name, "--json"))[0]

    def serve(self, name, command, *arguments):
        server = cli.start(self.url, "serve", name, "--exec", command, *arguments, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, server)
        self.assertTrue(broker.eventually(lambda: self.info(name)["connected"] > 0, timeout=30))
        return server

    @staticmethod
    def end(server):
        if server.poll() is None:
            server.kill()
        server.wait()

    def ask(self, topic, data, *arguments, **more):
        return cli.run(self.url, "request", topic, "-", *arguments, data=data, **more)

    def test_reply_is_printed_and_stands_in_the_log(self):
        self.create("echo", "echo.>")
        server = self.serve("echo", "echo \"$TRUC_KEY $TRUC_TYPE $(cat)\"", "--type", "echo.reply")
        done = self.ask("echo.a", b"hello", "--key", "k1", "--type", "echo.request")
        self.assertEqual((done.returncode, done.stdout), (0, b"k1 echo.request hello\n\n"), done.stderr)
        reply, = cli.lines(cli.run(self.url, "request", "echo.a", '{"n":1}', "--json", "--source", "H26.16/portal"))
        self.assertEqual((reply["topic"], reply["type"], reply["source"]), ("reply.H26.16.portal", "echo.reply", "local/dev"))
        request = cli.lines(cli.run(self.url, "replay", "echo.a", "--json"))[1]
        self.assertEqual((request["data"], request["headers"]["reply-to"]), ({"n": 1}, "reply.H26.16.portal"))
        self.assertEqual(request["headers"]["reply-key"], reply["key"])
        self.assertEqual(request["correlation_id"], reply["correlation_id"])
        relation = reply["relates_to"]
        self.assertEqual((relation["topic"], relation["offset"], relation["relation"]), ("echo.a", 1, "reply"))
        self.assertEqual(relation["id"], request["id"])
        server.send_signal(signal.SIGINT)
        self.assertEqual(server.wait(), 0)
        self.assertEqual(self.info("echo")["acknowledged"], 2)

    def test_nobody_there_times_out_and_is_not_served_later(self):
        self.create("late", "late.>")
        self.assertEqual(self.ask("late.a", b"x", "--timeout", "200ms").returncode, cli.TIMED_OUT)
        with tempfile.TemporaryDirectory() as base:
            self.serve("late", "cat; echo served >> %s/served" % base, "--workers", "1")
            self.assertEqual(self.ask("late.a", b"y", "--timeout", "20s").stdout, b"y\n")
            with open(os.path.join(base, "served"), encoding="ascii") as served:
                self.assertEqual(served.read(), "served\n")
        self.assertEqual(len(cli.lines(cli.run(self.url, "replay", "late.a", "--json"))), 2)

    def test_refused_comes_again_and_rejected_is_dead(self):
        self.create("moody", "moody.>", "--attempts", "3")
        self.serve("moody", "test $TRUC_ATTEMPT -ge 3 && echo at last", "--workers", "1")
        self.assertEqual(self.ask("moody.a", b"x", "--timeout", "20s").stdout, b"at last\n\n")
        self.create("strict", "strict.>")
        self.serve("strict", "exit 65")
        self.assertEqual(self.ask("strict.a", b"x", "--timeout", "500ms").returncode, cli.TIMED_OUT)
        done = cli.run(self.url, "pub", "strict.a", data=b"no request")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(broker.eventually(lambda: self.info("strict")["dead"] == 2, timeout=30))

    def test_killed_server_is_replaced(self):
        self.create("killed", "killed.>")
        with tempfile.TemporaryDirectory() as base:
            mark = os.path.join(base, "begun")
            first = self.serve("killed", "echo > %s; exec sleep 600" % mark, "--workers", "1")
            asking = cli.start(self.url, "request", "killed.a", "x", "--timeout", "60s", stdout=subprocess.PIPE)
            self.addCleanup(self.end, asking)
            self.assertTrue(broker.eventually(lambda: os.path.exists(mark), timeout=30))
            first.kill()
            first.wait()
            self.serve("killed", "echo attempt $TRUC_ATTEMPT")
            output, _ = asking.communicate(timeout=cli.TIMEOUT_S)
        self.assertEqual((asking.returncode, output), (0, b"attempt 2\n\n"))

    def test_broker_killed_while_many_ask(self):
        self.create("restart", "restart.>")
        self.serve("restart", "cat", "--workers", "2")
        asking = [cli.start(self.url, "request", "restart.a", "q%d" % number, "--timeout", "60s", stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL) for number in range(8)]
        self.broker.restart()
        for number, one in enumerate(asking):
            output, _ = one.communicate(timeout=cli.TIMEOUT_S)
            if one.returncode == 0:  # whoever was not connected yet, or whose unnamed producer was lost, says so
                self.assertEqual(output, b"q%d\n" % number)
            else:
                self.assertNotEqual(one.returncode, cli.TIMED_OUT)

    def test_wrong_input_is_named(self):
        self.create("in-order", "in-order.>", "--mode", "ordered")
        for code, word, arguments in (
                (cli.BAD_TOPIC, b"a..b", ("request", "a..b", "x")),
                (cli.USAGE, b"exec", ("serve", "in-order")),
                (cli.NOT_FOUND, b"nothing", ("serve", "nothing", "--exec", "cat")),
                (UNSUPPORTED, b"shared", ("serve", "in-order", "--exec", "cat")),
                (cli.USAGE, b"workers", ("serve", "in-order", "--exec", "cat", "--workers", "0")),
                (cli.USAGE, b"header", ("request", "a.b", "x", "--header", "=1")),
                (3, b"reply-to", ("request", "a.b", "x", "--header", "reply-to=reply.me"))):
            done = cli.run(self.url, *arguments)
            self.assertEqual((done.returncode, word in done.stderr), (code, True), done.stderr)
        self.assertEqual(json.loads(cli.run(self.url, "topic", "ls", "a.b", "--json").stdout or b"[]"), [])


if __name__ == "__main__":
    unittest.main()
