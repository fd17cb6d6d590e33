"""truc with wrong input: each ends with its own exit code and a line that says what and what next; none with a crash."""

import os
import re
import socket
import subprocess
import tempfile
import unittest

import broker
import cli


class WrongTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = broker.Broker().__enter__()
        cls.addClassCleanup(cls.broker.__exit__, None, None, None)
        cls.url = cls.broker.url

    def fails(self, code, *arguments, says=b"", url=None, data=None, **more):
        done = cli.run(self.url if url is None else url, *arguments, data=data, **more)
        text = done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, code, "%s: %s" % (arguments, text))
        self.assertRegex(text, r"(?m)^truc: [A-Z_]+ \(%d\): .+; .+$" % code)
        self.assertIn(says, done.stderr)
        return done

    def test_usage_errors_name_what_is_wrong(self):
        for arguments, says in (
                ((), b"truc help"),
                (("pbu", "x"), b"did you mean `pub`"),
                (("topic",), b"`topic ls` `topic info`"),
                (("topic", "lst"), b"topic"),
                (("pub",), b"needs TOPIC"),
                (("pub", "a", "b", "c"), b"several topics need --together"),
                (("pub", "a", "--kye", "x"), b"did you mean --key?"),
                (("--jsno", "pub", "a"), b"--json"),
                (("pub", "a", "--header", "novalue"), b"NAME=VALUE"),
                (("pub", "a", "--codec", "gzip"), b"none lz4 zstd"),
                (("pub", "a", "--time", "soon"), b"--time"),
                (("pub", "a", "--id", "hex:0"), b"--id"),
                (("pub", "a", "--lines", "--id", "x"), b"--lines"),
                (("tail", "a", "--limit", "0"), b"--limit"),
                (("tail", "a.>", "--from", "5"), b"exact topic"),
                (("tail", "a", "--from", "whenever"), b"--from"),
                (("replay", "a.>", "--from", "5"), b"exact topic"),
                (("replay", "a", "--from", "5", "--since", "-1h"), b"--from and --since"),
                (("replay", "a", "--from", "9", "--to", "5"), b"--to 5"),
                (("replay", "a", "--since", "-1h", "--until", "-2h"), b"--until"),
                (("replay", "a", "--since", "2020-02-30"), b"calendar"),
                (("replay", "a", "--raw", "--json"), b"--raw"),
                (("replay", "a", "--raw", "--digest"), b"--raw"),
                (("ping", "--count", "many"), b"--count"),
                (("ping", "--timeout", "long"), b"--timeout"),
                (("ping", "--zone", "Mars/Olympus"), b"--zone"),
                (("help", "pubb"), b"pub"),
                (("version", "x"), b"no arguments")):
            with self.subTest(arguments):
                self.fails(cli.USAGE, *arguments, says=says)

    def test_bad_names(self):
        for topic in ("", ".", "a..b", "a b", "a.*", "a.>", "đ", "x" * 256, ".".join("x" * 33)):
            with self.subTest(topic):
                self.fails(cli.BAD_TOPIC, "pub", topic)
        for pattern in ("", "a.>.b", "**.a", "a.*b", "a b"):
            with self.subTest(pattern):
                self.fails(cli.BAD_PATTERN, "replay", pattern)
                self.fails(cli.BAD_PATTERN, "tail", pattern)
        for source in ("H26", "H26/", "/portal", "h26/portal", "H26/portal/x"):
            with self.subTest(source):
                self.fails(cli.BAD_SOURCE, "--source", source, "pub", "a")
        self.fails(cli.BAD_SOURCE, "pub", "a", TRUC_SOURCE="nobody")

    def test_bad_record_fields(self):
        bad = os.fsdecode(b"\xff\xfe")
        for option in ("key", "type", "content-type", "schema", "correlation"):
            with self.subTest(option):
                self.fails(cli.BAD_RECORD, "pub", "a.topic", "--" + option, bad, says=b"UTF-8")
                self.fails(cli.BAD_RECORD, "pub", "a.topic", "--" + option, "x" * 1025)
        self.fails(cli.BAD_RECORD, "pub", "a.topic", "--header", "a=" + bad, says=b"UTF-8")
        self.fails(cli.BAD_RECORD, "pub", "a.topic", "--key", "line\nbreak", says=b"control")
        self.fails(cli.BAD_RECORD, "pub", "a.topic", *["--header=a=1"] * 65, says=b"64")
        self.assertEqual(cli.run(self.url, "topic", "ls", "a.topic").stdout.count(b"a.topic"), 0)

    def test_bad_files(self):
        self.fails(cli.IO, "pub", "a.topic", "/nonexistent/file", says=b"/nonexistent/file")
        self.fails(cli.IO, "pub", "a.topic", "/", says=b"/")
        with open("/dev/full", "wb") as full:
            done = subprocess.run([cli.TRUC, "explain"], stdout=full, stderr=subprocess.PIPE, check=False, timeout=cli.TIMEOUT_S)
        self.assertEqual(done.returncode, cli.IO)
        self.assertIn(b"standard output", done.stderr)

    def test_closed_descriptors_are_never_mixed_up_with_sockets(self):
        for shell, code in (('"$0" pub closed.in <&-', cli.IO), ('echo x | "$0" pub closed.out >&-', cli.IO),
                            ('echo x | "$0" pub closed.err 2>&-', cli.OK)):
            with self.subTest(shell):
                done = subprocess.run(["sh", "-c", shell, cli.TRUC], env=cli.environment(self.url), check=False,
                                      stdin=subprocess.DEVNULL, capture_output=True, timeout=cli.TIMEOUT_S)
                self.assertEqual(done.returncode, code, done.stderr)

    def test_huge_inputs_are_refused_without_reading_on(self):
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(1 << 40)  # sparse: reading it to its end would take minutes
            self.fails(cli.RECORD_TOO_LARGE, "pub", "a.topic", file.name)
            self.fails(cli.RECORD_TOO_LARGE, "pub", "a.topic", file.name, "--lines", says=b"line 1")

    def test_record_above_the_topics_limit_is_refused_and_named(self):
        good, large = b"x\n", b"x" * (1024 * 1024 + 100)
        done = self.fails(cli.RECORD_TOO_LARGE, "pub", "limit.topic", "--lines", data=good + large + b"\n" + good)
        self.assertIn(b"record 2", done.stderr)
        stored = cli.lines(cli.run(self.url, "replay", "limit.topic", "--json"))
        self.assertEqual([r["offset"] for r in stored], list(range(len(stored))))

    def test_unreachable_broker(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))  # bound, not listening: refused
            url = "tcp://127.0.0.1:%d" % listener.getsockname()[1]
            for arguments in (("ping",), ("pub", "a"), ("replay", "a"), ("tail", "a"), ("topic", "ls"), ("topic", "info", "a"),
                              ("log", "info")):
                with self.subTest(arguments):
                    self.fails(cli.UNREACHABLE, *arguments, "--timeout", "300ms", url=url, says=url.encode())
        self.fails(cli.UNREACHABLE, "ping", "--timeout", "300ms", url="ipc:///nonexistent/socket")

    def test_something_else_listens(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            url = "tcp://127.0.0.1:%d" % listener.getsockname()[1]
            done = cli.run(url, "ping", "--timeout", "300ms")  # accepts and says nothing
            self.assertIn(done.returncode, (cli.TIMED_OUT, cli.UNREACHABLE))

    def test_other_domain_is_refused(self):
        self.fails(cli.LOG_MISMATCH, "ping", "--domain", "H26/prod")

    def test_broker_that_dies_while_publishing_is_noticed(self):
        with broker.Broker() as own:
            process = cli.start(own.url, "pub", "dying.topic", "--lines", "--timeout", "2s", stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            process.stdin.write(b"1\n" * 1000)
            process.stdin.flush()
            broker.eventually(lambda: b"dying.topic" in cli.run(own.url, "topic", "ls").stdout)
            own.kill()
            _, errors = process.communicate(b"2\n" * 1000, timeout=cli.TIMEOUT_S)
            self.assertIn(process.returncode, (cli.TIMED_OUT, cli.UNREACHABLE))
            self.assertRegex(errors, rb"not acknowledged")

    def test_unknown_code_is_not_found(self):
        self.fails(cli.NOT_FOUND, "explain", "99")
        self.fails(cli.NOT_FOUND, "explain", "DAMAGD", says=b"DAMAGED")
        self.assertEqual(cli.run(self.url, "explain", "38").returncode, 0)


class HelpTest(unittest.TestCase):
    def test_every_verb_explains_itself_with_an_example_first(self):
        overview = cli.run(None, "help").stdout.decode()
        listed = overview.split("verbs:\n")[1].split("\n\n")[0]
        verbs = re.findall(r"^  ((?:topic |log |bench |subscription |dead )?[a-z0-9]+) .*$", listed, re.M)
        self.assertGreaterEqual(len(verbs), 12)
        for verb in verbs:
            with self.subTest(verb):
                page = cli.run(None, "help", *verb.split())
                self.assertEqual(page.returncode, 0)
                self.assertRegex(page.stdout.decode().split("\n\n")[0], r"^  .*truc %s" % verb)
                self.assertEqual(page.stdout, cli.run(None, *verb.split(), "--help").stdout)
                self.assertIn(b"exit codes:", page.stdout)

    def test_explain_lists_what_the_library_knows(self):
        listed = cli.lines(cli.run(None, "explain", "--json"))
        self.assertEqual([entry["code"] for entry in listed], sorted(entry["code"] for entry in listed))
        for entry in listed:
            self.assertEqual(cli.lines(cli.run(None, "explain", entry["name"].lower(), "--json")), [entry])

    def test_man_page_and_completion(self):
        self.assertTrue(cli.run(None, "help", "--man").stdout.startswith(b".TH TRUC 1"))
        script = cli.run(None, "help", "--completion").stdout
        self.assertEqual(subprocess.run(["bash", "-n"], input=script, check=False, timeout=30).returncode, 0)


if __name__ == "__main__":
    unittest.main()
