/* run_kit.h: a verb run against the fake broker, as main runs it. Test support. */
#ifndef TRUC_CLI_RUN_KIT_H
#define TRUC_CLI_RUN_KIT_H

#include "clients/c/client_test_kit.h"
#include "clients/cli/cli.h"

/* What a run of a verb wrote, and how it ended. */
struct ran {
    truc_status status;
    char text[65536];
};

/* Runs a verb quietly, its answers kept in memory; now is 1970-01-01T00:00:00Z. arguments end with NULL. Freed by the caller. */
struct ran *run_verb(struct fake_broker *broker, const struct cli_verb *verb, char **arguments);

#define RUN(broker, verb, ...) run_verb(broker, verb, (char *[]){__VA_ARGS__, NULL})

#endif
