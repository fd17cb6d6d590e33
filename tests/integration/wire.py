"""A raw client of Truc's wire protocol, for tests that must be able to lie.

It speaks docs/protocol.md by hand: no libtruc, no protobuf library, standard Python only. Nothing in here protects the
caller from sending nonsense: every builder returns bytes that a test may cut, flip or stretch before it sends them.
One thread per Client.
"""

import hashlib
import os
import socket
import struct
import time
from collections import namedtuple

PREFIX = struct.Struct("<IHBBQ")  # body size, header size, kind, flags, request id

HELLO, HELLO_OK, LOGIN, LOGIN_OK, ERROR, GOAWAY, PING, PONG = range(1, 9)
PRODUCER_OPEN, PRODUCER_OK, PUBLISH, PUBLISH_OK = range(16, 20)
READ, READ_OK, READ_DATA, READ_END, CREDIT, CANCEL = range(32, 38)
TOPICS, TOPICS_OK, LOG_INFO, LOG_INFO_OK = range(48, 52)

CODEC_NONE, CODEC_LZ4, CODEC_ZSTD = range(3)
EVIDENCE_RECORD, EVIDENCE_BATCH = 1, 2

# proto/status.def: the ones that tests name
OK = 0
INVALID_ARGUMENT = 3
PROTOCOL, VERSION_MISMATCH, LOG_MISMATCH = 11, 12, 13
FRAME_TOO_LARGE, RECORD_TOO_LARGE, BATCH_TOO_LARGE = 15, 16, 17
BAD_TOPIC, BAD_PATTERN, BAD_SOURCE, BAD_RECORD, BAD_BATCH, BAD_CODEC = 18, 19, 20, 21, 22, 23
BUSY, CREDIT_EXCEEDED = 25, 26
DUPLICATE, OUT_OF_SEQUENCE, FENCED, UNKNOWN_PRODUCER = 28, 29, 30, 31
EVIDENCE_MISMATCH, CONFLICT = 32, 35
NOT_FOUND, OUT_OF_RANGE, DISK_FULL, CLOCK_BEHIND, DAMAGED, LOCKED = 33, 34, 36, 37, 38, 39
NOT_LOGGED_IN, NOT_ALLOWED, TOO_MANY = 42, 43, 44

Frame = namedtuple("Frame", "kind request_id header payload")


class Closed(Exception):
    """The broker ended the connection."""


class Refused(Exception):
    """The broker answered with an ERROR frame."""

    def __init__(self, status, message, retry_after_ms, actual):
        super().__init__("status %d: %s" % (status, message))
        self.status, self.message, self.retry_after_ms, self.actual = status, message, retry_after_ms, actual


# --- protobuf by hand ---------------------------------------------------------------------------------------------------


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def field_uint(number, value):
    return varint(number << 3) + varint(value) if value else b""


def field_bytes(number, value):
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value if value else b""


def field_fixed32(number, value):
    return varint(number << 3 | 5) + struct.pack("<I", value) if value else b""


def field_fixed64(number, value):
    return varint(number << 3 | 1) + struct.pack("<q", value) if value else b""


