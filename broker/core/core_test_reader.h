/* core_test_reader.h: what the tests of readers share: a session with a producer, requests to read, expected answers. Layer: test
 * of core. One test at a time: the kit and its session are here. */
#ifndef TRUC_CORE_CORE_TEST_READER_H
#define TRUC_CORE_CORE_TEST_READER_H

#include "core_test_kit.h"

extern struct kit kit;
extern uint64_t connection;
extern struct kit_producer producer;

int reader_setup(void **state);
int reader_teardown(void **state);

/* Appends one batch to topic "t.N" and commits it. */
void append(unsigned topic, uint32_t count);

/* READ of a pattern with 4 MiB of credit; a bound of it. */
Truc__V1__Read want(const char *pattern);
Truc__V1__Bound bound(Truc__V1__Bound__AtCase at, uint64_t value);

/* Opens a reader that is resolved to [from, until); its number. READ_OK is taken. */
uint64_t open_reader(uint64_t request_id, Truc__V1__Read read, uint64_t from, uint64_t until);

const struct core_effect *expect_read(uint64_t reader, uint64_t from, uint64_t until);
void expect_data(uint64_t request_id, uint64_t next, size_t size);
void expect_end(uint64_t request_id, truc_status status, uint64_t next);

#endif
