/* verb_kit.h: runs a verb in a test, as main does. Test support. */
#ifndef TRUC_CLI_VERB_KIT_H
#define TRUC_CLI_VERB_KIT_H

#include "clients/c/fake_broker.h"
#include "clients/cli/cli.h"

/* What a run of a verb wrote, and how it ended. To be freed. */
struct verb_ran {
    truc_status status;
    char text[65536];
};

/* Runs a verb against the fake broker, its answers kept in memory. arguments end with NULL. */
struct verb_ran *verb_run(struct fake_broker *broker, const struct cli_verb *verb, char **arguments);

#define VERB_RUN(broker, verb, ...) verb_run(broker, verb, (char *[]){__VA_ARGS__, NULL})

#endif
