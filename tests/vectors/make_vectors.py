#!/usr/bin/env python3
"""Makes the golden vectors: make_vectors.py VECTORS_PROGRAM FOLDER

Meanings are written here, bytes by the program (`vectors fill`); random bytes come from a fixed seed. Golden bytes never change
once a version that writes them is released: a new version of a format gets new vectors beside the old ones.
"""
import hashlib
import json
import pathlib
import struct
import subprocess
import sys


def noise(label, size):
    """Bytes that look random and are always the same."""
    return hashlib.shake_256(b"truc vectors " + label.encode()).digest(size)


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


class Maker:
    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)

    def write(self, name, about, vectors):
        """Writes a file, has its bytes filled in, and returns hex by vector name."""
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({"about": about, "vectors": vectors}, indent=2) + "\n")
        subprocess.run([self.program, "fill", path], check=True)
        return {v["name"]: v["hex"] for v in json.loads(path.read_text())["vectors"]}


def vector(name, kind, meaning, **more):
    return {"name": name, "kind": kind, "meaning": meaning, **more}


def refused(name, kind, data, status, why):
    return {"name": name, "kind": kind, "hex": data.hex(), "refused": status, "why": why}


LOG_ID = noise("log id", 16).hex()
TOPIC = "dossier.status.H26.16"
SECRET = noise("hash secret", 16).hex()


def frame(name, kind, request_id, header, payload=b""):
    meaning = {"kind": kind, "header": header}
    if request_id:
        meaning["request_id"] = str(request_id)
    if payload:
        meaning["payload"] = payload.hex()
    return vector(name, "frame", meaning)


def raw_frame(kind, header, payload=b"", body=None, flags=0, request_id=1):
    size = len(header) + len(payload) if body is None else body
    return struct.pack("<IHBBQ", size, len(header), kind, flags, request_id) + header + payload


LIMITS = {
    "frame_bytes_max": 8650752, "batch_bytes_max": 8519680, "record_bytes_max": 1048576, "batch_records_max": 65535,
    "batches_in_flight_max": 16, "publish_credit_bytes": "33554432", "read_credit_bytes_max": "67108864", "readers_max": 64,
}


def hello(make):
    make.write("hello", "The first frames of a connection (docs/protocol.md).", [
        frame("client hello, nothing remembered", "HELLO", 1, {
            "magic": 0x54525543, "version_min": 1, "version_max": 1, "nonce": noise("client nonce", 32).hex(),
            "agent": "libtruc/0.1.0"}),
        frame("client hello, a log remembered", "HELLO", 1, {
            "magic": 0x54525543, "version_min": 1, "version_max": 1, "nonce": noise("client nonce", 32).hex(),
            "domain": "H26/prod", "log_id": LOG_ID, "generation": "2", "agent": "libtruc/0.1.0"}),
        frame("server hello", "HELLO_OK", 1, {
            "magic": 0x54525543, "version": 1, "nonce": noise("server nonce", 32).hex(), "domain": "H26/prod", "log_id": LOG_ID,
            "generation": "2", "durable_position": "8577", "durable_block": "431", "limits": LIMITS,
            "capabilities": ["durable", "engine=lmdb", "codec=lz4", "codec=zstd"], "login_algorithms": ["none"],
            "agent": "trucd/0.1.0"}),
        frame("login without authentication", "LOGIN", 2, {"algorithm": "none", "source": "H26.16", "system": "portal"}),
        frame("login accepted", "LOGIN_OK", 2, {"session_id": "17"}),
        frame("hello refused", "ERROR", 1, {"status": 12, "message": "no protocol version in common"}),
        refused("client hello with an unfinished nonce", "frame", raw_frame(1, b"\x22\x20" + noise("cut", 31)), "PROTOCOL",
                "a header cut short"),
        refused("agent that is not UTF-8", "frame", raw_frame(1, field(8, b"\xc0\x80")), "PROTOCOL", "strings are strict UTF-8"),
        refused("domain given twice", "frame", raw_frame(1, field(5, b"a") + field(5, b"b")), "PROTOCOL",
                "singular fields come once"),
    ])


