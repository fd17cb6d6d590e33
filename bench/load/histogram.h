/* histogram.h: latencies in bounded memory: log-linear buckets, 1/64 relative error, 1 ns to 2^40 ns.
 *
 * Layer: bench. No allocation after init. One thread writes a histogram; merge for several. Values beyond the range count in
 * the last bucket, and the largest is kept exactly. The layout is that of HdrHistogram (G. Tene), which Debian has not for C. */
#ifndef TRUC_LOAD_HISTOGRAM_H
#define TRUC_LOAD_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 6,
    HISTOGRAM_EXPONENTS = 41 - HISTOGRAM_SUB_BITS,
    HISTOGRAM_BUCKETS = (HISTOGRAM_EXPONENTS + 1) << HISTOGRAM_SUB_BITS
};

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count, largest_ns;
    double sum_ns;
};

void histogram_init(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value below which a share of all values lies (0 < share <= 1): the upper edge of its bucket, at most the largest.
 * 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);
double histogram_mean(const struct histogram *histogram);

#endif
