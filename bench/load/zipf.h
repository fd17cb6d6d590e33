/* zipf.h: which key comes next, when some come far more often than others. Layer: bench. One thread each. */
#ifndef TRUC_LOAD_ZIPF_H
#define TRUC_LOAD_ZIPF_H

#include <stdint.h>

/* Number i of count (from 0) is drawn with a weight of 1 / (i + 1)^skew; skew 0: all alike. */
struct zipf {
    double *sums; /* of the weights up to and with each; owned */
    uint32_t count;
    uint64_t state; /* of the generator */
};

/* count >= 1. 0 on success, -1 when out of memory. */
int zipf_init(struct zipf *zipf, uint32_t count, double skew, uint64_t seed);
void zipf_fini(struct zipf *zipf);
uint32_t zipf_next(struct zipf *zipf);

#endif
