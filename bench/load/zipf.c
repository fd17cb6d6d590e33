#include "bench/load/zipf.h"

#include <math.h>
#include <stdlib.h>

int zipf_init(struct zipf *zipf, uint32_t count, double skew, uint64_t seed)
{
    double sum = 0;
    *zipf = (struct zipf){.sums = malloc(count * sizeof *zipf->sums), .count = count, .state = seed * 0x9e3779b97f4a7c15u | 1};
    if (zipf->sums == NULL)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        sum += 1 / pow(i + 1.0, skew);
        zipf->sums[i] = sum;
    }
    return 0;
}

void zipf_fini(struct zipf *zipf)
{
    free(zipf->sums);
    *zipf = (struct zipf){0};
}

/* xorshift64*, in [0, 1). */
static double next_uniform(struct zipf *zipf)
{
    zipf->state ^= zipf->state >> 12;
    zipf->state ^= zipf->state << 25;
    zipf->state ^= zipf->state >> 27;
    return (double)(zipf->state * 0x2545f4914f6cdd1du >> 11) * 0x1p-53;
}

uint32_t zipf_next(struct zipf *zipf)
{
    double at = next_uniform(zipf) * zipf->sums[zipf->count - 1];
    uint32_t low = 0, high = zipf->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zipf->sums[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
