#include "bench/load/histogram.h"

#include <string.h>

enum { SUB_COUNT = 1 << HISTOGRAM_SUB_BITS };

void histogram_init(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

/* Values below SUB_COUNT have a bucket each; above, each power of two is cut into SUB_COUNT buckets. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < SUB_COUNT)
        return (unsigned)ns;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(ns) - HISTOGRAM_SUB_BITS;
    unsigned sub = (unsigned)(ns >> exponent) - SUB_COUNT;
    unsigned bucket = ((exponent + 1) << HISTOGRAM_SUB_BITS) + sub;
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t bucket_upper(unsigned bucket)
{
    if (bucket < SUB_COUNT)
        return bucket;
    unsigned exponent = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t sub = (bucket & (SUB_COUNT - 1)) + SUB_COUNT;
    return ((sub + 1) << exponent) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->buckets[bucket_of(ns)]++;
    histogram->count++;
    histogram->sum_ns += (double)ns;
    if (ns > histogram->largest_ns)
        histogram->largest_ns = ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    into->sum_ns += from->sum_ns;
    if (from->largest_ns > into->largest_ns)
        into->largest_ns = from->largest_ns;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t rank = (uint64_t)(share * (double)histogram->count);
    uint64_t seen = 0;
    if ((double)rank < share * (double)histogram->count)
        rank++;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank && seen > 0) {
            uint64_t upper = bucket_upper(i);
            return upper < histogram->largest_ns ? upper : histogram->largest_ns;
        }
    }
    return histogram->largest_ns;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count ? histogram->sum_ns / (double)histogram->count : 0;
}
