"""Brokers to be measured: each on a directory of its own, with their memory watched, and figures printed beside their bars."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time

READY_TIMEOUT_S = 120


class Broker:
    """A trucd on a directory of its own, that can be killed and started again."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, directory
        os.makedirs(directory, exist_ok=True)
        self.process = None

    def start(self):
        """Returns the seconds from exec to ready."""
        began = time.monotonic()
        self.log = open(os.path.join(self.directory, "trucd.log"), "ab")
        self.process = subprocess.Popen([self.binary, "--data", os.path.join(self.directory, "data"), "--listen",
                                         "tcp://127.0.0.1:0"], stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready listen="):
            raise RuntimeError(f"trucd did not start: see {self.log.name}")
        self.url = line.strip().partition("=")[2]
        return time.monotonic() - began

    def anon_kib(self):
        """Anonymous memory now; 0 while it does not run."""
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))
        except (OSError, AttributeError, StopIteration):
            return 0

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(READY_TIMEOUT_S)
        self.process.stdout.close()
        self.log.close()
        self.process = None

    def remove(self):
        if self.process:
            self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class MemoryWatch(threading.Thread):
    """Samples RssAnon of the brokers every second; keeps the largest."""

    def __init__(self):
        super().__init__(daemon=True)
        self.brokers, self.largest_mib, self.over = [], 0.0, threading.Event()

    def run(self):
        while not self.over.wait(1):
            for broker in list(self.brokers):
                self.largest_mib = max(self.largest_mib, broker.anon_kib() / 1024)


class Figures:
    """What benchmarks of this kind have in common."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.truc = os.path.join(os.path.abspath(arguments.bin), "truc")
        self.trucd = os.path.join(os.path.abspath(arguments.bin), "trucd")
        self.watch = MemoryWatch()
        self.missed = 0

    def broker(self, name):
        broker = Broker(self.trucd, os.path.join(self.arguments.dir, name))
        shutil.rmtree(broker.directory, ignore_errors=True)
        os.makedirs(broker.directory)
        broker.start()
        self.watch.brokers.append(broker)
        return broker

    def drop(self, broker):
        self.watch.brokers.remove(broker)
        broker.remove()

    def bench(self, broker, *arguments):
        command = [self.truc, "--url", broker.url, "--json", "--timeout", "600s", "bench", *arguments, "--no-environment"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def window(self):
        return ["--seconds", f"{self.arguments.seconds}s", "--warmup", "1s"]

    def log_info(self, broker):
        done = subprocess.run([self.truc, "--url", broker.url, "--json", "log", "info"], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def report(self, what, value, unit, bar=None, at_least=True):
        verdict = ""
        if bar is not None:
            good = value >= bar if at_least else value <= bar
            self.missed += not good
            verdict = f"  bar {'>=' if at_least else '<='} {bar:g}: {'met' if good else 'MISSED'}"
        print(f"{what:<58}{value:>14,.3f} {unit:<10}{verdict}", flush=True)

    def result(self, name):
        """The last line; 1 when a bar was missed."""
        print(f"{name}: {'all bars met' if not self.missed else f'{self.missed} bars missed'}")
        return 1 if self.missed else 0
