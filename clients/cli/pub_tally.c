#include "clients/cli/pub.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { FLUSH_BYTES = 64 * 1024 };

truc_status pub_tally_init(struct pub_tally *tally, struct cli_context *context)
{
    pthread_condattr_t attributes;
    *tally = (struct pub_tally){.context = context, .failed = TRUC_OK};
    if (pthread_mutex_init(&tally->lock, NULL) != 0) {
        return TRUC_NO_MEMORY;
    }
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int error = pthread_cond_init(&tally->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (error != 0) {
        pthread_mutex_destroy(&tally->lock);
        return TRUC_NO_MEMORY;
    }
    return TRUC_OK;
}

void pub_tally_fini(struct pub_tally *tally)
{
    pthread_cond_destroy(&tally->changed);
    pthread_mutex_destroy(&tally->lock);
}

void pub_delivery_print(struct out *out, const truc_delivery *delivery)
{
    out_text(out, "{\"status\":\"");
    out_text(out, truc_status_name(delivery->status));
    out_text(out, "\",\"topic\":");
    out_json_string(out, bytes_of_text(delivery->topic));
    if (delivery->status == TRUC_OK) {
        out_text(out, ",\"offset\":");
        out_u64(out, delivery->offset);
        out_text(out, ",\"position\":");
        out_u64(out, delivery->position);
        out_text(out, ",\"index\":");
        out_u64(out, delivery->index);
    } else if (delivery->status == TRUC_CONFLICT && delivery->offset != UINT64_MAX) {
        out_text(out, ",\"next_offset\":");
        out_u64(out, delivery->offset);
    }
    out_text(out, ",\"sequence\":");
    out_u64(out, delivery->sequence);
    out_text(out, delivery->duplicate ? ",\"duplicate\":true" : ",\"duplicate\":false");
    out_text(out, delivery->created ? ",\"created\":true" : ",\"created\":false");
    if (delivery->status == TRUC_OK) {
        out_text(out, ",\"subscriptions\":");
        out_u64(out, delivery->subscriptions);
    } else {
        out_text(out, ",\"why\":");
        out_json_string(out, bytes_of_text(delivery->why));
    }
    out_text(out, "}\n");
}

static void count_delivery(struct pub_tally *tally, const truc_delivery *delivery)
{
    uint64_t number = (uint64_t)(uintptr_t)delivery->opaque;
    tally->delivered++;
    if (delivery->status == TRUC_OK) {
        if (tally->stored == 0) {
            tally->first_offset = delivery->offset;
        }
        tally->stored++;
        if (tally->wait != NULL) {
            pub_wait_note(tally->wait, delivery->offset);
        }
        tally->last_offset = delivery->offset;
        tally->position = delivery->position;
        tally->index = delivery->index;
        tally->created = tally->created || delivery->created;
        tally->subscriptions = delivery->subscriptions;
    } else if (delivery->status == TRUC_DUPLICATE) {
        tally->duplicates++;
    } else if (tally->failed == TRUC_OK) {
        tally->failed = delivery->status;
        tally->failed_number = number;
        tally->failed_offset = delivery->offset;
        snprintf(tally->failed_why, sizeof tally->failed_why, "%s", delivery->why != NULL ? delivery->why : "");
    }
}

void pub_tally_delivered(void *context, const truc_delivery *deliveries, size_t count)
{
    struct pub_tally *tally = context;
    struct out *out = &tally->context->out;
    pthread_mutex_lock(&tally->lock);
    for (size_t i = 0; i < count; i++) {
        count_delivery(tally, &deliveries[i]);
        if (tally->context->globals.json) {
            pub_delivery_print(out, &deliveries[i]);
        }
    }
    if (out->size >= FLUSH_BYTES) {
        out_flush(out);
    }
    pthread_cond_signal(&tally->changed);
    pthread_mutex_unlock(&tally->lock);
}

uint64_t pub_tally_wait(struct pub_tally *tally, uint64_t seen)
{
    struct timespec until;
    int error = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 100000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&tally->lock);
    while (error == 0 && tally->delivered <= seen) {
        error = pthread_cond_timedwait(&tally->changed, &tally->lock, &until);
    }
    uint64_t delivered = tally->delivered;
    pthread_mutex_unlock(&tally->lock);
    return delivered;
}

truc_status pub_tally_failed(struct pub_tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    truc_status failed = tally->failed;
    pthread_mutex_unlock(&tally->lock);
    return failed;
}

void pub_note_topic(struct cli_context *context, const truc_delivery *last)
{
    if (last->created) {
        cli_note(context, "created topic %s", last->topic);
    }
    if (last->status == TRUC_OK && last->subscriptions == 0) {
        cli_note(context,
                 "no subscription matches %s; the log keeps the record, `truc replay` and later subscriptions find it (--quiet: "
                 "not said)",
                 last->topic);
    }
}
