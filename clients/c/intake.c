#include "clients/c/intake.h"

#include <string.h>

#include "clients/c/client.h"

void intake_wake(const struct intake *intake)
{
    if (intake->pulled)
        (void)pthread_cond_broadcast(&intake->client->changed);
    else
        courier_wake(intake->client);
}

truc_status intake_add(struct intake *intake, struct parcel *parcel, struct bytes payload, struct inbound **inbound)
{
    truc_client *client = intake->client;

    if (*inbound != NULL) {
        parcel->inbound = *inbound;
        *inbound = NULL;
        parcel->payload = payload;
    } else {
        parcel->inbound = link_inbound_alloc(&client->link, payload.size);
        if (parcel->inbound == NULL)
            return TRUC_NO_MEMORY;
        memcpy(parcel->inbound->data, payload.data, payload.size);
        parcel->payload = bytes_of(parcel->inbound->data, payload.size);
    }
    parcel->intake = intake;
    intake->queued_bytes += payload.size;
    if (intake->tail != NULL)
        intake->tail->next = parcel;
    else
        intake->head = parcel;
    intake->tail = parcel;
    prover_add(client, parcel);
    intake_wake(intake);
    return TRUC_OK;
}

void intake_prove(struct parcel *parcel, struct digest_context *digests)
{
    struct intake *intake = parcel->intake;
    truc_client *client = intake->client;
    bool verify = intake->verify;
    size_t budget = intake->unpacked_max > intake->unpacked_bytes ? intake->unpacked_max - intake->unpacked_bytes : 0, unpacked = 0;

    prover_remove(client, parcel);
    parcel->state = PARCEL_PROVING;
    intake->unpacked_bytes += budget; /* ours until we know what we need */
    (void)pthread_mutex_unlock(&client->lock);
    parcel_prove(parcel, digests, verify, budget);
    for (size_t i = 0; i < parcel->entry_count; i++)
        unpacked += parcel->entries[i].unpacked != NULL ? parcel->entries[i].raw.size : 0;
    (void)pthread_mutex_lock(&client->lock);
    if (parcel->intake == NULL) { /* dropped meanwhile, and the budget with it */
        parcel_free(client, parcel);
        return;
    }
    intake->unpacked_bytes -= budget - unpacked;
    parcel->unpacked_bytes = unpacked;
    parcel->state = PARCEL_PROVEN;
    intake_wake(intake);
}

bool intake_prove_ahead(struct intake *intake, struct digest_context *digests)
{
    struct parcel *raw = intake->head;

    while (raw != NULL && raw->state != PARCEL_RAW)
        raw = raw->next;
    if (raw == NULL)
        return false;
    intake_prove(raw, digests);
    return true;
}

struct parcel *intake_pop(struct intake *intake)
{
    struct parcel *parcel = intake->head;

    intake->head = parcel->next;
    if (intake->head == NULL)
        intake->tail = NULL;
    intake->queued_bytes -= parcel->payload.size;
    intake->unpacked_bytes -= parcel->unpacked_bytes;
    return parcel;
}

void intake_drop(struct intake *intake, struct parcel *kept)
{
    struct parcel *parcel = kept != NULL ? kept->next : intake->head;

    intake->head = intake->tail = kept;
    if (kept != NULL)
        kept->next = NULL;
    while (parcel != NULL) {
        struct parcel *next = parcel->next;

        prover_remove(intake->client, parcel);
        if (parcel->state == PARCEL_PROVING)
            parcel->intake = NULL; /* freed by who is at it */
        else
            parcel_free(intake->client, parcel);
        parcel = next;
    }
    intake->queued_bytes = kept != NULL ? kept->payload.size : 0;
    intake->unpacked_bytes = kept != NULL ? kept->unpacked_bytes : 0;
}
