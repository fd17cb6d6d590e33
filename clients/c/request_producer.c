#include "clients/c/request_producer.h"

#include "clients/c/options.h"

truc_status request_producer_open(truc_client *client, const truc_options *options, truc_delivery_callback *on_delivery,
                                  void *context, truc_producer **ret_producer, char **ret_error)
{
    truc_options *own = NULL;
    truc_status status = truc_options_create(&own);

    if (status == TRUC_OK)
        status = truc_options_set(own, "linger_us", "0");
    if (status == TRUC_OK)
        status = truc_options_set(own, "queue_full", "error");
    if (status == TRUC_OK)
        status = truc_options_set(own, "codec", option_text(options, OPTION_CODEC));
    if (status == TRUC_OK)
        status = truc_options_set(own, "evidence", option_text(options, OPTION_EVIDENCE));
    if (status == TRUC_OK)
        status = truc_producer_open(client, own, on_delivery, context, ret_producer, ret_error);
    truc_options_destroy(own);
    return status;
}
