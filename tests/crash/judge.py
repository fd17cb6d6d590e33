"""Compares what the programs of the crash test wrote down with what the log holds in the end.

Nothing here knows how Truc works: a log is a list of records in order, a ledger a list of lines (ledger.h).
"""

import os
from collections import defaultdict, namedtuple

Record = namedtuple("Record", "position index topic offset hash producer number proven sequence append_time")


def lines_of(path):
    """Whole lines only: a kill may have cut the last one of a process short."""
    if not os.path.exists(path):
        return
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            if line.endswith("\n") and len(line) > 1:
                yield line.split()


def read_dump(path):
    return [Record(int(w[1]), int(w[2]), w[3], int(w[4]), w[5], w[6], int(w[7]), w[8] == "1", int(w[9]), int(w[10]))
            for w in lines_of(path) if w[0] == "R"]


class Judge:
    """Collects what is wrong, by kind; each kind keeps its first examples."""

    KINDS = ("lost", "duplicated", "reordered", "altered", "misread", "refused")

    def __init__(self, records):
        self.records = records
        self.found = defaultdict(list)
        self.acknowledged = self.accepted = self.seen = 0
        self.stored = defaultdict(int)  # (producer, topic) -> records in the log
        self.places = {}                # (producer, topic, number) -> (position, index, offset)
        self.index_of = {}              # (position, index) -> place in records

    def wrong(self, kind, text, *values):
        self.found[kind].append(text % values)

    def log(self):
        """The log by itself: dense, in each producer's order, every record what its producer wrote."""
        offsets = defaultdict(int)
        position, index, last_time = -1, 0, 0
        for number, r in enumerate(self.records):
            if r.position == position:
                index += 1
                if r.append_time != last_time:
                    self.wrong("altered", "position %d has two append times", r.position)
            else:
                if r.append_time <= last_time:
                    self.wrong("reordered", "append time goes back at position %d", r.position)
                position, index = position + 1, 0
            if (r.position, r.index) != (position, index):
                self.wrong("lost", "position %d index %d where %d, %d was due", r.position, r.index, position, index)
                position, index = r.position, r.index
            last_time = r.append_time
            if r.offset != offsets[r.topic]:
                self.wrong("lost", "%s: offset %d where %d was due", r.topic, r.offset, offsets[r.topic])
            offsets[r.topic] = r.offset + 1
            self.index_of[(r.position, r.index)] = number
            self.one(r)

    def one(self, r):
        if not r.proven:
            self.wrong("altered", "position %d index %d is not what anyone wrote", r.position, r.index)
            return
        key = (r.producer, r.topic)
        due = self.stored[key]
        if (r.producer, r.topic, r.number) in self.places:
            self.wrong("duplicated", "%s %s %d again at position %d", r.producer, r.topic, r.number, r.position)
            return
        self.places[(r.producer, r.topic, r.number)] = (r.position, r.index, r.offset)
        if r.number < due:
            self.wrong("reordered", "%s %s: %d after %d", r.producer, r.topic, r.number, due - 1)
        elif r.number > due:
            self.wrong("lost", "%s %s: %d follows %d", r.producer, r.topic, r.number, due - 1)
        if r.sequence != r.number:
            self.wrong("altered", "%s %s: number %d has sequence %d", r.producer, r.topic, r.number, r.sequence)
        self.stored[key] = r.number + 1

    def producer(self, name, path, outbox):
        """What was acknowledged is there at that place; what an outbox accepted is there, all of it, and nothing else."""
        accepted = defaultdict(int)
        for words in lines_of(path):
            if words[0] == "E":
                self.wrong("refused", "%s: %s", name, " ".join(words[1:]))
            elif words[0] == "Q":
                accepted[words[1]] = max(accepted[words[1]], int(words[2]) + 1)
                self.accepted += 1
            elif words[0] == "A" and len(words) == 6:
                self.acknowledged += 1
                topic, number = words[1], int(words[2])
                place = self.places.get((name, topic, number))
                if place is None:
                    self.wrong("lost", "%s %s %d was acknowledged", name, topic, number)
                elif place != (int(words[3]), int(words[4]), int(words[5])):
                    self.wrong("reordered", "%s %s %d was acknowledged at %s, stands at %s", name, topic, number, words[3:6], place)
            elif words[0] == "D":
                self.acknowledged += 1
                if (name, words[1], int(words[2])) not in self.places:
                    self.wrong("lost", "%s %s %s was called a duplicate", name, words[1], words[2])
        for topic, count in accepted.items():
            stored = self.stored[(name, topic)]
            # One more: killed between truc_publish and its line.
            if outbox and not count <= stored <= count + 1:
                self.wrong("lost" if stored < count else "duplicated", "%s %s: %d accepted, %d stored", name, topic, count, stored)

    def reader(self, name, path):
        """Each process of a reader saw a stretch of the log without a gap, beginning within the entry where the last one ended."""
        expected = None
        ended = 0
        for words in lines_of(path):
            if words[0] == "E":
                self.wrong("refused", "%s: %s", name, " ".join(words[1:]))
            elif words[0] == "#":
                expected = None
            elif words[0] == "S" and len(words) == 6:
                self.seen += 1
                at = self.index_of.get((int(words[1]), int(words[2])))
                if at is None:
                    self.wrong("misread", "%s saw position %s index %s, which is not in the log", name, words[1], words[2])
                    continue
                r = self.records[at]
                if (r.topic, str(r.offset), r.hash) != (words[3], words[4], words[5]):
                    self.wrong("misread", "%s saw position %s index %s otherwise", name, words[1], words[2])
                if expected is None and (r.index != 0 or at > ended):
                    self.wrong("misread", "%s began at position %d index %d, having seen %d records", name, r.position, r.index,
                               ended)
                elif expected is not None and at != expected:
                    self.wrong("misread", "%s saw position %d index %d out of turn", name, r.position, r.index)
                expected = at + 1
                ended = max(ended, expected)
        if ended != len(self.records):
            self.wrong("misread", "%s saw %d of %d records", name, ended, len(self.records))

    def verdict(self):
        for kind in self.KINDS:
            for text in self.found[kind][:5]:
                print("crash: %s: %s" % (kind, text))
        return not any(self.found.values())

    def counts(self):
        return ", ".join("%s %d" % (kind, len(self.found[kind])) for kind in self.KINDS)
