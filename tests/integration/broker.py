"""A trucd of its own for a test: a temporary directory, a port of its own, killed by its process id, started again at will."""

import os
import queue
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import address

BIN = os.path.abspath(os.environ.get("TRUC_BIN", "build/release/bin"))
# Sanitizers slow the broker down and map much more memory; bounds on time and memory take that into account.
SANITIZED = bool(os.environ.get("TRUC_SANITIZED"))
PATIENCE = 4.0 if SANITIZED else 1.0
READY_TIMEOUT_S = 30.0 * PATIENCE


class BrokerFailed(Exception):
    """trucd ended before it was ready; the message is what it logged."""


class Broker:
    """Use as a context manager. url is where it listens; log() is everything it said on stderr so far."""

    def __init__(self, directory=None, listen=None, config="", preload=None, environment=None, arguments=(),
                 wrapper=(), limits=()):
        self.base = tempfile.mkdtemp(prefix="truc-it-")
        self.directory = directory or os.path.join(self.base, "data")
        self.address = None if listen else address.Address()
        self.listen, self.config, self.preload = listen or self.address.url, config, preload
        self.environment, self.arguments = dict(environment or {}), list(arguments)
        self.wrapper, self.limits = list(wrapper), limits
        self.process = None
        self.url = None
        self.starts = 0

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, kind, *_):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if kind is not None:
            print("--- trucd said:\n" + self.log()[-6000:])
        self.remove()

    def remove(self):
        if self.address:
            self.address.release()
        shutil.rmtree(self.base, ignore_errors=True)

    @property
    def log_path(self):
        return os.path.join(self.base, "trucd.log")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    @property
    def pid(self):
        """Of trucd itself: a wrapper must exec it."""
        return self.process.pid

    def start(self):
        """Starts trucd and waits for its `ready listen=URL` line; BrokerFailed with its own words if it ends instead."""
        self.launch()
        self._wait_ready()
        return self

    def launch(self):
        """Starts trucd and does not wait."""
        command = self.wrapper + [os.path.join(BIN, "trucd"), "--data", self.directory, "--listen", self.listen] + self.arguments
        if self.config:
            path = os.path.join(self.base, "trucd.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.config)
            command += ["--config", path]
        environment = dict(os.environ, **self.environment)
        if self.preload:
            # A sanitizer's runtime must stay first; it is in the executable's own list then.
            environment["LD_PRELOAD"] = self.preload
            environment.setdefault("ASAN_OPTIONS", "verify_asan_link_order=0")
        self.starts += 1
        with open(self.log_path, "ab") as errors:
            # No preexec_fn: limits are set from outside, as an operator would.
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment, cwd=self.base)
        for what, value in self.limits:
            resource.prlimit(self.process.pid, what, (value, value))

    def _wait_ready(self):
        lines = queue.Queue()

        def pump(stream):
            with stream:
                for line in stream:
                    lines.put(line.decode(errors="replace"))
            lines.put(None)

        threading.Thread(target=pump, args=(self.process.stdout,), daemon=True).start()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                line = lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                self.kill()
                raise BrokerFailed("not ready within %d s:\n%s" % (READY_TIMEOUT_S, self.log())) from None
            if line is None:
                status = self.process.wait()
                raise BrokerFailed("ended with status %d before it was ready:\n%s" % (status, self.log()))
            if line.startswith("ready listen="):
                self.url = line.split("listen=", 1)[1].split()[0]
                return

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM, as an operator stops it; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30 * PATIENCE)

    def restart(self):
        """Starts again on the same directory and, so that clients find it, the same address."""
        if self.process.poll() is None:
            self.kill()
        self.listen = self.url or self.listen
        return self.start()

    def anonymous_bytes(self):
        """RssAnon of trucd: what it holds beyond mapped files."""
        with open("/proc/%d/status" % self.pid, encoding="ascii") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        raise ValueError("no RssAnon in /proc")

    def descriptor_count(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))


def eventually(check, timeout=20.0, step=0.02):
    """Polls until check() is true; False after the timeout. The one place where tests wait for a condition."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            return value
        threading.Event().wait(step)
