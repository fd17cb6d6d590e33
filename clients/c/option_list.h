/* option_list.h: options that hold several values: back-offs "100,1000", headers "NAME=VALUE;NAME=VALUE". Layer: libtruc. Pure. */
#ifndef TRUC_CLIENT_OPTION_LIST_H
#define TRUC_CLIENT_OPTION_LIST_H

#include "proto/bytes.h"
#include "proto/limits.h"

/* As struct option_row's check: *ret_why says what is expected. */
bool backoffs_check(const char *text, const char **ret_why);
bool headers_check(const char *text, const char **ret_why);

/* Walk a checked text: *text begins as the whole and moves on. False at the end. */
bool backoffs_next(const char **text, uint32_t *ret_ms);
bool headers_next(const char **text, struct bytes *ret_name, struct bytes *ret_value);

enum { DELAY_MS_MAX = 7 * 24 * 3600 * 1000, HEADERS_MAX = 64 };

#endif
