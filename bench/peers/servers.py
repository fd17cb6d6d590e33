"""The servers of the comparison: how each is found or installed, started fresh for a row, and ended.

Every server listens on loopback and gets a data directory of its own; nothing is tuned beyond what the settings here state.
"""

import os
import shutil
import signal
import socket
import subprocess
import time

START_TIMEOUT_S = 60


class Unavailable(Exception):
    """The system cannot be had here; the text says why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_port(port, process, name):
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode} while starting")
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{name} does not answer on port {port}")


class Server:
    """One running server: a process and the directory with its data, both gone when it is closed."""

    def __init__(self, command, directory, env=None):
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        self.log = open(os.path.join(directory, "server.log"), "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, cwd=directory,
                                        env=env)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class System:
    """A system under comparison. name: as in the rows. settings: what it runs with, in words."""

    name = settings = ""
    without = ()  # works that it has no way of doing

    def prepare(self, tools_directory):
        """Installs what is missing, or raises Unavailable."""

    def start(self, directory):
        """Starts a fresh server; returns (Server, address)."""
        raise NotImplementedError

    def command(self, work, address, options):
        """The client's command line for a work."""
        raise NotImplementedError


class Redis(System):
    name = "redis"
    client = "peer_redis"
    settings = "redis-server, appendonly yes, appendfsync always, no RDB snapshots; XADD pipelined over 16 connections"

    def prepare(self, tools_directory):
        if not shutil.which("redis-server"):
            raise Unavailable("redis-server is not installed")

    def start(self, directory):
        port = free_port()
        server = Server(["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", directory, "--appendonly", "yes",
                         "--appendfsync", "always", "--save", ""], directory)
        await_port(port, server.process, self.name)
        return server, str(port)

    def command(self, work, address, options):
        return [options.client(self.client), "--address", address, "--work", work, "--seconds", str(options.seconds),
                "--warmup", str(options.warmup), "--fill", str(options.fill)]


