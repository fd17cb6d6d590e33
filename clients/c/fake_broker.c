#undef NDEBUG /* a test kit that checks nothing in release would be none */
#include "clients/c/fake_broker.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/digest.h"
#include "proto/entry.h"
#include "truc/v1/wire.pb-c.h"

enum { BUFFER_BYTES = FRAME_BYTES_MAX };

void fake_broker_lock(struct fake_broker *broker)
{
    (void)pthread_mutex_lock(&broker->lock);
}

void fake_broker_unlock(struct fake_broker *broker)
{
    (void)pthread_mutex_unlock(&broker->lock);
}

void fake_broker_disconnect(struct fake_broker *broker)
{
    if (broker->connection >= 0)
        (void)shutdown(broker->connection, SHUT_RDWR);
}

/* --- answers -------------------------------------------------------------------------------------------------------------- */

static void send_bytes(struct fake_broker *broker, const uint8_t *bytes, size_t size)
{
    size_t slice = broker->slice_bytes == 0 ? size : broker->slice_bytes;

    while (size > 0) {
        ssize_t done = send(broker->connection, bytes, size < slice ? size : slice, MSG_NOSIGNAL);

        if (done <= 0)
            return;
        bytes += done;
        size -= (size_t)done;
    }
}

void fake_broker_answer(struct fake_broker *broker, enum fake_deed deed, enum frame_kind kind, uint64_t id,
                        const ProtobufCMessage *header, struct bytes payload)
{
    static uint8_t head[FRAME_PREFIX_BYTES + FRAME_HEADER_BYTES_MAX]; /* one thread answers */
    size_t size = frame_encode(head, sizeof head, kind, deed == FAKE_STRANGER ? UINT64_C(1) << 60 : id, header, payload.size);
    static const uint8_t garbage[64] = {0xff, 0xff, 0xff, 0xff, 0x13, 0x37};

    assert(size > 0);
    if (deed == FAKE_DROP_AFTER || deed == FAKE_DROP_BEFORE) {
        fake_broker_disconnect(broker);
        return;
    }
    if (deed == FAKE_GARBAGE) {
        send_bytes(broker, garbage, sizeof garbage);
        return;
    }
    if (deed == FAKE_DROP_WITHIN) {
        send_bytes(broker, head, size / 2);
        fake_broker_disconnect(broker);
        return;
    }
    for (int i = 0; i < (deed == FAKE_TWICE ? 2 : 1); i++) {
        send_bytes(broker, head, size);
        if (payload.size > 0)
            send_bytes(broker, payload.data, payload.size);
    }
}

void fake_broker_refuse(struct fake_broker *broker, enum fake_deed deed, uint64_t id, truc_status status, uint64_t actual)
{
    Truc__V1__Error error = TRUC__V1__ERROR__INIT;
    char text[] = "refused by the test";

    error.status = (uint32_t)status;
    error.message = text;
    error.retry_after_ms = broker->retry_after_ms;
    error.actual = actual;
    fake_broker_answer(broker, deed, FRAME_ERROR, id, &error.base, bytes_of(NULL, 0));
}

/* --- session -------------------------------------------------------------------------------------------------------------- */

static void on_hello(struct fake_broker *broker, enum fake_deed deed, const struct frame *frame)
{
    Truc__V1__ServerHello hello = TRUC__V1__SERVER_HELLO__INIT;
    Truc__V1__Limits limits = TRUC__V1__LIMITS__INIT;
    uint8_t nonce[32] = {1};
    char domain[] = "test/fake", agent[] = "fake", empty[] = "";

    limits.frame_bytes_max = FRAME_BYTES_MAX;
    limits.batch_bytes_max = broker->batch_bytes_max;
    limits.record_bytes_max = RECORD_BYTES_DEFAULT;
    limits.batch_records_max = BATCH_RECORDS_MAX;
    limits.batches_in_flight_max = broker->in_flight_max;
    limits.publish_credit_bytes = broker->credit_bytes;
    limits.read_credit_bytes_max = UINT64_C(8) * 1024 * 1024;
    limits.readers_max = 16;
    hello.magic = 0x54525543;
    hello.version = 1;
    hello.nonce = (ProtobufCBinaryData){32, nonce};
    hello.domain = domain;
    hello.agent = agent;
    hello.checkpoint = empty;
    hello.log_id = (ProtobufCBinaryData){LOG_ID_BYTES, broker->log_id};
    hello.generation = broker->generation;
    hello.durable_position = broker->entry_count - broker->durable_back;
    hello.limits = &limits;
    broker->outstanding_bytes = 0;
    fake_broker_answer(broker, deed, FRAME_HELLO_OK, frame->request_id, &hello.base, bytes_of(NULL, 0));
}

