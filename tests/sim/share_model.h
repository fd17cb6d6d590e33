/* share_model.h: what must hold of a shared subscription: the model knows of every record whose turn it is. Layer: test of core.
 *
 *   - a record is given that is on disk, wanted, unresolved, free, due, and the first unresolved one of its key; to a worker with
 *     credit, within in_flight_max; as the attempt after those that failed. Of a key one record at a time is given, or the first
 * ones as a run, which is settled in order; records with a time to be delivered at come not before it, one at a time with their
 * key; what has expired is not given;
 *   - what is delivered is what was fetched, and its bytes prove;
 *   - exactly the leases that are not, or no longer, a worker's are stale; leases lapse when they are due;
 *   - a SETTLE is confirmed when what it changed is on disk; a dead letter is written once, for a record that is dead, with its
 *     attempts and reason;
 *   - after a crash what was confirmed is resolved and what was not settled is not; attempts and delays are remembered. */
#ifndef TRUC_TESTS_SIM_SHARE_MODEL_H
#define TRUC_TESTS_SIM_SHARE_MODEL_H

#include "subscriptions.h"

void share_fetch(struct attachment *attachment, const struct place *places, size_t count);
void share_fetched(struct attachment *attachment, const struct core_read_done *done);
void share_delivered(struct attachment *attachment, const Truc__V1__Deliver *deliver, struct bytes payload);
void share_settle_asked(struct attachment *attachment, struct request *request, const Truc__V1__Settle *settle);
void share_settled(struct request *request, const Truc__V1__SettleOk *ok);
void share_leave_held(struct attachment *attachment, bool counted);
void share_time(struct sub *sub);
void share_letter(const struct core_effect *effect);
void share_cursor(struct sub *sub, uint64_t ticket, const struct cursor_row *cursor);
void share_durable(struct sub *sub, uint64_t ticket);
void share_crash(struct sub *sub, const struct catalog_subscription *row);
bool share_done(struct sub *sub);
void share_fini(struct sub *sub);

/* Keys in log order, of what is durable. */
void keys_begin(void);
void keys_durable(void);

#endif
