#include "clients/c/link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/clock.h"

#ifdef __SANITIZE_THREAD__
/* NNG frees a dialer when its last connection is reaped, by a thread of its own; the reference count that orders this is an atomic
 * that the sanitizer does not see in a library built without it. */
const char *__tsan_default_suppressions(void);
__attribute__((weak)) const char *__tsan_default_suppressions(void)
{
    return "race:pthread_mutex_destroy\n";
}
#endif

enum { GATHER_MAX = 8, GATHER_BYTES_MAX = 4 * 1024 * 1024 }; /* what an nng_aio takes */

static void dialed(void *argument);
static void sent(void *argument);
static void received(void *argument);

truc_status link_init(struct link *link, pthread_mutex_t *lock, const char *url, const struct link_events *events, void *context)
{
    bool known = strncmp(url, "tcp://", 6) == 0 || strncmp(url, "ipc://", 6) == 0;
    int rv;

    *link = (struct link){.events = events, .context = context, .lock = lock, .frame_bytes_max = FRAME_BYTES_MAX};
    if (!known)
        return TRUC_INVALID_ARGUMENT;
    if (clock_condition_init(&link->unposted) != 0)
        return TRUC_NO_MEMORY;
    link->staging = malloc(LINK_STAGING_BYTES);
    rv = link->staging == NULL ? NNG_ENOMEM : nng_stream_dialer_alloc(&link->dialer, url);
    if (rv != 0) {
        free(link->staging);
        link->staging = NULL;
        (void)pthread_cond_destroy(&link->unposted);
        return rv == NNG_ENOMEM ? TRUC_NO_MEMORY : TRUC_INVALID_ARGUMENT;
    }
    /* ipc has neither option and needs none. */
    (void)nng_stream_dialer_set_bool(link->dialer, NNG_OPT_TCP_NODELAY, true);
    (void)nng_stream_dialer_set_bool(link->dialer, NNG_OPT_TCP_KEEPALIVE, true);
    return TRUC_OK;
}

void link_fini(struct link *link)
{
    if (link->staging == NULL)
        return;
    link_teardown(link);
    nng_stream_dialer_close(link->dialer);
    nng_stream_dialer_free(link->dialer);
    while (link->kept != NULL) {
        struct inbound *next = link->kept->next;

        free(link->kept);
        link->kept = next;
    }
    free(link->staging);
    link->staging = NULL;
    (void)pthread_cond_destroy(&link->unposted);
}

static void free_aios(struct link *link)
{
    nng_aio_free(link->dial_aio);
    nng_aio_free(link->try_aio);
    nng_aio_free(link->send_aio);
    nng_aio_free(link->receive_aio);
    link->dial_aio = link->try_aio = link->send_aio = link->receive_aio = NULL;
}

truc_status link_dial(struct link *link, int timeout_ms)
{
    /* New aios for every connection: a stopped one cannot be used again. */
    if (nng_aio_alloc(&link->dial_aio, dialed, link) != 0 || nng_aio_alloc(&link->try_aio, NULL, NULL) != 0 ||
        nng_aio_alloc(&link->send_aio, sent, link) != 0 || nng_aio_alloc(&link->receive_aio, received, link) != 0) {
        free_aios(link);
        return TRUC_NO_MEMORY;
    }
    nng_aio_set_timeout(link->dial_aio, timeout_ms);
    (void)pthread_mutex_lock(link->lock);
    link->state = LINK_DIALING;
    link->status = TRUC_OK;
    link->start = link->end = 0;
    link->frame_bytes_max = FRAME_BYTES_MAX;
    (void)pthread_mutex_unlock(link->lock);
    nng_stream_dialer_dial(link->dialer, link->dial_aio);
    return TRUC_OK;
}

