#include "readings.h"

#include <stdlib.h>

#include "store.h"
#include "world.h"

enum { ANSWER_PLACES = 256, ANSWER_RECORDS = 4096, READINGS = 1024 };

enum reading_kind { READING_READ, READING_SCAN, READING_FETCH, READING_LOOK };

struct reading {
    uint64_t number;
    enum reading_kind kind;
    struct store_filter filter;
    bool reverse, references;
};

struct asked { /* the message of an OCCUR_READING */
    enum { ASKED_BOUNDS, ASKED_READ, ASKED_SCAN, ASKED_FETCH, ASKED_LOOK } what;
    struct reading reading; /* as it was */
    struct core_read_spec spec;
    struct store_read read;
    struct core_scan scan;
    size_t count;
    uint64_t keys[ANSWER_PLACES];
    struct place places[ANSWER_PLACES];
    struct core_looked looked;
    struct core_look_record records[ANSWER_PLACES]; /* of a look */
};

static struct reading readings[READINGS];
static size_t reading_count;
static int64_t latency_ns;
static unsigned failures;
static size_t given;

void readings_begin(int64_t latency, unsigned failures_one_in)
{
    reading_count = given = 0;
    latency_ns = latency;
    failures = failures_one_in;
}

void readings_calm(void)
{
    failures = 0;
}

void readings_forget(void)
{
    reading_count = 0;
}

static struct reading *find(uint64_t number)
{
    for (size_t i = 0; i < reading_count; i++) {
        if (readings[i].number == number)
            return &readings[i];
    }
    sim_fail("the core names reader %llu, which is not open", (unsigned long long)number);
}

static struct reading *open_reading(const struct core_effect *effect, enum reading_kind kind)
{
    const struct core_read_spec *spec = effect->spec;
    struct reading *reading = &readings[reading_count];

    SIM_CHECK(reading_count < READINGS, "too many readings");
    for (size_t i = 0; i < reading_count; i++)
        SIM_CHECK(readings[i].number != effect->reader, "reader %llu is opened twice", (unsigned long long)effect->reader);
    reading_count++;
    *reading = (struct reading){.number = effect->reader, .kind = kind};
    if (spec) {
        filter_make(&reading->filter, spec->pattern, spec->key, spec->type, spec->agency, spec->system);
        reading->reverse = spec->reverse;
        reading->references = spec->references;
    }
    return reading;
}

static void ask(const struct asked *asked)
{
    struct asked *message = take_memory(sizeof *message);

    *message = *asked;
    agenda_add(world.now.boot_ns + 1 + (int64_t)draw((uint64_t)latency_ns * 2), OCCUR_READING, world.life, 0, message);
}

static void open_read(const struct core_effect *effect)
{
    struct asked asked = {.what = ASKED_BOUNDS, .reading = *open_reading(effect, READING_READ)};
    const struct core_read_spec *spec = effect->spec;

    SIM_CHECK(spec->head <= store.head.position, "a reading of what is not on disk");
    asked.spec = *spec;
    if (spec->from_kind == BOUND_OFFSET)
        asked.spec.from = store_find_offset(spec->pattern, spec->from);
    SIM_CHECK(spec->until_kind != BOUND_OFFSET, "no client of the simulator reads until an offset");
    ask(&asked);
}

static void scan(const struct core_effect *effect)
{
    struct asked asked = {.what = ASKED_SCAN, .reading = *find(effect->reader), .scan = *effect->scan};

    SIM_CHECK(asked.reading.kind == READING_SCAN && effect->scan->key_count <= ANSWER_PLACES, "a scan by what is no scanner");
    if (asked.scan.key_count > 0)
        memcpy(asked.keys, effect->scan->keys, asked.scan.key_count * sizeof asked.keys[0]);
    ask(&asked);
}

static void fetch(const struct core_effect *effect)
{
    struct asked asked = {.what = ASKED_FETCH, .reading = *find(effect->reader), .count = effect->place_count};

    SIM_CHECK(asked.reading.kind == READING_FETCH && effect->place_count > 0 && effect->place_count <= ANSWER_PLACES,
              "a fetch of %zu places", effect->place_count);
    memcpy(asked.places, effect->places, asked.count * sizeof asked.places[0]);
    ask(&asked);
}

static void read_on(const struct core_effect *effect)
{
    struct asked asked = {.what = ASKED_READ, .reading = *find(effect->reader)};

    SIM_CHECK(asked.reading.kind == READING_READ, "a read by what is no reader");
    asked.read = (struct store_read){.from = effect->from,
                                     .until = effect->until,
                                     .bytes_max = effect->bytes_max,
                                     .entries_max = effect->entries_max,
                                     .reverse = asked.reading.reverse,
                                     .references = asked.reading.references};
    ask(&asked);
}

