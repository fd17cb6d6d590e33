/* units.h: sizes and durations as people write them. Layer: main. Pure.
 *
 *     size       4096, 64KiB, 8MiB, 1GiB, 1TiB; kB, MB, GB, TB for powers of 1000
 *     duration   500ms, 10s, 5m, 2h, 1d; result in milliseconds; a bare number has no meaning and is refused */
#ifndef TRUC_MAIN_UNITS_H
#define TRUC_MAIN_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool units_parse_count(const char *text, uint64_t *ret_count);
bool units_parse_size(const char *text, uint64_t *ret_bytes);
bool units_parse_duration(const char *text, uint64_t *ret_ms);

/* The shortest exact text, e.g. "64MiB", "90s". */
void units_format_size(uint64_t bytes, char *text, size_t text_size);
void units_format_duration(uint64_t ms, char *text, size_t text_size);

#endif