void link_teardown(struct link *link)
{
    struct link_out *out;
    struct inbound *large;

    if (link->dial_aio == NULL)
        return;
    nng_aio_stop(link->dial_aio); /* its callback has run or never will */
    (void)pthread_mutex_lock(link->lock);
    if (link->state != LINK_BROKEN)
        link->state = LINK_BROKEN;
    while (link->posting)
        (void)clock_wait(&link->unposted, link->lock, CLOCK_NEVER);
    (void)pthread_mutex_unlock(link->lock);
    if (link->stream != NULL)
        nng_stream_close(link->stream);
    nng_aio_stop(link->send_aio);
    nng_aio_stop(link->receive_aio);
    if (link->stream != NULL)
        nng_stream_free(link->stream);
    free_aios(link);

    (void)pthread_mutex_lock(link->lock);
    link->stream = NULL;
    link->state = LINK_CLOSED;
    link->sending = false;
    out = link->out_head;
    link->out_head = link->out_tail = NULL;
    large = link->large;
    link->large = NULL;
    link_inbound_free(link, large);
    while (out != NULL) {
        struct link_out *next = out->next;

        out->queued = false;
        out->done(out);
        out = next;
    }
    (void)pthread_mutex_unlock(link->lock);
}

void link_break(struct link *link, truc_status status, const char *why)
{
    if (link->state != LINK_DIALING && link->state != LINK_OPEN)
        return;
    link->state = LINK_BROKEN;
    link->status = status;
    (void)snprintf(link->why, sizeof link->why, "%s", why);
    link->events->broken(link->context);
}

static void dialed(void *argument)
{
    struct link *link = argument;
    int rv = nng_aio_result(link->dial_aio);
    nng_stream *stream = rv == 0 ? nng_aio_get_output(link->dial_aio, 0) : NULL;
    bool ready = false;

    (void)pthread_mutex_lock(link->lock);
    link->stream = stream;
    if (link->state == LINK_DIALING) {
        if (rv != 0) {
            link_break(link, rv == NNG_ENOMEM ? TRUC_NO_MEMORY : TRUC_UNREACHABLE, nng_strerror(rv));
        } else {
            link->state = LINK_OPEN;
            link->events->opened(link->context);
            ready = link_prepare(link);
            nng_iov iov = {.iov_buf = link->staging, .iov_len = LINK_STAGING_BYTES};

            (void)nng_aio_set_iov(link->receive_aio, 1, &iov);
            nng_stream_recv(stream, link->receive_aio);
        }
    }
    (void)pthread_mutex_unlock(link->lock);
    if (ready)
        link_post(link);
}

/* --- out ------------------------------------------------------------------------------------------------------------------ */

void link_queue(struct link *link, struct link_out *out)
{
    assert(!out->queued);
    out->next = NULL;
    out->sent = 0;
    out->queued = true;
    if (link->out_tail != NULL)
        link->out_tail->next = out;
    else
        link->out_head = out;
    link->out_tail = out;
}

struct copied_out {
    struct link_out out;
    uint8_t bytes[];
};

static void copied_done(struct link_out *out)
{
    free(out); /* the first field of a struct copied_out */
}

truc_status link_queue_copy(struct link *link, const uint8_t *bytes, size_t size)
{
    struct copied_out *copy = malloc(sizeof *copy + size);

    if (copy == NULL)
        return TRUC_NO_MEMORY;
    memcpy(copy->bytes, bytes, size);
    copy->out = (struct link_out){.data = copy->bytes, .size = size, .done = copied_done};
    link_queue(link, &copy->out);
    return TRUC_OK;
}

/* Locked. What is next in the queue, as much as one system call takes. */
static void gather(const struct link *link, nng_aio *aio)
{
    nng_iov iov[GATHER_MAX];
    unsigned count = 0;
    size_t bytes = 0;

    for (struct link_out *out = link->out_head; out != NULL && count < GATHER_MAX && bytes < GATHER_BYTES_MAX; out = out->next) {
        iov[count++] = (nng_iov){.iov_buf = (void *)(uintptr_t)(out->data + out->sent), .iov_len = out->size - out->sent};
        bytes += out->size - out->sent;
    }
    (void)nng_aio_set_iov(aio, count, iov);
}