static void on_producer_open(struct fake_broker *broker, enum fake_deed deed, const struct frame *frame)
{
    uint8_t memory[4096];
    struct arena arena = {memory, memory + sizeof memory};
    const char *why;
    const Truc__V1__ProducerOpen *open = frame_header_decode(&arena, &truc__v1__producer_open__descriptor, frame->header, &why);
    Truc__V1__ProducerOk ok = TRUC__V1__PRODUCER_OK__INIT;
    Truc__V1__TopicSequence rows[FAKE_TOPICS_MAX], *pointers[FAKE_TOPICS_MAX];
    struct fake_producer *producer = NULL;

    assert(open != NULL);
    for (size_t i = 0; i < broker->producer_count; i++) {
        if (open->resume_id != 0 ? broker->producers[i].id == open->resume_id
                                 : open->name[0] != '\0' && strcmp(open->name, broker->producers[i].name) == 0)
            producer = &broker->producers[i];
    }
    if (open->resume_id != 0) {
        if (producer == NULL || producer->gone) {
            fake_broker_refuse(broker, deed, frame->request_id, TRUC_UNKNOWN_PRODUCER, 0);
            return;
        }
        if (producer->epoch != open->resume_epoch) {
            fake_broker_refuse(broker, deed, frame->request_id, TRUC_FENCED, 0);
            return;
        }
    } else {
        if (producer == NULL) {
            assert(broker->producer_count < FAKE_PRODUCERS_MAX);
            producer = &broker->producers[broker->producer_count++];
            producer->id = broker->producer_count;
            (void)snprintf(producer->name, sizeof producer->name, "%s", open->name);
        }
        producer->epoch++;
    }
    ok.producer_id = producer->id;
    ok.epoch = producer->epoch;
    for (size_t i = 0; i < broker->lane_count; i++) {
        if (broker->lanes[i].producer_id != producer->id)
            continue;
        truc__v1__topic_sequence__init(&rows[ok.n_sequences]);
        rows[ok.n_sequences].topic = broker->lanes[i].topic;
        rows[ok.n_sequences].next_sequence = broker->lanes[i].next_sequence;
        pointers[ok.n_sequences] = &rows[ok.n_sequences];
        ok.n_sequences++;
    }
    ok.sequences = pointers;
    fake_broker_answer(broker, deed, FRAME_PRODUCER_OK, frame->request_id, &ok.base, bytes_of(NULL, 0));
}

/* --- the thread ------------------------------------------------------------------------------------------------------------- */

static void handle(struct fake_broker *broker, const struct frame *frame)
{
    enum fake_deed deed = broker->deed != NULL ? broker->deed(broker->context, broker, frame) : FAKE_NORMAL;
    Truc__V1__LoginOk login = TRUC__V1__LOGIN_OK__INIT;
    Truc__V1__Pong pong = TRUC__V1__PONG__INIT;

    broker->frames++;
    if (deed == FAKE_DROP_BEFORE) {
        fake_broker_disconnect(broker);
        return;
    }
    if (deed == FAKE_SILENT)
        return;
    switch (frame->kind) {
    case FRAME_HELLO:
        if (deed == FAKE_REFUSE)
            fake_broker_refuse(broker, FAKE_NORMAL, frame->request_id, broker->refuse_status, 0);
        else
            on_hello(broker, deed, frame);
        break;
    case FRAME_LOGIN:
        fake_broker_answer(broker, deed, FRAME_LOGIN_OK, frame->request_id, &login.base, bytes_of(NULL, 0));
        break;
    case FRAME_PING:
        fake_broker_answer(broker, deed, FRAME_PONG, frame->request_id, &pong.base, frame->payload);
        break;
    case FRAME_PRODUCER_OPEN:
        if (deed == FAKE_REFUSE)
            fake_broker_refuse(broker, FAKE_NORMAL, frame->request_id, broker->refuse_status, 0);
        else
            on_producer_open(broker, deed, frame);
        break;
    case FRAME_PUBLISH:
        fake_publish(broker, deed, frame);
        if (broker->reader_follow)
            fake_read_serve(broker, FAKE_NORMAL);
        fake_share_serve(broker);
        break;
    case FRAME_READ:
        fake_read_begin(broker, deed, frame);
        break;
    case FRAME_CREDIT:
        fake_read_credit(broker, deed, frame);
        break;
    case FRAME_CANCEL:
        if (frame->request_id == broker->reader_id)
            fake_read_end(broker, TRUC_CANCELLED);
        else
            fake_share_cancel(broker, frame->request_id);
        break;
    default:
        if (!fake_share_handle(broker, deed, frame) && (broker->other == NULL || !broker->other(broker->context, broker, frame)))
            fake_broker_refuse(broker, FAKE_NORMAL, frame->request_id, TRUC_UNSUPPORTED, 0);
    }
}