def frames(make, batch):
    make.write("frames", "One frame of every further kind, and frames that end a connection (docs/protocol.md).", [
        frame("smallest frame", "CANCEL", 9, {}),
        frame("ping with a payload to echo", "PING", 3, {}, b"echo"),
        frame("pong", "PONG", 3, {"clock_ns": "1591344000000000001", "durable_position": "8577"}, b"echo"),
        frame("producer open, named", "PRODUCER_OPEN", 4, {"name": "import permit-receipts"}),
        frame("producer open, resumed", "PRODUCER_OPEN", 4, {"resume_id": "7", "resume_epoch": 2, "after_topic": "dossier.a"}),
        frame("producer opened", "PRODUCER_OK", 4, {
            "producer_id": "7", "epoch": 3, "sequences": [{"topic": "dossier.a"}, {"topic": TOPIC, "next_sequence": "8577"}],
            "more": True, "grace_ms": 60000}),
        frame("publish of one batch", "PUBLISH", 5, {}, bytes.fromhex(batch)),
        frame("published", "PUBLISH_OK", 5, {
            "position": "12", "base_offset": "345", "append_time_ns": "1591344000000000002", "topic_created": True}),
        frame("published before", "PUBLISH_OK", 5, {
            "position": "12", "base_offset": "345", "append_time_ns": "1591344000000000002", "duplicate": True}),
        frame("publish refused out of sequence", "ERROR", 5, {
            "status": 29, "message": "expected sequence 40", "actual": "40"}),
        frame("busy", "ERROR", 5, {"status": 25, "message": "the core's queue is full", "retry_after_ms": 20}),
        frame("read of one topic by offset", "READ", 6, {
            "pattern": TOPIC, "from": {"offset": "100"}, "until": {"offset": "200"}, "credit_bytes": "1048576"}),
        frame("read of a pattern since a time, with filters", "READ", 6, {
            "pattern": "dossier.>", "from": {"append_time_ns": "1591344000000000000"}, "follow": True, "credit_bytes": "65536",
            "records_max": "10", "key": "H26.16-200605-0001".encode().hex(), "type": b"vn.gov.dossier.status".hex(),
            "event_since_ns": "-1", "event_until_ns": "1591344000000000000", "source": "H26.16/portal"}),
        frame("read backwards from the head", "READ", 6, {"pattern": "**", "from": {"head": True}, "reverse": True,
                                                           "credit_bytes": "65536"}),
        frame("read accepted", "READ_OK", 6, {
            "from_position": "7", "until_position": "9000", "durable_position": "9000", "from_offset": "100",
            "until_offset": "200", "exact": True}),
        frame("read accepted, following", "READ_OK", 6, {"until_position": str(2**64 - 1), "durable_position": "9000"}),
        frame("credit", "CREDIT", 6, {"bytes": "65536"}),
        frame("end of a reading", "READ_END", 6, {"next_position": "9000"}),
        frame("reading cancelled", "READ_END", 6, {"status": 8, "message": "cancelled by the caller", "next_position": "70"}),
        frame("list of topics", "TOPICS", 7, {"pattern": "dossier.>", "after": "dossier.a", "limit": 100}),
        frame("topics", "TOPICS_OK", 7, {"topics": [{
            "topic": TOPIC, "topic_id": 4, "evidence": 1, "next_offset": "345", "first_position": "1", "last_position": "12",
            "created_ns": "1591344000000000000", "last_append_ns": "1591344000000000002", "bytes": "99000", "entry_count": "4"}]}),
        frame("question for the log", "LOG_INFO", 8, {}),
        frame("the log", "LOG_INFO_OK", 8, {
            "domain": "H26/prod", "log_id": LOG_ID, "generation": "2", "engine": "lmdb", "durable_block": "431",
            "durable_position": "8577", "record_count": "8577", "topic_count": "3", "producer_count": "1", "bytes": "1900000",
            "segment_count": 1, "first_append_ns": "1591344000000000000", "last_append_ns": "1591344000000000002",
            "state": "ok", "connection_count": 2, "reader_count": 1, "clock_ns": "1591344000000000003",
            "available_bytes": "1000000000"}),
        frame("draining", "GOAWAY", 0, {"reason": "shutting down", "reconnect_after_ms": 500}),
        refused("unknown kind", "frame", raw_frame(99, b""), "PROTOCOL", "kinds are listed in docs/protocol.md"),
        refused("flags set", "frame", raw_frame(7, b"", flags=1), "PROTOCOL", "flags are zero"),
        refused("header longer than the body", "frame", raw_frame(7, b"\x08\x01", body=1), "PROTOCOL",
                "the header lies inside the body"),
        refused("body longer than any frame", "frame", raw_frame(7, b"", body=0xFFFFFFFF), "FRAME_TOO_LARGE",
                "declared sizes are checked before anything is allocated"),
        refused("two members of a oneof", "frame", raw_frame(32, field(2, b"\x08\x01\x10\x01")), "PROTOCOL",
                "a bound is one of position, offset, time, head"),
        refused("string with a zero byte", "frame", raw_frame(32, field(1, b"a\x00b")), "PROTOCOL",
                "C strings would end there"),
    ])


