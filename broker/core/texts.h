/* texts.h: texts that outlive who gave them. Layer: core. One thread. */
#ifndef TRUC_CORE_TEXTS_H
#define TRUC_CORE_TEXTS_H

#include "proto/bytes.h"

/* Copies texts into one piece of memory, each terminated, and lets them point there. The caller owns the piece, to be given to
 * free(). NULL when out of memory: the texts are as they were. */
uint8_t *texts_keep(struct bytes *const *texts, size_t count);

#endif
