/* subscription.h: what the verbs of `truc subscription` share. Layer: cli. */
#ifndef TRUC_CLI_SUBSCRIPTION_H
#define TRUC_CLI_SUBSCRIPTION_H

#include "clients/cli/cli.h"

/* A place as a person writes it, as libtruc takes it: new, start, head, position=N, offset=N as they are; a time becomes time_ns=N,
 * and what it came to is echoed. TRUC_USAGE, printed. */
truc_status subscription_place(struct cli_context *context, const char *given, char *text, size_t text_size);

/* Prints what a subscription is and how it stands. Errors are printed. */
truc_status subscription_show(struct cli_context *context, const char *name);

#endif
