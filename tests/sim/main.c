/* truc_sim: the whole core under simulated clients, network, store, clocks and faults, from a seed.
 *
 *     truc_sim [--seed N] [--seeds N] [--steps N] [--minutes M]
 *
 * --seed: the first one; without --seeds that one alone, told about when it fails. --steps: of each seed before everything calms
 * down and must come to its end. --minutes: begins no seed after them. The last line is the result. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agenda.h"
#include "catalog.h"
#include "clients.h"
#include "invariants.h"
#include "readings.h"
#include "store.h"
#include "world.h"

enum { STEPS_DEFAULT = 10000, SEEDS_DEFAULT = 1000, CALM_STEPS_MAX = 400000, SEED_SECONDS_MAX = 60 };

static uint64_t seed_now, random_state[2];
static time_t began;

/* --- what every file stands on
 * ---------------------------------------------------------------------------------------------------------- */

void sim_fail(const char *format, ...)
{
    va_list arguments;

    printf("sim: seed %llu, step %llu: ", (unsigned long long)seed_now, (unsigned long long)world.steps);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\nsim: FAIL seed=%llu step=%llu seconds=%lld; truc_sim --seed %llu shows it again\n", (unsigned long long)seed_now,
           (unsigned long long)world.steps, (long long)(time(NULL) - began), (unsigned long long)seed_now);
    (void)fflush(stdout);
    _exit(1);
}

static void died(int number)
{
    sim_fail("%s",
             number == SIGALRM ? "the core does not come back, or nothing comes to an end" : "the core broke its own invariant");
}

void draw_seed(uint64_t seed)
{
    random_state[0] = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    random_state[1] = seed ^ UINT64_C(0xbf58476d1ce4e5b9);
    for (int i = 0; i < 16; i++)
        (void)draw_bits();
}

/* xorshift128+ */
uint64_t draw_bits(void)
{
    uint64_t a = random_state[0], b = random_state[1];

    random_state[0] = b;
    a ^= a << 23;
    random_state[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return random_state[1] + b;
}

void *take_memory(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);

    if (!memory)
        sim_fail("no memory for the simulator");
    return memory;
}

void *with_room(void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity > 0 ? *capacity * 2 : 64;
    items = realloc(items, *capacity * item_size);
    if (!items)
        sim_fail("no memory for the simulator");
    return items;
}

/* --- a seed
 * ---------------------------------------------------------------------------------------------------------------------------------
 */

static void begin(uint64_t seed)
{
    static const int64_t latencies[] = {MS / 20, MS / 2, 5 * MS}, commits[] = {MS / 10, MS, 12 * MS};
    unsigned slow, failures;

    seed_now = seed;
    draw_seed(seed);
    slow = one_in(2) ? 8 : 0;
    batches_begin();
    catalog_begin();
    store_begin();
    failures = one_in(3) ? 60 : 0;
    network_begin(latencies[draw(3)], slow);
    readings_begin(latencies[draw(3)], failures);
    invariants_begin();
    world_begin();
    world.proves = one_in(4);
    world.together = one_in(2) ? 1 : 2 + (unsigned)draw(6);
    world.commit_ns = commits[draw(3)];
    world.fails_one_in = one_in(3) ? 400 : 0;
    world.faults_one_in = 50 + (unsigned)draw(1 + draw(2000));
    clients_begin();
}

static void calm_down(void)
{
    world.calm = true;
    world.fails_one_in = 0;
    world.commit_ns = MS / 2;
    world_fill(UINT64_MAX);
    network_calm();
    readings_calm();
}

static void run(uint64_t seed, uint64_t steps)
{
    const char *why = "";

    (void)alarm(SEED_SECONDS_MAX);
    begin(seed);
    while (world.steps < steps && world_go_on())
        ;
    calm_down();
    if (world.drained)
        world_crash();
    while (!clients_done(&why) || !invariants_done(&why)) {
        if (!world_go_on() || world.steps > steps + CALM_STEPS_MAX)
            sim_fail("it does not come to an end: %s", why);
    }
    invariants_finish();
    clients_end();
    world_end();
    invariants_end();
    network_end();
    store_end();
    catalog_end();
}

static uint64_t number(const char *text)
{
    char *end = NULL;
    unsigned long long value = text ? strtoull(text, &end, 10) : 0;

    if (!text || end == text || *end != '\0') {
        (void)fprintf(stderr, "usage: truc_sim [--seed N] [--seeds N] [--steps N] [--minutes M]\n");
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    uint64_t first = 1, seeds = 0, steps = STEPS_DEFAULT, minutes = 0, done = 0;
    bool chosen = false;

    for (int i = 1; i < argc; i += 2) {
        uint64_t value = number(i + 1 < argc ? argv[i + 1] : NULL);

        if (strcmp(argv[i], "--seed") == 0)
            first = value, chosen = true;
        else if (strcmp(argv[i], "--seeds") == 0)
            seeds = value;
        else if (strcmp(argv[i], "--steps") == 0)
            steps = value;
        else if (strcmp(argv[i], "--minutes") == 0)
            minutes = value;
        else
            (void)number(NULL);
    }
    if (seeds == 0)
        seeds = chosen && minutes == 0 ? 1 : minutes > 0 ? UINT64_MAX : SEEDS_DEFAULT;
    began = time(NULL);
    (void)signal(SIGALRM, died);
    (void)signal(SIGILL, died);
    (void)signal(SIGTRAP, died);
    (void)signal(SIGSEGV, died);
    while (done < seeds && (minutes == 0 || time(NULL) - began < (time_t)minutes * 60))
        run(first + done++, steps);
    printf("sim: PASS seeds=%llu steps=%llu seconds=%lld\n", (unsigned long long)done, (unsigned long long)world_steps_all,
           (long long)(time(NULL) - began));
    return 0;
}
