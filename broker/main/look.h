/* look.h: one look at the log for the core (EFFECT_LOOK): what it asks, and its answer. Layer: main. One thread at a time. */
#ifndef TRUC_MAIN_LOOK_H
#define TRUC_MAIN_LOOK_H

#include "broker/log/engine.h"
#include "broker/main/letter.h"

struct look;

/* A copy of what is asked, and room for the answer. NULL: no memory. */
struct look *look_create(const struct core_look *asked);
void look_destroy(struct look *look); /* NULL is allowed */

/* Answers, into a CORE_LOOKED, which borrows the answer from the look. */
void look_answer(struct look *look, struct log *log, struct letter *letter);

#endif
