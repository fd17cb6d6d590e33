/* sim.h: what every file of the simulator stands on: chance from the seed, failing, growing. Layer: test of core. One thread, one
 * simulation at a time: its state is in a few globals, one for each file, made anew for each seed. */
#ifndef TRUC_TESTS_SIM_SIM_H
#define TRUC_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS INT64_C(1000000)

/* Ends the program with what is broken, the seed and the step: the same seed shows it again. */
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define SIM_CHECK(condition, ...) ((condition) ? (void)0 : sim_fail(__VA_ARGS__))

/* Everything random comes from here. At most one draw in an expression whose order C leaves open: a seed is the same in every
 * build. */
void draw_seed(uint64_t seed);
uint64_t draw_bits(void);
static inline uint64_t draw(uint64_t below)
{
    return (uint64_t)(((unsigned __int128)draw_bits() * below) >> 64);
}
static inline bool one_in(uint64_t times)
{
    return draw(times) == 0;
}

/* Memory that cannot fail: without it there is no simulation. */
void *take_memory(size_t size);
/* The array with room for one more element. */
void *with_room(void *items, size_t count, size_t *capacity, size_t item_size);

#endif
