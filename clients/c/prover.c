#include "clients/c/prover.h"

#include "clients/c/client.h"
#include "clients/c/intake.h"
#include "proto/digest.h"

truc_status prover_init(struct prover *prover)
{
    *prover = (struct prover){0};
    if (clock_condition_init(&prover->work) != 0)
        return TRUC_NO_MEMORY;
    prover->initialised = true;
    return TRUC_OK;
}

void prover_fini(struct prover *prover)
{
    if (prover->initialised)
        (void)pthread_cond_destroy(&prover->work);
    digest_context_destroy(prover->digests);
    *prover = (struct prover){0};
}

void prover_add(truc_client *client, struct parcel *parcel)
{
    struct prover *prover = &client->prover;

    parcel->queued = true;
    parcel->prove_next = NULL;
    parcel->prove_previous = prover->tail;
    if (prover->tail != NULL)
        prover->tail->prove_next = parcel;
    else
        prover->head = parcel;
    prover->tail = parcel;
    (void)pthread_cond_signal(&prover->work);
}

void prover_remove(truc_client *client, struct parcel *parcel)
{
    struct prover *prover = &client->prover;

    if (!parcel->queued)
        return;
    parcel->queued = false;
    if (parcel->prove_previous != NULL)
        parcel->prove_previous->prove_next = parcel->prove_next;
    else
        prover->head = parcel->prove_next;
    if (parcel->prove_next != NULL)
        parcel->prove_next->prove_previous = parcel->prove_previous;
    else
        prover->tail = parcel->prove_previous;
}

static void *run(void *argument)
{
    truc_client *client = argument;
    struct prover *prover = &client->prover;

    (void)pthread_mutex_lock(&client->lock);
    while (!prover->stopping) {
        if (prover->head != NULL)
            intake_prove(prover->head, prover->digests);
        else
            (void)clock_wait(&prover->work, &client->lock, CLOCK_NEVER);
    }
    (void)pthread_mutex_unlock(&client->lock);
    return NULL;
}

truc_status prover_start(truc_client *client)
{
    struct prover *prover = &client->prover;

    if (prover->started)
        return TRUC_OK;
    if (prover->digests == NULL)
        prover->digests = digest_context_create();
    if (prover->digests == NULL || pthread_create(&prover->thread, NULL, run, client) != 0)
        return TRUC_NO_MEMORY;
    prover->started = true;
    return TRUC_OK;
}

void prover_stop(truc_client *client)
{
    bool started;

    (void)pthread_mutex_lock(&client->lock);
    started = client->prover.started;
    client->prover.stopping = true;
    (void)pthread_cond_signal(&client->prover.work);
    (void)pthread_mutex_unlock(&client->lock);
    if (started)
        (void)pthread_join(client->prover.thread, NULL);
}