/* Cuts what arrived into frames and handles them. False: the connection cannot go on. */
static bool handle_arrived(struct fake_broker *broker, uint8_t *buffer, size_t *size)
{
    size_t start = 0;

    for (;;) {
        struct frame frame;
        size_t frame_size = 0;
        const char *why;

        if (frame_peek(bytes_of(buffer + start, *size - start), FRAME_BYTES_MAX, &frame, &frame_size, &why) != TRUC_OK)
            return false;
        if (frame_size == 0 || frame_size > *size - start)
            break;
        fake_broker_lock(broker);
        handle(broker, &frame);
        fake_broker_unlock(broker);
        start += frame_size;
    }
    memmove(buffer, buffer + start, *size - start);
    *size -= start;
    return true;
}

static void converse(struct fake_broker *broker, uint8_t *buffer)
{
    size_t size = 0;

    for (;;) {
        ssize_t count = recv(broker->connection, buffer + size, BUFFER_BYTES - size, 0);

        if (count <= 0)
            return;
        size += (size_t)count;
        if (!handle_arrived(broker, buffer, &size))
            return;
    }
}

static void *run(void *argument)
{
    struct fake_broker *broker = argument;
    uint8_t *buffer = malloc(BUFFER_BYTES);

    assert(buffer != NULL);
    for (;;) {
        struct pollfd fds[2] = {{.fd = broker->listener, .events = POLLIN}, {.fd = broker->wake[0], .events = POLLIN}};
        int fd;

        (void)poll(fds, 2, -1);
        if (fds[1].revents != 0)
            break;
        fd = accept(broker->listener, NULL, NULL);
        if (fd < 0)
            continue;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        fake_broker_lock(broker);
        broker->connection = fd;
        broker->connections++;
        broker->reader_id = 0;
        broker->reader_follow = false;
        fake_share_connected(broker);
        if (broker->stopping)
            fake_broker_disconnect(broker);
        fake_broker_unlock(broker);
        converse(broker, buffer);
        fake_broker_lock(broker);
        broker->connection = -1;
        (void)close(fd);
        fake_broker_unlock(broker);
    }
    free(buffer);
    return NULL;
}

struct fake_broker *fake_broker_start(void)
{
    struct fake_broker *broker = calloc(1, sizeof *broker);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int rc;

    assert(broker != NULL);
    (void)pthread_mutex_init(&broker->lock, NULL);
    broker->connection = -1;
    broker->batch_bytes_max = BATCH_BYTES_MAX;
    broker->in_flight_max = BATCHES_IN_FLIGHT_MAX;
    broker->credit_bytes = UINT64_C(8) * 1024 * 1024;
    broker->generation = 1;
    broker->damage_position = SIZE_MAX;
    memset(broker->log_id, 0x42, LOG_ID_BYTES);
    broker->digests = digest_context_create();
    broker->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    rc = bind(broker->listener, (struct sockaddr *)&address, sizeof address);
    assert(rc == 0);
    rc = listen(broker->listener, 16);
    assert(rc == 0);
    rc = getsockname(broker->listener, (struct sockaddr *)&address, &size);
    assert(rc == 0);
    rc = pipe(broker->wake);
    assert(rc == 0);
    (void)snprintf(broker->url, sizeof broker->url, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    rc = pthread_create(&broker->thread, NULL, run, broker);
    assert(rc == 0 && broker->digests != NULL);
    (void)rc;
    return broker;
}

void fake_broker_stop(struct fake_broker *broker)
{
    fake_broker_lock(broker);
    broker->stopping = true;
    fake_broker_disconnect(broker);
    fake_broker_unlock(broker);
    (void)!write(broker->wake[1], "x", 1);
    (void)pthread_join(broker->thread, NULL);
    (void)close(broker->listener);
    (void)close(broker->wake[0]);
    (void)close(broker->wake[1]);
    for (size_t i = 0; i < broker->entry_count; i++)
        free(broker->entries[i].bytes);
    digest_context_destroy(broker->digests);
    fake_share_fini(&broker->share);
    (void)pthread_mutex_destroy(&broker->lock);
    free(broker);
}