/* What it is about is borrowed, so it is found now; what is on disk below its head stays as it is. */
static void look(const struct core_effect *effect)
{
    struct asked asked = {.what = ASKED_LOOK, .reading = *open_reading(effect, READING_LOOK)};
    size_t count = effect->look->subject_count * effect->look->place_count;

    store_look(effect->look, &asked.looked);
    if (asked.looked.records)
        memcpy(asked.records, asked.looked.records, count * sizeof asked.records[0]);
    ask(&asked);
}

static void close_reading(struct reading *reading)
{
    reading_count--;
    *reading = readings[reading_count];
}

void readings_effect(const struct core_effect *effect)
{
    switch (effect->kind) {
    case EFFECT_READ_OPEN:
        open_read(effect);
        break;
    case EFFECT_SCAN_OPEN:
        (void)open_reading(effect, READING_SCAN);
        break;
    case EFFECT_FETCH_OPEN:
        (void)open_reading(effect, READING_FETCH);
        break;
    case EFFECT_READ:
        read_on(effect);
        break;
    case EFFECT_SCAN:
        scan(effect);
        break;
    case EFFECT_FETCH:
        fetch(effect);
        break;
    case EFFECT_LOOK:
        look(effect);
        break;
    default: /* EFFECT_READ_CLOSE */
        close_reading(find(effect->reader));
        break;
    }
}

/* --- answers
 * ----------------------------------------------------------------------------------------------------------------------- */

static bool is_open(uint64_t number)
{
    for (size_t i = 0; i < reading_count; i++) {
        if (readings[i].number == number)
            return true;
    }
    return false;
}

static uint64_t bound(const struct core_read_spec *spec, enum core_bound kind, uint64_t at, int64_t at_ns)
{
    switch (kind) {
    case BOUND_START:
        return 0;
    case BOUND_HEAD:
        return spec->head;
    case BOUND_POSITION:
        return at < spec->head ? at : spec->head;
    case BOUND_TIME:
        at = store_find_time(at_ns);
        return at < spec->head ? at : spec->head;
    default: /* BOUND_OFFSET: found when it was asked */
        return at;
    }
}

static struct core_event bounds(const struct asked *asked)
{
    const struct core_read_spec *spec = &asked->spec;

    return (struct core_event){.kind = CORE_READ_RESOLVED,
                               .reader = asked->reading.number,
                               .from = bound(spec, spec->from_kind, spec->from, spec->from_ns),
                               .until = bound(spec, spec->until_kind, spec->until, spec->until_ns)};
}

struct core_event readings_answer(void *message)
{
    static struct share_record records[ANSWER_RECORDS];
    static struct core_look_record looked[ANSWER_PLACES];
    struct asked *asked = message;
    struct core_event event = {.reader = asked->reading.number};
    bool fails = failures > 0 && is_open(asked->reading.number) && one_in(failures);

    asked->scan.keys = asked->keys;
    switch (asked->what) {
    case ASKED_BOUNDS:
        event = bounds(asked);
        break;
    case ASKED_READ:
        event.kind = CORE_READ_DONE;
        if (!fails)
            store_read(&asked->reading.filter, &asked->read, &event.done);
        break;
    case ASKED_SCAN:
        event.kind = CORE_SCANNED;
        if (!fails)
            store_scan(&asked->reading.filter, &asked->scan, records, ANSWER_RECORDS, &event.scanned);
        break;
    case ASKED_FETCH:
        event.kind = CORE_FETCHED;
        if (!fails)
            store_fetch(asked->places, one_in(4) ? 1 + draw(asked->count) : asked->count, &event.done);
        break;
    case ASKED_LOOK:
        event.kind = CORE_LOOKED;
        event.looked = asked->looked;
        memcpy(looked, asked->records, sizeof looked);
        event.looked.records = looked;
        break;
    }
    if (fails && asked->what != ASKED_BOUNDS) {
        event.status = TRUC_IO;
        event.done.next = asked->read.from;
        event.why = "the disk cannot be read";
    }
    given += event.done.data.size > 0;
    return event;
}

void readings_take_back(void *owner)
{
    SIM_CHECK(given > 0, "the core gives back more data than it got");
    given--;
    free(owner);
}

size_t readings_open(void)
{
    return reading_count;
}

size_t readings_given(void)
{
    return given;
}