def record_meanings():
    smallest = {"id": "78"}
    event = {
        "id": noise("record id", 16).hex(), "type": "vn.gov.dossier.status", "key": "H26.16-200605-0001",
        "time_ns": "1591344000000000000", "content_type": "application/protobuf", "schema": "truc.egov.v1.DossierEvent",
        "data": (field(1, b"H26.16-200605-0001") + b"\x20\x02").hex()}
    full = {
        **event, "headers": [{"name": "lang", "value": "vi"}, {"name": "empty"}, {}], "correlation_id": "c-1",
        "relates_to": {"log_id": LOG_ID, "topic": TOPIC, "offset": "300", "id": "78", "relation": "corrects"},
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "expires_at_ns": "1622880000000000000"}
    vietnamese = {"id": "7879", "key": "Đống Đa-ỹ", "type": "hồ sơ", "time_ns": "-1", "data": noise("data", 200).hex()}
    return smallest, event, full, vietnamese


def records(make):
    smallest, event, full, vietnamese = record_meanings()
    event_bytes = field(1, b"x")
    return make.write("records", "Records: the protobuf message truc.v1.Record (docs/format.md, Record).", [
        vector("smallest record", "record", smallest),
        vector("dossier event", "record", event),
        vector("every field", "record", full),
        vector("before 1970, beyond ASCII, two bytes of length", "record", vietnamese),
        refused("no id", "record", field(3, b"k"), "BAD_RECORD", "id: 1 to 64 bytes"),
        refused("empty", "record", b"", "BAD_RECORD", "id: 1 to 64 bytes"),
        refused("id of 65 bytes", "record", field(1, bytes(65)), "BAD_RECORD", "id: 1 to 64 bytes"),
        refused("key of 256 bytes", "record", event_bytes + field(3, b"k" * 256), "BAD_RECORD", "key: at most 255 bytes"),
        refused("key that is not UTF-8", "record", event_bytes + field(3, b"\xed\xa0\x80"), "BAD_RECORD", "a surrogate"),
        refused("type in an overlong form", "record", event_bytes + field(2, b"\xc0\xaf"), "BAD_RECORD", "strict UTF-8"),
        refused("time given twice", "record", event_bytes + 2 * (b"\x21" + bytes(8)), "BAD_RECORD", "singular fields come once"),
        refused("time as varint", "record", event_bytes + b"\x20\x01", "BAD_RECORD", "a known field keeps its wire type"),
        refused("65 headers", "record", event_bytes + 65 * field(7, b""), "BAD_RECORD", "at most 64 headers"),
        refused("relation to a log id of 15 bytes", "record", event_bytes + field(10, field(1, bytes(15))), "BAD_RECORD",
                "empty or 16 bytes"),
        refused("a group", "record", event_bytes + b"\xa3\x01\xa4\x01", "BAD_RECORD", "groups are not accepted"),
        refused("a tag of six bytes", "record", event_bytes + b"\xc5\xf7\xc5\xff\x8f\x00" + bytes(4), "BAD_RECORD",
                "a tag has at most five bytes"),
        refused("a length of six bytes", "record", event_bytes + b"\x1a\x81\x80\x80\x80\x80\x00k", "BAD_RECORD",
                "a length has at most five bytes"),
        refused("cut short", "record", b"\x0a\x05x", "BAD_RECORD", "a length beyond the end"),
        refused("length of 2^64 - 1", "record", b"\x0a" + varint(2**64 - 1) + b"x", "BAD_RECORD", "a length beyond the end"),
    ])