def decode(data):
    """A message as {number: [values]}: integers for varints and fixed fields, bytes for the rest."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = read_varint(data, at)
        elif kind == 1:
            value = struct.unpack_from("<q", data, at)[0]
            at += 8
        elif kind == 2:
            size, at = read_varint(data, at)
            value = bytes(data[at:at + size])
            at += size
        elif kind == 5:
            value = struct.unpack_from("<I", data, at)[0]
            at += 4
        else:
            raise ValueError("wire type %d" % kind)
        fields.setdefault(number, []).append(value)
    return fields


def first(fields, number, default=0):
    return fields.get(number, [default])[0]


# --- records, batches, entries ------------------------------------------------------------------------------------------


def record(data, key="", kind="", record_id=None, time_ns=0):
    return (field_bytes(1, record_id if record_id is not None else os.urandom(16)) + field_bytes(2, kind) + field_bytes(3, key)
            + field_fixed64(4, time_ns) + field_bytes(8, data))


def payload_of(records):
    return b"".join(varint(len(one)) + one for one in records)


def batch_header(topic, producer_id, epoch, first_sequence, count, source="local", system="test", evidence=EVIDENCE_RECORD,
                 deliver_at_ns=0, expected_offset=None):
    return (field_bytes(1, topic) + field_bytes(2, source) + field_bytes(3, system) + field_uint(5, evidence)
            + field_uint(6, producer_id) + field_uint(7, epoch) + field_uint(8, first_sequence) + field_uint(9, count)
            + field_fixed64(10, deliver_at_ns)
            + (b"" if expected_offset is None else varint(11 << 3) + varint(expected_offset)))  # 0 is an expectation too


def batch_raw(header, stored, raw_size=None, codec=CODEC_NONE, seed=None, signature=b"", stored_size=None):
    """A batch with any of its claims open to lies."""
    prefix = struct.pack("<4sHBBIIIIQ", b"TRB1", 1, codec, 0, len(header), len(signature),
                         len(stored) if stored_size is None else stored_size, len(stored) if raw_size is None else raw_size, 0)
    return prefix + (seed or os.urandom(32)) + header + signature + stored


def batch(topic, producer_id, epoch, first_sequence, records, **options):
    return batch_raw(batch_header(topic, producer_id, epoch, first_sequence, len(records), **options), payload_of(records))


Entry = namedtuple("Entry", "position topic base_offset count append_time_ns leaf leaf_hash batch encoded")


def entries_of(payload):
    """The served entries of a READ_DATA payload (docs/format.md, Entry and Leaf)."""
    at = 0
    while at < len(payload):
        count = struct.unpack_from("<I", payload, at + 12)[0]
        leaf_size = struct.unpack_from("<I", payload, at + 28)[0]
        batch_size = struct.unpack_from("<I", payload, at + 40)[0]
        leaf = payload[at + 64:at + 64 + leaf_size]
        batch_at = at + 64 + (leaf_size + 7 & ~7)
        end = batch_at + (batch_size + 7 & ~7)
        if end > len(payload) or len(leaf) < 224:
            raise ValueError("a READ_DATA payload ends within an entry")
        position, base_offset, append_time_ns = struct.unpack_from("<QQq", leaf, 24)
        yield Entry(position, leaf[224:].decode(), base_offset, count, append_time_ns, leaf,
                    hashlib.sha256(b"\0" + leaf).digest(), payload[batch_at:batch_at + batch_size], payload[at:end])
        at = end


def records_of(entry):
    """The records of an entry whose codec is none, as field dictionaries."""
    header_size, signature_size, stored_size = struct.unpack_from("<III", entry.batch, 8)
    if entry.batch[6] != CODEC_NONE:
        raise ValueError("the entry is compressed")
    at = 64 + header_size + signature_size
    end = at + stored_size
    while at < end:
        size, at = read_varint(entry.batch, at)
        yield decode(entry.batch[at:at + size])
        at += size


# --- the connection -----------------------------------------------------------------------------------------------------


def frame(kind, request_id=0, header=b"", payload=b""):
    return PREFIX.pack(len(header) + len(payload), len(header), kind, 0, request_id) + header + payload


def dial(url, timeout=20.0):
    """A connected socket for tcp://HOST:PORT or ipc://PATH."""
    if url.startswith("ipc://"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(url[len("ipc://"):])
        return sock
    host, port = url[len("tcp://"):].rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def hello_header(version_min=1, version_max=1, magic=0x54525543, domain="", log_id=b"", generation=0):
    return (field_fixed32(1, magic) + field_uint(2, version_min) + field_uint(3, version_max) + field_bytes(4, os.urandom(32))
            + field_bytes(5, domain) + field_bytes(6, log_id) + field_uint(7, generation) + field_bytes(8, "wire.py"))


class Client:
    """A connection; logs in unless told not to. Requests are answered in the caller's time: nothing runs in the background."""

    def __init__(self, url, login=True, source="local", system="test", timeout=20.0):
        self.sock = dial(url, timeout)
        self.buffer = bytearray()
        self.next_id = 1
        self.hello = None
        self.set_aside = []  # frames that came while another request's answer was awaited
        if login:
            self.log_in(source, system)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Closed(str(error)) from error

    def receive(self, timeout=None):
        """The next frame, whatever it is. Closed at the end of the stream, TimeoutError when nothing comes."""
        if timeout is not None:
            self.sock.settimeout(timeout)
        while True:
            if len(self.buffer) >= PREFIX.size:
                size, header_size, kind, _, request_id = PREFIX.unpack_from(self.buffer)
                if len(self.buffer) >= PREFIX.size + size:
                    body = bytes(self.buffer[PREFIX.size:PREFIX.size + size])
                    del self.buffer[:PREFIX.size + size]
                    return Frame(kind, request_id, body[:header_size], body[header_size:])
            try:
                data = self.sock.recv(1 << 20)
            except (ConnectionError, BrokenPipeError) as error:
                raise Closed(str(error)) from error
            if not data:
                raise Closed("end of stream")
            self.buffer += data

    def request_id(self):
        self.next_id += 1
        return self.next_id - 1

    def answer(self, request_id, timeout=None):
        """The next frame of a request; an ERROR for it, or for the whole connection, is raised."""
        for number, waiting in enumerate(self.set_aside):
            if waiting.request_id == request_id:
                del self.set_aside[number]
                return self.judged(waiting)
        while True:
            got = self.receive(timeout)
            if got.request_id == request_id or got.kind == ERROR and got.request_id == 0:
                return self.judged(got)
            if got.kind != GOAWAY:
                self.set_aside.append(got)

    @staticmethod
    def judged(got):
        if got.kind == ERROR:
            fields = decode(got.header)
            raise Refused(first(fields, 1), first(fields, 2, b"").decode(), first(fields, 3), first(fields, 4))
        return got

    def ask(self, kind, header=b"", payload=b"", timeout=None):
        request_id = self.request_id()
        self.send(frame(kind, request_id, header, payload))
        return self.answer(request_id, timeout)

    def log_in(self, source="local", system="test"):
        self.hello = decode(self.ask(HELLO, hello_header()).header)
        self.ask(LOGIN, field_bytes(1, "none") + field_bytes(2, source) + field_bytes(3, system))

    def ping(self, timeout=None):
        started = time.monotonic()
        self.ask(PING, timeout=timeout)
        return time.monotonic() - started

    def log_info(self):
        return decode(self.ask(LOG_INFO).header)

    def durable_position(self):
        return first(self.log_info(), 6)

    def state(self):
        return first(self.log_info(), 14, b"").decode()

    def topics(self, pattern=""):
        """{topic: next offset}"""
        found = {}
        after = b""
        while True:
            answer = decode(self.ask(TOPICS, field_bytes(1, pattern) + field_bytes(2, after) + field_uint(3, 1000)).header)
            for encoded in answer.get(1, []):
                info = decode(encoded)
                after = info[1][0]
                found[after.decode()] = first(info, 4)
            if not first(answer, 2):
                return found

    def open_producer(self, name=""):
        return Producer(self, name)

    def read(self, pattern=">", from_position=None, until_position=None, follow=False, reverse=False, credit=4 << 20, extra=b""):
        """Opens a reader and returns its request id; frames of it come through answer()."""
        request_id = self.request_id()
        header = field_bytes(1, pattern)
        if from_position is not None:
            header += varint(2 << 3 | 2) + self._bound(from_position)
        if until_position is not None:
            header += varint(3 << 3 | 2) + self._bound(until_position)
        header += field_uint(4, int(follow)) + field_uint(5, int(reverse)) + field_uint(6, credit) + extra
        self.send(frame(READ, request_id, header))
        got = self.answer(request_id)
        if got.kind != READ_OK:
            raise ValueError("READ was answered with kind %d" % got.kind)
        return request_id

    @staticmethod
    def _bound(position):
        inside = varint(1 << 3) + varint(position)  # a member of a oneof is encoded even when 0
        return varint(len(inside)) + inside

    def credit(self, request_id, size):
        self.send(frame(CREDIT, request_id, field_uint(1, size)))

    def read_all(self, pattern=">", **options):
        """Every entry up to the durable head, in order; Refused when the reader ends with an error."""
        request_id = self.read(pattern, **options)
        found = []
        while True:
            got = self.answer(request_id)
            if got.kind == READ_END:
                fields = decode(got.header)
                if first(fields, 1) != OK:
                    refused = Refused(first(fields, 1), first(fields, 2, b"").decode(), 0, first(fields, 3))
                    refused.entries = found
                    raise refused
                return found
            found += entries_of(got.payload)
            self.credit(request_id, len(got.payload))


class Producer:
    """A producer of a Client; keeps the sequences of its topics."""

    def __init__(self, client, name=""):
        self.client = client
        fields = decode(client.ask(PRODUCER_OPEN, field_bytes(1, name)).header)
        self.name, self.id, self.epoch = name, first(fields, 1), first(fields, 2)
        self.sequences = {}
        for encoded in fields.get(3, []):
            sequence = decode(encoded)
            self.sequences[sequence[1][0].decode()] = first(sequence, 2)

    def batch(self, topic, records, **options):
        """The next batch of a topic; the sequence moves on."""
        at = self.sequences.get(topic, 0)
        self.sequences[topic] = at + len(records)
        return batch(topic, self.id, self.epoch, at, records, **options)

    def send(self, encoded):
        """Sends a batch without waiting; returns the request id."""
        request_id = self.client.request_id()
        self.client.send(frame(PUBLISH, request_id, b"", encoded))
        return request_id

    def send_together(self, batches, sizes=None):
        """Sends several batches in one PUBLISH, which may lie about their sizes; returns the request id."""
        packed = b"".join(varint(size) for size in (map(len, batches) if sizes is None else sizes))
        request_id = self.client.request_id()
        self.client.send(frame(PUBLISH, request_id, field_bytes(1, packed), b"".join(batches)))
        return request_id

    def resume(self, client):
        """Goes on over another connection, as the same instance."""
        client.ask(PRODUCER_OPEN, field_bytes(1, self.name) + field_uint(2, self.id) + field_uint(3, self.epoch))
        self.client = client

    def publish(self, topic, records, **options):
        """Publishes and waits; {1: position, 2: base offset, 4: duplicate, 5: topic created} as decode() gives it."""
        before = self.sequences.get(topic, 0)
        try:
            return decode(self.client.answer(self.send(self.batch(topic, records, **options))).header)
        except Refused:
            self.sequences[topic] = before
            raise
