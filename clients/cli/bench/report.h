/* report.h: how a load's result is printed. Layer: cli. */
#ifndef TRUC_CLI_BENCH_REPORT_H
#define TRUC_CLI_BENCH_REPORT_H

#include "bench/load/environment.h"
#include "bench/load/load.h"
#include "clients/cli/output.h"

/* format: "table", "csv" (a heading line and one row) or "json" (one line). environment NULL: was not measured. */
void bench_report(struct out *out, const char *format, const char *verb, const struct load_spec *spec,
                  const struct load_result *result, const struct environment *environment);

#endif
