/* replay.c: truc_powercut: rebuilds what a power cut could have left of a recorded run, and checks each state.
 *
 *   truc_powercut --trace FILE --directory DIR --scratch DIR [--states N] [--seed S] [--workers W] [--segment-bytes B] [--keep DIR]
 *
 * --directory is the data directory as the run left it: the recorder's picture must equal it, or something was missed. Exit code
 * 0 when every state held, 1 when one did not, 2 when the trace cannot be judged. One line on stdout is the result. */
#include "check.h"
#include "disk.h"
#include "timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
    const char *trace, *directory, *scratch, *keep;
    uint64_t states, seed, workers, segment_bytes;
};

struct state {
    size_t cut; /* events up to it have happened */
    enum disk_choice choice;
    uint64_t seed;
};

/* Shared by the workers; each line of output is written whole. */
struct tally {
    atomic_uint_fast64_t checked, held, with_pending, told_most;
};

struct run {
    struct options options;
    struct trace trace;
    struct timeline timeline;
    struct reference reference;
    struct state *states;
    struct tally *tally;
};

static const char *const choice_names[CHOICE_COUNT] = {"keep all", "drop all", "a coin each", "tear all", "keep old", "keep new"};

static uint64_t random_next(uint64_t *state)
{
    uint64_t x = (*state += 0x9e3779b97f4a7c15u); /* splitmix64 */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Removes a directory tree. Paths are ours and short. */
static bool tree_remove(const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool tree_equal(const char *a, const char *b)
{
    pid_t child = fork();
    if (child == 0) {
        execlp("diff", "diff", "-r", "--brief", "--exclude=*-lock", a, b, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* Applies events (from, until]. */
static bool disk_advance(struct disk *disk, const struct trace *trace, size_t from, size_t until, char why[CHECK_WHY_BYTES])
{
    for (size_t number = from + 1; number <= until; number++) {
        const char *name;
        const uint8_t *data;
        const struct trace_event *event = trace_at(trace, number, &name, &data);
        bool lock = event->kind == TRACE_MAPPED && event->name_size >= 5 && memcmp(name + event->name_size - 5, "-lock", 5) == 0;
        if ((event->kind == TRACE_MAPPED && !lock) || !disk_apply(disk, number, event, name, data)) {
            snprintf(why, CHECK_WHY_BYTES, "event %zu of kind %" PRIu32 " cannot be followed: %.*s", number, event->kind,
                     (int)event->name_size, name);
            return false;
        }
    }
    return true;
}

/* The picture after the last event must be the directory itself; it is then read as the reference. */
static bool read_reference(struct run *run, char why[CHECK_WHY_BYTES])
{
    char whole[4096];
    snprintf(whole, sizeof whole, "%s/whole", run->options.scratch);
    struct disk *disk = disk_create();
    bool fine = disk != NULL && mkdir(whole, 0700) == 0 && disk_advance(disk, &run->trace, 0, run->trace.count, why) &&
                disk_materialise(disk, CHOICE_KEEP_ALL, 0, whole);
    disk_destroy(disk);
    if (fine && !tree_equal(whole, run->options.directory)) {
        snprintf(why, CHECK_WHY_BYTES, "the recorder missed something: its picture differs from %s", run->options.directory);
        return false;
    }
    return fine && reference_read(&run->reference, whole, why) && tree_remove(whole);
}

static int by_cut(const void *a, const void *b)
{
    const struct state *x = a, *y = b;
    return (x->cut > y->cut) - (x->cut < y->cut);
}

enum { BEGINNING_EVENTS = 300 };

/* Where to cut: a part while the log is being made, of the rest half anywhere, half where it hurts: right after something was told,
 * within a flush, around a change of names. */
static bool choose_states(struct run *run)
{
    const struct options *o = &run->options;
    run->states = calloc(o->states, sizeof *run->states);
    size_t *painful = calloc(run->trace.count, sizeof *painful), count = 0;
    if (run->states == NULL || painful == NULL) {
        free(painful);
        return false;
    }
    for (size_t number = 1; number <= run->trace.count; number++) {
        const char *name;
        const uint8_t *data;
        uint32_t kind = trace_at(&run->trace, number, &name, &data)->kind;
        bool names = kind == TRACE_CREATE || kind == TRACE_MKDIR || kind == TRACE_RENAME || kind == TRACE_UNLINK;
        bool told = run->timeline.needs[number] > run->timeline.needs[number - 1];
        if (names || told || kind == TRACE_SYNC_BEGIN || kind == TRACE_DSYNC_BEGIN || kind == TRACE_DIRSYNC_BEGIN)
            painful[count++] = number;
    }
    uint64_t random = o->seed;
    for (uint64_t i = 0; i < o->states; i++) {
        struct state *state = &run->states[i];
        size_t within = random_next(&random) % 10 == 0 && run->trace.count > BEGINNING_EVENTS ? BEGINNING_EVENTS : run->trace.count;
        bool anywhere = count == 0 || within == BEGINNING_EVENTS || random_next(&random) % 2 == 0;
        state->cut = anywhere ? 1 + random_next(&random) % within : painful[random_next(&random) % count];
        state->choice = (enum disk_choice)(random_next(&random) % CHOICE_COUNT);
        state->seed = random_next(&random);
    }
    qsort(run->states, o->states, sizeof *run->states, by_cut);
    free(painful);
    return true;
}

static void complain(const struct run *run, const struct state *state, const char *why, const char *place)
{
    char line[CHECK_WHY_BYTES + 512];
    int size = snprintf(line, sizeof line,
                        "powercut: state of cut %zu/%zu (%s, seed %" PRIu64 ", positions below %" PRIu64 " were told): %s%s%s\n",
                        state->cut, run->trace.count, choice_names[state->choice], state->seed, run->timeline.needs[state->cut],
                        why, place[0] != '\0' ? "; kept in " : "", place);
    if (size > 0 && write(STDOUT_FILENO, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1) < 0)
        _exit(2);
}

/* Materialises and checks one state; where it fails and --keep is given, a fresh copy is left there. */
static bool check_one(struct run *run, const struct disk *disk, const struct state *state, const char *place)
{
    char why[CHECK_WHY_BYTES] = "";
    if (mkdir(place, 0700) != 0 || !disk_materialise(disk, state->choice, state->seed, place)) {
        snprintf(why, sizeof why, "could not be written: %s", strerror(errno));
        complain(run, state, why, "");
        return false;
    }
    bool held = state_check(&run->reference, place, run->timeline.needs[state->cut], why);
    if (!held) {
        char kept[4096] = "";
        if (run->options.keep != NULL) {
            snprintf(kept, sizeof kept, "%s/state-%zu-%" PRIx64, run->options.keep, state->cut, state->seed);
            if (mkdir(kept, 0700) != 0 || !disk_materialise(disk, state->choice, state->seed, kept))
                kept[0] = '\0';
        }
        complain(run, state, why, kept);
    }
    return tree_remove(place) && held;
}

static int work(struct run *run, uint64_t worker)
{
    char place[4096], why[CHECK_WHY_BYTES];
    snprintf(place, sizeof place, "%s/worker-%" PRIu64, run->options.scratch, worker);
    struct disk *disk = disk_create();
    size_t at = 0;
    for (uint64_t i = worker; i < run->options.states; i += run->options.workers) {
        const struct state *state = &run->states[i];
        if (disk == NULL || !disk_advance(disk, &run->trace, at, state->cut, why))
            return 2;
        at = state->cut;
        atomic_fetch_add(&run->tally->with_pending, disk_pending(disk) > 0);
        bool held = check_one(run, disk, state, place);
        atomic_fetch_add(&run->tally->held, held);
        atomic_fetch_add(&run->tally->checked, 1);
    }
    disk_destroy(disk);
    return 0;
}

static int work_all(struct run *run)
{
    int worst = 0;
    for (uint64_t worker = 0; worker < run->options.workers; worker++) {
        pid_t child = fork();
        if (child == 0)
            _exit(work(run, worker));
        worst = child < 0 ? 2 : worst;
    }
    int status;
    while (wait(&status) > 0) {
        if (status != 0) { /* a state that the log's code did not survive */
            printf("powercut: a worker ended with wait status %d\n", status);
            worst = 2;
        }
    }
    return worst;
}

static bool parse(int argc, char **argv, struct options *o)
{
    struct {
        const char *name, **text;
        uint64_t *number;
    } known[] = {{"--trace", &o->trace, NULL},     {"--directory", &o->directory, NULL},
                 {"--scratch", &o->scratch, NULL}, {"--keep", &o->keep, NULL},
                 {"--states", NULL, &o->states},   {"--seed", NULL, &o->seed},
                 {"--workers", NULL, &o->workers}, {"--segment-bytes", NULL, &o->segment_bytes}};
    for (int i = 1; i + 1 < argc; i += 2) {
        size_t k = 0;
        while (k < sizeof known / sizeof known[0] && strcmp(known[k].name, argv[i]) != 0)
            k++;
        if (k == sizeof known / sizeof known[0])
            return false;
        if (known[k].text != NULL)
            *known[k].text = argv[i + 1];
        else
            *known[k].number = strtoull(argv[i + 1], NULL, 10);
    }
    return argc % 2 == 1 && o->trace != NULL && o->directory != NULL && o->scratch != NULL && o->workers > 0 && o->states > 0;
}

int main(int argc, char **argv)
{
    struct run run = {.options = {.states = 500, .seed = 1, .workers = 2, .segment_bytes = 8 << 20}};
    char why[CHECK_WHY_BYTES] = "out of memory";
    const char *reason = "";
    if (!parse(argc, argv, &run.options)) {
        fprintf(stderr, "usage: truc_powercut --trace FILE --directory DIR --scratch DIR [--states N] [--seed S] [--workers W] "
                        "[--segment-bytes B] [--keep DIR]\n");
        return 2;
    }
    run.reference.segment_bytes = run.options.segment_bytes;
    run.tally = mmap(NULL, sizeof *run.tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int result = 2;
    if (run.tally == MAP_FAILED || !trace_open(&run.trace, run.options.trace) || run.trace.count == 0)
        snprintf(why, sizeof why, "%s: %s", run.options.trace, strerror(errno));
    else if (!timeline_build(&run.timeline, &run.trace, &reason))
        snprintf(why, sizeof why, "the recorded sends cannot be read: %s", reason);
    else if (read_reference(&run, why) && choose_states(&run))
        result = work_all(&run);
    if (run.tally == MAP_FAILED || (result == 2 && atomic_load(&run.tally->checked) == 0)) {
        printf("powercut: not judged: %s\n", why);
        result = 2;
        goto done;
    }
    uint64_t checked = atomic_load(&run.tally->checked), held = atomic_load(&run.tally->held);
    printf("powercut: %" PRIu64 " states of %zu events (%" PRIu64 " with something pending), %" PRIu64 " acknowledgements, "
           "%" PRIu64 " entries shown, %zu entries in the log: %" PRIu64 " failed\n",
           checked, run.trace.count, (uint64_t)atomic_load(&run.tally->with_pending), run.timeline.acknowledgements,
           run.timeline.deliveries, run.reference.count, checked - held);
    result = result != 0 ? result : checked != held;
done:
    free(run.states);
    reference_fini(&run.reference);
    timeline_fini(&run.timeline);
    trace_close(&run.trace);
    return result;
}
