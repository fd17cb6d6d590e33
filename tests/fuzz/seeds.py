#!/usr/bin/env python3
"""Writes seeds from the golden vectors: seeds.py VECTORS_FOLDER CORPUS_FOLDER. Seeds that fuzzing found are kept beside them."""
import json
import pathlib
import re
import struct
import sys

vectors, corpus = map(pathlib.Path, sys.argv[1:3])


def load(name):
    return json.loads((vectors / f"{name}.json").read_text())["vectors"]


def keep(target, name, data):
    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / re.sub(r"[^a-z0-9]+", "-", name.lower())[:60]).write_bytes(data)


for target, files in {"record": ["records"], "batch": ["batches"], "directory": ["directories"], "leaf": ["leaves"],
                      "entry": ["entries"], "cut": ["cut_entries"], "block": ["block"], "frame": ["hello", "frames"]}.items():
    for file in files:
        for vector in load(file):
            keep(target, vector["name"], bytes.fromhex(vector["hex"]))

for vector in load("entries"):
    if "meaning" in vector:
        leaf, batch, directory = (bytes.fromhex(vector["meaning"][part]) for part in ("leaf", "batch", "directory"))
        keep("entry", "parts of " + vector["name"], struct.pack("<HH", len(leaf), len(batch)) + leaf + batch + directory)

for vector in load("cut_entries"):
    if "meaning" in vector:
        cut = bytes.fromhex(vector["hex"])
        (leaf_size,), (batch_size,) = struct.unpack_from("<I", cut, 28), struct.unpack_from("<I", cut, 40)
        leaf, batch_at = cut[64:64 + leaf_size], 64 + leaf_size + -leaf_size % 8
        keep("cut", "parts of " + vector["name"], struct.pack("<H", leaf_size) + leaf + cut[batch_at:batch_at + batch_size])

for number, codec in enumerate(("none", "lz4", "zstd")):
    for vector in load("batches"):
        if vector.get("meaning", {}).get("codec") == codec:
            batch = bytes.fromhex(vector["hex"])
            header_size, raw_size = struct.unpack_from("<I8xI", batch, 8)
            keep("codec", vector["name"], bytes([number]) + struct.pack("<H", raw_size) + batch[64 + header_size:])

for number, line in enumerate((b"dossier.>\ndossier.status.H26.16", b"**\nsys.audit", b"*.b.**\na.b", b"a.*.c\na.b.c",
                               b"H26.16/portal\n", b"a.b\na.b", b".a.>.b\n", b"local/dev\na")):
    keep("topic", f"line {number}", line)


def delta(kind, body):
    data = struct.pack("<HH", kind, len(body)) + body
    return data + bytes(-len(data) % 8)


log = delta(1, bytes(range(16)) + struct.pack("<Q", 2) + bytes(range(16)) + struct.pack("<q", 159) + b"\x08H26/prod")
topic = delta(2, struct.pack("<IBB", 4, 1, 3) + b"a.b")
producer = delta(3, struct.pack("<QIBBB", 7, 3, 1, 13, 1) + b"H26.16/portal" + b"n")
subscription = delta(6, struct.pack("<IBBqIIIBII6BH", 3, 2, 0, 159, 30000, 5, 100, 2, 100, 2000, 6, 4, 3, 1, 1, 10, 8)
                     + b"H26.16" + b"desk" + b"a.>" + b"t" + b"k" + b"H26/portal" + b"lang\0vi\0")
ordered = delta(6, struct.pack("<IBBqIIIB6BH", 4, 1, 1, 159, 0, 0, 0, 0, 5, 1, 2, 0, 0, 3, 0) + b"local" + b"a" + b"**" + b"H26")
cursor = delta(8, bytes([3, 0xac, 2, 5, 0xe8, 7, 1]))
lanes = [delta(9, bytes([form, 3]) + struct.pack("<Q", key) + more)
         for form, key, more in ((1, 5, b"\xab\x02\1"), (1, 0, b"\xab\x02\2"), (0, 5, b""), (0, 0, b"\xab\x02\2"),
                                 (2, 6, b"\7\0\2\1" + struct.pack("<qqq", 9, 7, 8)))]
for name, data in {"log": log, "topic": topic, "producer": producer, "producer end": delta(4, struct.pack("<Q", 7)),
                   "clock": delta(5, struct.pack("<qq", 1, -1)), "all": log + topic + producer, "unknown": delta(10, b"x"),
                   "subscription": subscription, "subscription ordered": ordered,
                   "subscription end": delta(7, struct.pack("<I", 4)), "cursor": cursor,
                   "lane fresh": lanes[0], "lane failed": lanes[4], "lane gone": lanes[2],
                   "sharing": subscription + ordered + b"".join(lanes) + cursor}.items():
    keep("delta", name, data)
