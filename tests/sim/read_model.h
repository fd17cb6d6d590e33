/* read_model.h: what must hold of readings, plain ones and those of ordered subscriptions: what is wanted comes, all of it, in
 * order, once, its bytes unchanged, never above the durable head, within the credit. Layer: test of core. */
#ifndef TRUC_TESTS_SIM_READ_MODEL_H
#define TRUC_TESTS_SIM_READ_MODEL_H

#include "subscriptions.h"

void read_model_begin(void);

/* Frames of clients: READ, CREDIT; of the broker: READ_OK, READ_DATA, READ_END. */
void read_model_asked(struct connection *connection, uint64_t request_id, const Truc__V1__Read *read);
void read_model_credit(struct connection *connection, uint64_t request_id, uint64_t bytes);
void read_model_ok(struct connection *connection, uint64_t request_id, const Truc__V1__ReadOk *ok);
void read_model_data(struct connection *connection, uint64_t request_id, const Truc__V1__ReadData *data, struct bytes payload);
void read_model_end(struct connection *connection, uint64_t request_id, const Truc__V1__ReadEnd *end);
/* A reading, or all of a connection, are no more. */
void read_model_ends(uint64_t connection, uint64_t request_id);
void read_model_left(uint64_t connection);
void read_model_crash(void);

/* --- ordered subscriptions */

void ordered_paused(struct sub *sub);
void ordered_cursor(struct sub *sub, const struct cursor_row *cursor);
void ordered_settled(struct request *request);
bool ordered_done(struct sub *sub);

#endif