def batch_meaning(records_hex, codec="none", **more):
    return {"topic": TOPIC, "source": "H26.16", "system": "portal", "producer_id": "7", "epoch": 3, "first_sequence": "40",
            "salt_seed": noise("salt seed", 32).hex(), "codec": codec, "records": records_hex, **more}


def header_bytes(meaning):
    out = field(1, meaning["topic"].encode()) + field(2, meaning["source"].encode()) + field(3, meaning["system"].encode())
    return out + b"\x30\x07\x38\x03\x40\x28" + b"\x48" + varint(len(meaning["records"]))


def raw_batch(header, payload, version=1, codec=0, flags=0, signature=0, stored=None, raw=None, reserved=0):
    stored, raw = len(payload) if stored is None else stored, len(payload) if raw is None else raw
    prefix = struct.pack("<IHBBIIIIQ", 0x31425254, version, codec, flags, len(header), signature, stored, raw, reserved)
    return prefix + noise("salt seed", 32) + header + payload


def batches(make, by_name):
    some = [by_name["smallest record"], by_name["dossier event"], by_name["every field"]]
    many = [(field(1, f"r{i}".encode()) + field(8, noise(f"r{i}", 20))).hex() for i in range(40)]
    meaning = batch_meaning(some)
    header, payload = header_bytes(meaning), b"".join(varint(len(r) // 2) + bytes.fromhex(r) for r in some)
    return meaning, header, payload, many, make.write("batches", "Batches (docs/format.md, Batch).", [
        vector("three records", "batch", meaning),
        vector("three records, evidence given", "batch", batch_meaning(some, evidence=1)),
        vector("three records, evidence batch", "batch", batch_meaning(some, evidence=2)),
        vector("forty records, two levels of digests", "batch", batch_meaning(many)),
        vector("LZ4", "batch", batch_meaning(5 * some, "lz4"), decode_only=True),
        vector("Zstandard", "batch", batch_meaning(5 * some, "zstd"), decode_only=True),
        refused("another magic", "batch", b"\x55" + raw_batch(header, payload)[1:], "BAD_BATCH", "TRB1"),
        refused("version 2", "batch", raw_batch(header, payload, version=2), "UNSUPPORTED", "this is version 1"),
        refused("flags set", "batch", raw_batch(header, payload, flags=1), "UNSUPPORTED", "reserved"),
        refused("reserved bytes set", "batch", raw_batch(header, payload, reserved=1), "UNSUPPORTED", "reserved"),
        refused("codec 3", "batch", raw_batch(header, payload, codec=3), "BAD_CODEC", "0 none, 1 LZ4, 2 Zstandard"),
        refused("signature announced", "batch", raw_batch(header, payload, signature=64), "UNSUPPORTED", "reserved"),
        refused("stored size beyond the end", "batch", raw_batch(header, payload, stored=len(payload) + 1), "BAD_BATCH",
                "sizes add up exactly"),
        refused("raw size that differs without codec", "batch", raw_batch(header, payload, raw=len(payload) + 1), "BAD_BATCH",
                "they are equal"),
        refused("raw size over the limit", "batch", raw_batch(header, payload, codec=1, raw=8454145), "BATCH_TOO_LARGE",
                "8 MiB and 64 KiB"),
        refused("a bomb by its ratio", "batch", raw_batch(header, payload, codec=2, raw=1024 * len(payload) + 1), "BAD_CODEC",
                "at most 1024 raw bytes per stored byte beyond 64 KiB"),
        refused("LZ4 that is not", "batch", raw_batch(header, b"\xff" * 40, codec=1, raw=100), "BAD_CODEC", "unpacks to raw_size"),
        refused("no records", "batch", raw_batch(header[:-2], payload), "BAD_BATCH", "1 to 65535 records"),
        refused("a record more than said", "batch", raw_batch(header[:-1] + b"\x02", payload), "BAD_BATCH",
                "record_count is exact"),
        refused("topic with a wildcard", "batch", raw_batch(field(1, b"a.*") + header[2 + len(TOPIC):], payload), "BAD_TOPIC",
                "topics hold no wildcard"),
        refused("lower-case agency", "batch", raw_batch(header.replace(b"H26.16\x1a", b"h26.16\x1a"), payload), "BAD_SOURCE",
                "agency codes are upper case"),
        refused("topic given twice", "batch", raw_batch(header + field(1, b"a"), payload), "BAD_BATCH",
                "singular fields come once"),
        refused("represented agency", "batch", raw_batch(header + field(4, b"H26"), payload), "UNSUPPORTED", "reserved"),
        refused("delivery time", "batch", raw_batch(header + b"\x51" + varint(1) + bytes(7), payload), "UNSUPPORTED", "reserved"),
        refused("expected offset 0", "batch", raw_batch(header + b"\x58\x00", payload), "UNSUPPORTED", "reserved"),
        refused("key id", "batch", raw_batch(header + field(12, b"k"), payload), "UNSUPPORTED", "reserved"),
    ])


def digests(make, records_hex, many, header, payload, leaf):
    seed = noise("salt seed", 32).hex()
    salts = make.write("digests", "", [vector("salts", "salts", {"salt_seed": seed, "record_count": 40})])["salts"]
    salt = [salts[32 * i:32 * i + 32] for i in range(40)]
    first = make.write("digests", "", [
        vector(str(i), "record_digest", {"salt": salt[i], "record": r}) for i, r in enumerate(many)])
    leaves = [first[str(i)] for i in range(40)]
    level = make.write("digests", "", [
        vector(str(i), "node", {"children": leaves[16 * i:16 * i + 16]}) for i in range(3)])
    place = lambda position, index, record: {"position": str(position), "index": index, "record": record}
    vectors = [
        vector("salts of 40 records", "salts", {"salt_seed": seed, "record_count": 40}),
        vector("digest of the first of 40 records", "record_digest", {"salt": salt[0], "record": many[0]}),
        vector("digest of an empty record", "record_digest", {"salt": salt[0], "record": ""}),
        vector("node of 16 records", "node", {"children": leaves[:16]}),
        vector("node of the last 8 records", "node", {"children": leaves[32:]}),
        vector("root of 40 records: a node of three nodes", "node", {"children": [level[str(i)] for i in range(3)]}),
        vector("records_root of 40 records", "records_root", {"salt_seed": seed, "records": many}),
        vector("records_root of one record: its digest", "records_root", {"salt_seed": seed, "records": many[:1]}),
        vector("records_root of 3 records", "records_root", {"salt_seed": seed, "records": records_hex}),
        vector("records_root of 17 records", "records_root", {"salt_seed": seed, "records": many[:17]}),
        vector("records_root of 272 records", "records_root", {"salt_seed": seed, "records": (7 * many)[:272]}),
        vector("batch root of one chunk", "batch_root", {"salt_seed": seed, "payload": payload.hex()}),
        vector("batch root of 3 chunks", "batch_root", {"salt_seed": seed, "payload": noise("chunks", 2600).hex()}),
        vector("header digest", "header_digest", {"header": header.hex()}),
        vector("leaf hash", "leaf_hash", {"leaf": leaf}),
        vector("chain of a block with two entries", "chain", {
            "previous": noise("chain", 32).hex(), "block": "5", "first_position": "12",
            "leaf_hashes": [noise("a", 32).hex(), noise("b", 32).hex()], "deltas": noise("deltas", 24).hex()}),
        vector("chain of a block of deltas alone", "chain", {
            "previous": bytes(32).hex(), "first_position": "0", "block": "0", "leaf_hashes": [], "deltas": noise("d", 64).hex()}),
        vector("directory hash of a key", "directory_hash", {"hash_secret": SECRET, "text": "H26.16-200605-0001"}),
        vector("directory hash of an absent key", "directory_hash", {"hash_secret": SECRET}),
        vector("replay digest of nothing", "replay_digest", {"log_id": LOG_ID, "generation": "2", "records": []}),
        vector("replay digest of three records", "replay_digest", {"log_id": LOG_ID, "generation": "2", "records": [
            place(12, 0, records_hex[0]), place(12, 2, records_hex[2]), place(2**40, 65534, records_hex[1])]}),
    ]
    result = make.write("digests", "Digests (docs/format.md, Digests and Replay digest). `hex` is the outcome.", vectors)
    assert result["records_root of 40 records"] == result["root of 40 records: a node of three nodes"]
    return result


def directories(make, by_name):
    names = ["smallest record", "dossier event", "every field", "before 1970, beyond ASCII, two bytes of length"]
    parts = struct.pack("<HHI", 1, 0, 3) + 6 * bytes(8)
    return make.write("directories", "Batch directories (docs/format.md, Directory). Hashes are SipHash-2-4 under hash_secret.", [
        vector("one record: six single values", "directory", {"hash_secret": SECRET, "records": [by_name["dossier event"]]}),
        vector("equal records: six single values", "directory", {"hash_secret": SECRET, "records": 9 * [by_name["dossier event"]]}),
        vector("three records", "directory", {"hash_secret": SECRET, "records": [by_name[n] for n in names[:3]]}),
        vector("four different records", "directory", {"hash_secret": SECRET, "records": [by_name[n] for n in names]}),
        refused("version 2", "directory", b"\x02" + parts[1:], "BAD_BATCH", "this is version 1"),
        refused("a seventh column", "directory", parts[:2] + b"\x40" + parts[3:], "BAD_BATCH", "there are six columns"),
        refused("no records", "directory", parts[:4] + bytes(4) + parts[8:], "BAD_BATCH", "1 to 65535 records"),
        refused("an array that is not there", "directory", parts[:2] + b"\x02" + parts[3:], "BAD_BATCH", "sizes are exact"),
        refused("a column too many", "directory", parts + bytes(8), "BAD_BATCH", "sizes are exact"),
    ])


def leaf_meaning(digest):
    return {
        "evidence": 1, "record_count": 3, "log_id": LOG_ID, "position": "12", "base_offset": "345",
        "append_time_ns": "1591344000000000002", "header_digest": digest["header digest"],
        "records_root": digest["records_root of 3 records"], "previous": noise("previous", 32).hex(), "topic": TOPIC}


def leaves(make, digest):
    meaning = leaf_meaning(digest)
    first = {**meaning, "topic": "t"}
    del first["previous"]
    good = make.write("leaves", "", [vector("leaf", "leaf", meaning)])["leaf"]
    data = bytes.fromhex(good)
    change = lambda at, value: data[:at] + bytes([value]) + data[at + 1:]
    make.write("leaves", "Leaves of the log's Merkle tree (docs/format.md, Leaf).", [
        vector("leaf of a batch of three records", "leaf", meaning),
        vector("first leaf of a topic of one byte", "leaf", first),
        refused("version 2", "leaf", change(0, 2), "DAMAGED", "this is version 1"),
        refused("kind 2", "leaf", change(1, 2), "DAMAGED", "1 is a batch"),
        refused("topic size that differs", "leaf", change(3, len(TOPIC) - 1), "DAMAGED", "sizes are exact"),
        refused("origin set", "leaf", change(176, 1), "DAMAGED", "reserved"),
        refused("last reserved byte set", "leaf", change(223, 1), "DAMAGED", "reserved"),
        refused("cut short", "leaf", data[:-1], "DAMAGED", "sizes are exact"),
    ])
    return good


def served(entry):
    """A stored entry up to its directory."""
    leaf_size, = struct.unpack_from("<I", entry, 28)
    batch_size, = struct.unpack_from("<I", entry, 40)
    return entry[:64 + leaf_size + -leaf_size % 8 + batch_size + -batch_size % 8]


def entries(make, leaf, batch, directory):
    meaning = {"topic_id": 4, "record_count": 3, "producer_id": "7", "epoch": 3, "first_sequence": "40", "leaf": leaf,
               "batch": batch, "directory": directory}
    good = bytes.fromhex(make.write("entries", "", [vector("entry", "entry", meaning)])["entry"])
    flip = lambda at: good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
    make.write("entries", "Entries as stored (docs/format.md, Entry). A reader gets an entry up to its directory.", [
        vector("entry of three records", "entry", meaning),
        refused("a flipped bit in the header", "entry", flip(16), "DAMAGED", "the entry's checksum"),
        refused("a flipped bit in the leaf", "entry", flip(64 + 100), "DAMAGED", "the entry's checksum"),
        refused("a flipped bit in the batch", "entry", flip(64 + 248 + 150), "DAMAGED", "the entry's checksum"),
        refused("a flipped bit in the directory", "entry", flip(len(good) - 9), "DAMAGED", "the directory's checksum"),
        refused("cut short", "entry", good[:-8], "DAMAGED", "the entry's size"),
    ])


def cut_entries(make, many, leaf):
    """Of an entry of 20 records: two parts of three records each, and parts that were tampered with."""
    record_count, write = 20, lambda kind, meaning: make.write("cut_entries", "", [vector(kind, kind, meaning)])[kind]
    records = many[:record_count]
    meaning = batch_meaning(records)
    leaf = {**leaf, "record_count": record_count,
            "header_digest": write("header_digest", {"header": header_bytes(meaning).hex()}),
            "records_root": write("records_root", {"salt_seed": meaning["salt_seed"], "records": records})}
    entry = write("entry", {
        "topic_id": 4, "record_count": record_count, "producer_id": "7", "epoch": 3, "first_sequence": "40",
        "leaf": write("leaf", leaf), "batch": write("batch", meaning),
        "directory": write("directory", {"hash_secret": SECRET, "records": records})})
    part = lambda *indexes: {"entry": entry, "indexes": list(indexes)}
    good = bytes.fromhex(write("cut_entry", part(16, 18, 19)))
    flip = lambda at: good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
    make.write("cut_entries", "Cut entries as served (docs/format.md, Cut entry), made from an entry and chosen indexes.", [
        vector("three of 20 records, a node and a record's digest", "cut_entry", part(16, 18, 19)),
        vector("three of 20 records, records' digests alone", "cut_entry", part(2, 3, 17)),
        vector("one of 20 records", "cut_entry", part(0)),
        vector("all of 20 records", "cut_entry", part(*range(record_count))),
        refused("a whole entry", "cut_entry", served(bytes.fromhex(entry)), "DAMAGED", "it is not cut"),
        refused("a flipped bit in the header", "cut_entry", flip(16), "DAMAGED", "the entry's checksum"),
        refused("a flipped bit in a record", "cut_entry", flip(len(good) - 100), "DAMAGED", "the entry's checksum"),
        refused("cut short", "cut_entry", good[:-8], "DAMAGED", "the entry's size"),
    ])


def delta(kind, body):
    data = struct.pack("<HH", kind, len(body)) + body
    return data + bytes(-len(data) % 8)


def blocks(make, leaf, batch, directory):
    log = delta(1, bytes.fromhex(LOG_ID) + struct.pack("<Q", 1) + bytes.fromhex(SECRET) + struct.pack("<q", 1591344000000000000)
                + bytes([8]) + b"H26/prod")
    topic = delta(2, struct.pack("<IBB", 4, 1, len(TOPIC)) + TOPIC.encode())
    producer = delta(3, struct.pack("<QIBBB", 7, 3, 1, 13, 6) + b"H26.16/portal" + b"import")
    first = {"append_time_ns": "1591344000000000000", "previous_chain": bytes(32).hex(), "deltas": log.hex(), "delta_count": 1,
             "entries": []}
    entry = {"topic_id": 4, "record_count": 3, "producer_id": "7", "epoch": 3, "first_sequence": "40", "base_offset": "345",
             "append_time_ns": "1591344000000000002", "leaf": leaf, "batch": batch, "directory": directory}
    whole = {"block": "431", "first_position": "12", "durable_block": "431", "durable_position": "12",
             "append_time_ns": "1591344000000000002", "previous_chain": noise("chain", 32).hex(),
             "deltas": (topic + producer).hex(),
             "delta_count": 2, "entries": [entry, entry | {"first_sequence": "43", "base_offset": "348",
                                                           "append_time_ns": "1591344000000000003"}]}
    shared = delta(6, struct.pack("<IBBqIIIBII6BH", 1, 2, 0, 1591344000000000000, 30000, 5, 1000, 2, 1000, 60000, 6, 5, 16, 22, 14,
                                  13, 8) + b"H26.16" + b"desks" + b"dossier.*.H26.**" + b"vn.gov.dossier.created"
                   + b"H26.16-2020-01" + b"H26.16/portal" + b"lang\0vi\0")
    ordered = delta(6, struct.pack("<IBBqIIIB6BH", 2, 1, 1, 1591344000000000001, 0, 0, 0, 0, 3, 6, 1, 0, 0, 0, 0)
                    + b"H26" + b"mirror" + b">")
    lane = lambda form, key, more=b"": delta(9, bytes([form, 1]) + struct.pack("<Q", key) + more)
    sharing = [shared, ordered, lane(1, 0x1122334455667788, bytes([12, 0])), lane(1, 0, bytes([12, 1])),
               lane(1, 0, bytes([0xac, 2, 2])),
               lane(2, 0x1122334455667788, bytes([12, 0, 2, 0])
                    + struct.pack("<qqq", 1591344060000000000, 1591344000000000005, 1591344001000000005)),
               lane(2, 7, bytes([12, 2, 5, 1]) + struct.pack("<qqq", 0, 1591344000000000005, 1591344001000000005)),
               lane(0, 0x1122334455667788), lane(0, 0, bytes([12, 1])),
               lane(6, 7, bytes([11, 4, 0, 0]) + struct.pack("<qqq", 1591430400000000000, 0, 0)), lane(4, 7, bytes([11, 4])),
               lane(9, 0, bytes([12, 3]) + struct.pack("<q", 1591516800000000000)),
               delta(8, bytes([1, 0xad, 2, 0, 0xe8, 7, 1, 2])), delta(8, bytes([2, 13, 0, 13, 0, 0])),
               delta(7, struct.pack("<I", 2)), delta(10, struct.pack("<IBBB", 4, 10, 14, 6) + b"H26.16")]
    work = {"block": "432", "first_position": "14", "durable_block": "432", "durable_position": "14",
            "append_time_ns": "1591344000000000006", "previous_chain": noise("chain", 32).hex(), "deltas": b"".join(sharing).hex(),
            "delta_count": len(sharing), "entries": []}
    good = bytes.fromhex(make.write("block", "", [vector("block", "block", whole)])["block"])
    flip = lambda at: good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
    table, deltas = 160, 160 + 2 * 40
    entries = deltas + len(topic + producer)
    make.write("block", "Blocks as the log stores them (docs/format.md, Block and Deltas).", [
        vector("block 0 of a log", "block", first),
        vector("block of two entries and two deltas", "block", whole),
        vector("block of deltas of subscriptions alone", "block", work),
        refused("a flipped bit in the header", "block", flip(20), "DAMAGED", "the header's checksum"),
        refused("a flipped bit in the chain", "block", flip(100), "DAMAGED", "the header's checksum"),
        refused("a flipped bit in the table", "block", flip(table + 3), "DAMAGED", "the table's checksum"),
        refused("a flipped bit in the deltas", "block", flip(deltas + 9), "DAMAGED", "the deltas' checksum"),
        refused("a flipped bit in an entry", "block", flip(entries + 400), "DAMAGED", "the entry's checksum"),
        refused("cut short", "block", good[:-8], "DAMAGED", "the block's size"),
    ])


def main():
    make = Maker(sys.argv[1], sys.argv[2])
    by_name = records(make)
    some = [by_name["smallest record"], by_name["dossier event"], by_name["every field"]]
    _, header, payload, many, by_batch = batches(make, by_name)
    hello(make)
    frames(make, by_batch["three records"])
    by_directory = directories(make, by_name)
    digest = digests(make, some, many, header, payload, "00")
    leaf = leaves(make, digest)
    digests(make, some, many, header, payload, leaf)
    entries(make, leaf, by_batch["three records"], by_directory["three records"])
    cut_entries(make, many, leaf_meaning(digest))
    blocks(make, leaf, by_batch["three records"], by_directory["three records"])


if __name__ == "__main__":
    main()
