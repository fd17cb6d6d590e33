/* request_producer.h: the producer behind a requester or a server: unnamed, and without linger, because somebody waits, and it
 * never blocks. Layer: libtruc. */
#ifndef TRUC_CLIENT_REQUEST_PRODUCER_H
#define TRUC_CLIENT_REQUEST_PRODUCER_H

#include "clients/c/truc.h"

/* Codec and evidence are taken from options, which may be NULL. As truc_producer_open. */
truc_status request_producer_open(truc_client *client, const truc_options *options, truc_delivery_callback *on_delivery,
                                  void *context, truc_producer **ret_producer, char **ret_error);

#endif
