/* receipt.h: waiting until subscriptions have acknowledged a record. Layer: cli. */
#ifndef TRUC_CLI_RECEIPT_H
#define TRUC_CLI_RECEIPT_H

#include "clients/cli/cli.h"

/* --wait-timeout and --timeout of receipts, as libtruc takes it: at most 24 hours. */
uint32_t receipt_wait_ms(int64_t ns);

#endif
