/* net_load: publishes as fast as a broker takes it, from one thread, over plain sockets: what the broker can do, without any
 * client library in the way. Not installed; for measuring and for running the broker under sanitizers.
 *
 *   net_load PORT [connections] [batches in flight] [records a batch] [bytes of data a record] [seconds] [evidence: record|batch]
 *
 * Prints records and batches a second, and percentiles of the time from sending a batch to its acknowledgement. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/batch.h"
#include "proto/frame.h"
#include "proto/record.h"
#include "truc/v1/wire.pb-c.h"

enum { FLIGHT_MAX = BATCHES_IN_FLIGHT_MAX, IN_BYTES = 16 * 1024, LATENCIES_MAX = 1 << 22 };

struct client {
    int fd;
    bool writable_wanted;
    uint64_t producer_id, sequence, request_id;
    uint32_t epoch;
    unsigned in_flight;
    uint64_t sent_ns[FLIGHT_MAX];
    uint8_t *out;
    size_t out_size, out_sent;
    uint8_t in[IN_BYTES];
    size_t in_size;
    char topic[64];
};

static struct {
    unsigned connections, in_flight, records;
    size_t data_size;
    unsigned seconds;
    enum evidence evidence;
    uint8_t *payload;
    size_t payload_size, frame_bytes_max;
    uint64_t acknowledged, failed;
    uint32_t *latencies_us;
    size_t latency_count;
    bool measuring;
    int epoll;
} load;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "net_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void make_payload(void)
{
    uint8_t *data = malloc(load.data_size + 1);
    char id[40];
    if (data == NULL || getrandom(data, load.data_size < 256 ? load.data_size : 256, 0) < 0) {
        die("payload");
    }
    for (size_t i = 256; i < load.data_size; i++) {
        data[i] = (uint8_t)(data[i - 256] * 167 + 13);
    }
    load.payload = malloc(load.records * (load.data_size + 128));
    uint8_t *at = load.payload;
    for (unsigned i = 0; i < load.records && at != NULL; i++) {
        int id_size = snprintf(id, sizeof id, "0190a1b2-c3d4-7e5f-8a9b-%012x", i);
        struct record_view record = {
            .id = bytes_of(id, (size_t)id_size), .data = bytes_of(data, load.data_size), .time_ns = 1700000000000000000};
        size_t size = record_encoded_size(&record, NULL, 0);
        at = varint_put(at, size);
        at = record_encode(&record, NULL, 0, at);
    }
    load.payload_size = (size_t)(at - load.payload);
    free(data);
}

static void exchange(struct client *client, enum frame_kind kind, const ProtobufCMessage *message, enum frame_kind expected,
                     struct frame *reply)
{
    uint8_t out[1024];
    size_t size = frame_encode(out, sizeof out, kind, ++client->request_id, message, 0), have = 0, frame_size = 0;
    const char *why;
    if (write(client->fd, out, size) != (ssize_t)size) {
        die("write");
    }
    do {
        ssize_t got = read(client->fd, client->in + have, sizeof client->in - have);
        if (got <= 0) {
            die("handshake");
        }
        have += (size_t)got;
        if (frame_peek(bytes_of(client->in, have), FRAME_BYTES_MAX, reply, &frame_size, &why) != TRUC_OK) {
            die(why);
        }
    } while (frame_size == 0 || have < frame_size);
    if (reply->kind != expected) {
        fprintf(stderr, "net_load: got %s for %s\n", frame_kind_name(reply->kind), frame_kind_name(kind));
        exit(1);
    }
}

static void client_open(struct client *client, unsigned index, uint16_t port)
{
    static uint8_t memory[HEADER_ARENA_BYTES];
    struct arena arena = {memory, memory + sizeof memory};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct frame reply;
    const char *why;
    int one = 1;
    uint8_t nonce[32] = {1};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        die("connect");
    }
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    Truc__V1__ClientHello hello = TRUC__V1__CLIENT_HELLO__INIT;
    hello.magic = 0x54525543;
    hello.version_min = hello.version_max = 1;
    hello.nonce = (ProtobufCBinaryData){32, nonce};
    hello.agent = "net_load";
    exchange(client, FRAME_HELLO, &hello.base, FRAME_HELLO_OK, &reply);
    Truc__V1__Login login = TRUC__V1__LOGIN__INIT;
    login.algorithm = "none";
    login.source = "H26.16";
    login.system = "load";
    exchange(client, FRAME_LOGIN, &login.base, FRAME_LOGIN_OK, &reply);
    Truc__V1__ProducerOpen open = TRUC__V1__PRODUCER_OPEN__INIT;
    exchange(client, FRAME_PRODUCER_OPEN, &open.base, FRAME_PRODUCER_OK, &reply);
    Truc__V1__ProducerOk *ok = frame_header_decode(&arena, &truc__v1__producer_ok__descriptor, reply.header, &why);
    if (ok == NULL) {
        die(why);
    }
    client->producer_id = ok->producer_id;
    client->epoch = ok->epoch;
    snprintf(client->topic, sizeof client->topic, "load.%s.t%u", load.evidence == EVIDENCE_BATCH ? "b" : "r", index);
    load.frame_bytes_max = load.payload_size + 1024;
    client->out = malloc(load.frame_bytes_max * load.in_flight);
    if (client->out == NULL) {
        die("memory");
    }
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
}

static void add_batch(struct client *client)
{
    static const uint8_t seed[SALT_SEED_BYTES] = {7};
    struct batch_header_fields fields = {.topic = bytes_of_text(client->topic),
                                         .source = bytes_of_text("H26.16"),
                                         .system = bytes_of_text("load"),
                                         .evidence = load.evidence,
                                         .producer_id = client->producer_id,
                                         .epoch = client->epoch,
                                         .first_sequence = client->sequence,
                                         .record_count = load.records};
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields);
    uint8_t *at = client->out + client->out_size;
    frame_prefix_write(at, FRAME_PUBLISH, ++client->request_id, 0, head + load.payload_size);
    batch_head_write(at + FRAME_PREFIX_BYTES, &fields, CODEC_NONE, (uint32_t)load.payload_size, (uint32_t)load.payload_size, seed);
    memcpy(at + FRAME_PREFIX_BYTES + head, load.payload, load.payload_size);
    client->out_size += FRAME_PREFIX_BYTES + head + load.payload_size;
    client->sequence += load.records;
    client->sent_ns[client->request_id % FLIGHT_MAX] = now_ns();
    client->in_flight++;
}

static void watch(struct client *client, int operation, bool writable)
{
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0u), .data.ptr = client};
    client->writable_wanted = writable;
    if (epoll_ctl(load.epoll, operation, client->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void push(struct client *client)
{
    while (client->in_flight < load.in_flight && client->out_sent == client->out_size) {
        client->out_size = client->out_sent = 0;
        while (client->in_flight < load.in_flight &&
               client->out_size + load.frame_bytes_max <= load.frame_bytes_max * load.in_flight) {
            add_batch(client);
        }
        ssize_t sent = write(client->fd, client->out, client->out_size);
        client->out_sent = sent > 0 ? (size_t)sent : 0;
    }
    if (client->out_sent < client->out_size) {
        ssize_t sent = write(client->fd, client->out + client->out_sent, client->out_size - client->out_sent);
        client->out_sent += sent > 0 ? (size_t)sent : 0;
    }
    bool wanted = client->out_sent < client->out_size;
    if (wanted != client->writable_wanted) {
        watch(client, EPOLL_CTL_MOD, wanted);
    }
}

static void take_reply(struct client *client, const struct frame *frame)
{
    if (frame->kind == FRAME_PUBLISH_OK) {
        uint64_t took = now_ns() - client->sent_ns[frame->request_id % FLIGHT_MAX];
        client->in_flight--;
        if (load.measuring) {
            load.acknowledged++;
            if (load.latency_count < LATENCIES_MAX) {
                load.latencies_us[load.latency_count++] = (uint32_t)(took / 1000);
            }
        }
        return;
    }
    load.failed++;
    fprintf(stderr, "net_load: %s %.*s\n", frame_kind_name(frame->kind), (int)frame->header.size, (const char *)frame->header.data);
    exit(1);
}

static void pull(struct client *client)
{
    ssize_t got = read(client->fd, client->in + client->in_size, sizeof client->in - client->in_size);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        die("the broker closed");
    }
    client->in_size += got > 0 ? (size_t)got : 0;
    size_t at = 0, size = 0;
    struct frame frame;
    const char *why;
    while (frame_peek(bytes_of(client->in + at, client->in_size - at), FRAME_BYTES_MAX, &frame, &size, &why) == TRUC_OK &&
           size > 0 && size <= client->in_size - at) {
        take_reply(client, &frame);
        at += size;
    }
    memmove(client->in, client->in + at, client->in_size - at);
    client->in_size -= at;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(double seconds)
{
    size_t n = load.latency_count;
    qsort(load.latencies_us, n, sizeof *load.latencies_us, compare);
    printf("connections=%u in_flight=%u records=%u data=%zu evidence=%s: %.0f records/s %.0f batches/s %.1f MB/s payload; us "
           "p50=%u p90=%u p99=%u max=%u\n",
           load.connections, load.in_flight, load.records, load.data_size, load.evidence == EVIDENCE_BATCH ? "batch" : "record",
           (double)load.acknowledged * load.records / seconds, (double)load.acknowledged / seconds,
           (double)load.acknowledged * (double)load.payload_size / seconds / 1e6, n ? load.latencies_us[n / 2] : 0,
           n ? load.latencies_us[n * 9 / 10] : 0, n ? load.latencies_us[n * 99 / 100] : 0, n ? load.latencies_us[n - 1] : 0);
}

static unsigned number(int count, char **words, int index, unsigned otherwise)
{
    return index < count ? (unsigned)strtoul(words[index], NULL, 10) : otherwise;
}

int main(int count, char **words)
{
    if (count < 2) {
        fprintf(stderr, "usage: net_load PORT [connections] [in flight] [records] [data bytes] [seconds] [record|batch]\n");
        return 2;
    }
    load.connections = number(count, words, 2, 1);
    load.in_flight = number(count, words, 3, 1);
    load.records = number(count, words, 4, 1);
    load.data_size = number(count, words, 5, 128);
    load.seconds = number(count, words, 6, 5);
    load.evidence = count > 7 && strcmp(words[7], "batch") == 0 ? EVIDENCE_BATCH : EVIDENCE_RECORD;
    load.in_flight = load.in_flight > FLIGHT_MAX ? FLIGHT_MAX : load.in_flight;
    load.latencies_us = malloc(LATENCIES_MAX * sizeof *load.latencies_us);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    make_payload();
    struct client *clients = calloc(load.connections, sizeof *clients);
    if (clients == NULL || load.latencies_us == NULL || load.epoll < 0) {
        die("memory");
    }
    for (unsigned i = 0; i < load.connections; i++) {
        client_open(&clients[i], i, (uint16_t)number(count, words, 1, 8782));
        watch(&clients[i], EPOLL_CTL_ADD, false);
        push(&clients[i]);
    }
    uint64_t begin = now_ns() + 1000000000u, end = begin + load.seconds * 1000000000ull, now;
    while ((now = now_ns()) < end) {
        struct epoll_event events[256];
        int ready = epoll_wait(load.epoll, events, 256, 100);
        load.measuring = now >= begin;
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if ((events[i].events & EPOLLIN) != 0) {
                pull(client);
            }
            push(client);
        }
    }
    report((double)load.seconds);
    for (unsigned i = 0; i < load.connections; i++) {
        close(clients[i].fd);
        free(clients[i].out);
    }
    free(clients);
    free(load.payload);
    free(load.latencies_us);
    close(load.epoll);
    return 0;
}