/* Locked. So many bytes have gone. */
static void consume(struct link *link, size_t count)
{
    link->sending = false;
    while (link->out_head != NULL && count > 0) {
        struct link_out *out = link->out_head;
        size_t left = out->size - out->sent;

        if (count < left) {
            out->sent += count;
            return;
        }
        count -= left;
        link->out_head = out->next;
        if (link->out_head == NULL)
            link->out_tail = NULL;
        out->queued = false;
        out->done(out);
    }
}

bool link_prepare(struct link *link)
{
    /* The last poster may not be back from NNG yet although its send is complete: then it goes on itself, in link_post. */
    if (link->state != LINK_OPEN || link->sending || link->posting || link->out_head == NULL)
        return false;
    gather(link, link->try_aio);
    link->sending = link->posting = true;
    return true;
}

void link_post(struct link *link)
{
    bool again, wait;
    int rv;

    do {
        /* An aio without a callback is finished here, by this thread, or, when the socket takes nothing now, taken back here: the
         * usual send wakes no thread of NNG's. */
        nng_stream_send(link->stream, link->try_aio);
        nng_aio_abort(link->try_aio, NNG_ECANCELED);
        nng_aio_wait(link->try_aio);
        rv = nng_aio_result(link->try_aio);

        (void)pthread_mutex_lock(link->lock);
        wait = rv == NNG_ECANCELED && link->state == LINK_OPEN;
        if (wait) {
            gather(link, link->send_aio);
            (void)pthread_mutex_unlock(link->lock);
            nng_stream_send(link->stream, link->send_aio);
            (void)pthread_mutex_lock(link->lock);
        } else if (rv == 0) {
            consume(link, nng_aio_count(link->try_aio));
        } else {
            link_break(link, TRUC_UNREACHABLE, nng_strerror(rv));
        }
        link->posting = false;
        if (link->state == LINK_BROKEN)
            (void)pthread_cond_broadcast(&link->unposted);
        again = link_prepare(link);
        (void)pthread_mutex_unlock(link->lock);
    } while (again);
}

static void sent(void *argument)
{
    struct link *link = argument;
    int rv = nng_aio_result(link->send_aio);
    bool ready;

    (void)pthread_mutex_lock(link->lock);
    if (rv == 0)
        consume(link, nng_aio_count(link->send_aio));
    else
        link_break(link, TRUC_UNREACHABLE, nng_strerror(rv));
    ready = link_prepare(link);
    (void)pthread_mutex_unlock(link->lock);
    if (ready)
        link_post(link);
}

/* --- in ------------------------------------------------------------------------------------------------------------------- */

struct inbound *link_inbound_alloc(struct link *link, size_t size)
{
    struct inbound **at = &link->kept;
    struct inbound *inbound;
    size_t capacity = (size + 65535) & ~(size_t)65535;

    while (*at != NULL && ((*at)->capacity < size || (*at)->capacity > 2 * capacity))
        at = &(*at)->next;
    inbound = *at;
    if (inbound != NULL) {
        *at = inbound->next;
        link->kept_count--;
    } else {
        inbound = malloc(sizeof *inbound + capacity);
        if (inbound == NULL)
            return NULL;
        inbound->capacity = capacity;
    }
    inbound->next = NULL;
    inbound->filled = 0;
    return inbound;
}

void link_inbound_free(struct link *link, struct inbound *inbound)
{
    if (inbound == NULL)
        return;
    if (link->kept_count >= LINK_INBOUND_KEPT) {
        /* The oldest goes: sizes follow what is being read now. */
        struct inbound **at = &link->kept;

        while ((*at)->next != NULL)
            at = &(*at)->next;
        free(*at);
        *at = NULL;
        link->kept_count--;
    }
    inbound->next = link->kept;
    link->kept = inbound;
    link->kept_count++;
}