class JetStream(System):
    name = "jetstream"
    client = "peer_nats"
    settings = "Debian's nats-server with JetStream's defaults (does not flush before it acknowledges); js_PublishAsync"
    binary = "nats-server"
    sync_always = False

    def prepare(self, tools_directory):
        if not shutil.which(self.binary):
            raise Unavailable("nats-server is not installed")

    def start(self, directory):
        port = free_port()
        os.makedirs(directory, exist_ok=True)
        config = os.path.join(directory, "nats.conf")
        with open(config, "w", encoding="ascii") as out:
            sync = ", sync_interval: always" if self.sync_always else ""
            out.write(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{directory}/store"{sync} }}\n')
        server = Server([self.binary, "-c", config], directory)
        await_port(port, server.process, self.name)
        return server, f"nats://127.0.0.1:{port}"

    command = Redis.command


class JetStreamLatest(JetStream):
    name = "jetstream_latest"
    settings = "newest nats-server from the Go module proxy, JetStream's defaults"

    def prepare(self, tools_directory):
        self.binary = os.path.join(tools_directory, "nats-server")
        if os.path.exists(self.binary):
            return
        if not shutil.which("go"):
            raise Unavailable("go is not installed")
        environment = dict(os.environ, GOBIN=tools_directory, GOFLAGS="-mod=mod")
        done = subprocess.run(["go", "install", "github.com/nats-io/nats-server/v2@latest"], env=environment,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unavailable("go install of nats-server failed: " + done.stderr.strip()[-200:])


class JetStreamAlways(JetStreamLatest):
    name = "jetstream_always"
    settings = "newest nats-server, sync_interval: always"
    sync_always = True


class Kafka(System):
    name = "kafka"
    client = "peer_kafka"
    version = "4.1.0"
    without = ("work_128",)  # librdkafka has no share groups
    settings = f"Apache Kafka {version}, KRaft, one node, defaults (does not flush); librdkafka, acks=all, linger 5 ms"
    flush = False

    def prepare(self, tools_directory):
        self.libraries = os.path.join(tools_directory, "kafka-" + self.version)
        if not shutil.which("java") or not shutil.which("mvn"):
            raise Unavailable("java and mvn are not installed")
        if os.path.exists(os.path.join(self.libraries, f"kafka_2.13-{self.version}.jar")):
            return
        os.makedirs(self.libraries, exist_ok=True)
        pom = os.path.join(self.libraries, "pom.xml")
        with open(pom, "w", encoding="ascii") as out:
            out.write("<project><modelVersion>4.0.0</modelVersion><groupId>bench</groupId><artifactId>kafka</artifactId>"
                      "<version>1</version><dependencies><dependency><groupId>org.apache.kafka</groupId>"
                      f"<artifactId>kafka_2.13</artifactId><version>{self.version}</version></dependency></dependencies></project>")
        done = subprocess.run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory=" + self.libraries],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unavailable("Maven cannot fetch Kafka: " + done.stdout.strip()[-200:])

    def java(self, *arguments):
        return ["java", "-Xmx1G", "-Xms1G", "-cp", self.libraries + "/*", *arguments]

    def start(self, directory):
        port, controller = free_port(), free_port()
        os.makedirs(directory, exist_ok=True)
        config = os.path.join(directory, "server.properties")
        with open(config, "w", encoding="ascii") as out:
            out.write(f"""process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={directory}/logs
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
""")
        subprocess.run(self.java("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", config), check=True,
                       capture_output=True)
        server = Server(self.java("kafka.Kafka", config), directory)
        await_port(port, server.process, self.name)
        return server, f"127.0.0.1:{port}"

    def command(self, work, address, options):
        return Redis.command(self, work, address, options) + (["--flush"] if self.flush else [])


class KafkaFlush(Kafka):
    name = "kafka_flush"
    settings = f"Apache Kafka {Kafka.version}, the topic with flush.messages=1"
    flush = True


class Truc(System):
    name = "truc"
    settings = "trucd with its defaults: LMDB engine, everything acknowledged is on disk; libtruc with its defaults"
    evidence = "record"

    def start(self, directory):
        server = Server([self.options.client("trucd"), "--data", os.path.join(directory, "data"), "--listen", "tcp://127.0.0.1:0"],
                        directory)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            with open(os.path.join(directory, "server.log"), encoding="utf-8", errors="replace") as log:
                for line in log:
                    if line.startswith("ready listen=") and line.endswith("\n"):
                        return server, line.strip().partition("=")[2]
            if server.process.poll() is not None:
                raise RuntimeError(f"trucd ended with {server.process.returncode} while starting")
            time.sleep(0.02)
        raise RuntimeError("trucd does not get ready")

    def command(self, work, address, options):
        common = ["--seconds", f"{options.seconds}s", "--warmup", f"{options.warmup}s", "--no-environment"]
        size = ["--size", "1024" if "_1k" in work else "128"]
        evidence = ["--evidence", "batch" if work.endswith("_batch") else "record"]
        shape = {"publish_400_sync_128": ["--waiting", "400"], "publish_400_conn_128": ["--waiting", "400", "--connections", "400"],
                 "publish_1_sync_128": ["--waiting", "1"]}.get(work, [])
        if work == "work_128":
            return [options.client("truc"), "--url", address, "--json", "bench", "work", "--seconds", f"{options.seconds}s",
                    "--no-environment", "--fill", str(options.fill), "--keys", "100000", "--skew", "1", "--workers", "8"]
        verb = ["read", "--fill", str(options.fill)] if work == "read_128" else ["pub"]
        return [options.client("truc"), "--url", address, "--json", "bench", *verb, *common, *size, *evidence, *shape]


SYSTEMS = [Truc, Redis, JetStream]
OPTIONAL = {"nats-latest": [JetStreamLatest, JetStreamAlways], "kafka": [Kafka, KafkaFlush]}