/* Gives one whole frame to the client. */
static truc_status deliver(struct link *link, struct bytes bytes, struct inbound **inbound, const char **ret_why)
{
    struct frame frame;
    size_t size = 0;
    truc_status status = frame_peek(bytes, link->frame_bytes_max, &frame, &size, ret_why);

    if (status != TRUC_OK)
        return status;
    assert(size == bytes.size && size != 0);
    return link->events->frame(link->context, &frame, inbound, ret_why);
}

/* Locked. Cuts what is staged into frames; begins a large one when its prefix is there. */
static truc_status cut_staged(struct link *link, const char **ret_why)
{
    struct frame frame;
    size_t size = 0, there;
    truc_status status;

    while (link->start < link->end) {
        struct bytes arrived = bytes_of(link->staging + link->start, link->end - link->start);
        struct inbound *none = NULL;

        status = frame_peek(arrived, link->frame_bytes_max, &frame, &size, ret_why);
        if (status != TRUC_OK)
            return status;
        if (size == 0)
            break;
        if (size <= arrived.size) {
            link->start += size;
            status = link->events->frame(link->context, &frame, &none, ret_why);
            if (status != TRUC_OK)
                return status;
            continue;
        }
        if (size <= LINK_STAGING_BYTES)
            break;
        link->large = link_inbound_alloc(link, size);
        if (link->large == NULL) {
            *ret_why = "no memory for a received frame";
            return TRUC_NO_MEMORY;
        }
        there = arrived.size;
        memcpy(link->large->data, arrived.data, there);
        link->large->filled = there;
        link->large_size = size;
        link->start = link->end = 0;
    }
    if (link->start == link->end) {
        link->start = link->end = 0;
    } else if (link->start > 0) {
        memmove(link->staging, link->staging + link->start, link->end - link->start);
        link->end -= link->start;
        link->start = 0;
    }
    return TRUC_OK;
}

/* Locked. Takes in count received bytes. */
static truc_status take_in(struct link *link, size_t count, const char **ret_why)
{
    truc_status status;

    if (link->large != NULL) {
        struct inbound *large = link->large;
        size_t left = link->large_size - large->filled;
        size_t part = count < left ? count : left;

        large->filled += part;
        count -= part;
        if (large->filled == link->large_size) {
            link->large = NULL;
            status = deliver(link, bytes_of(large->data, large->filled), &large, ret_why);
            link_inbound_free(link, large);
            if (status != TRUC_OK)
                return status;
        }
    }
    link->end += count;
    return cut_staged(link, ret_why);
}

static void receive_more(struct link *link)
{
    nng_iov iov[2];
    unsigned count = 0;

    if (link->large != NULL)
        iov[count++] =
            (nng_iov){.iov_buf = link->large->data + link->large->filled, .iov_len = link->large_size - link->large->filled};
    iov[count++] = (nng_iov){.iov_buf = link->staging + link->end, .iov_len = LINK_STAGING_BYTES - link->end};
    (void)nng_aio_set_iov(link->receive_aio, count, iov);
    nng_stream_recv(link->stream, link->receive_aio);
}

static void received(void *argument)
{
    struct link *link = argument;
    int rv = nng_aio_result(link->receive_aio);
    size_t count = rv == 0 ? nng_aio_count(link->receive_aio) : 0;
    const char *why = "";
    truc_status status = TRUC_OK;
    bool ready = false, more = false;

    (void)pthread_mutex_lock(link->lock);
    if (rv != 0) {
        link_break(link, TRUC_UNREACHABLE, nng_strerror(rv));
    } else if (link->state == LINK_OPEN) {
        status = take_in(link, count, &why);
        if (status != TRUC_OK) /* a size beyond every limit is no frame of a broker's */
            link_break(link, status == TRUC_FRAME_TOO_LARGE ? TRUC_PROTOCOL : status, why);
        link->events->received(link->context);
        ready = link_prepare(link);
        more = link->state == LINK_OPEN;
    }
    (void)pthread_mutex_unlock(link->lock);
    if (ready)
        link_post(link);
    if (more)
        receive_more(link); /* a teardown stops the aio, which this callback holds up */
}
