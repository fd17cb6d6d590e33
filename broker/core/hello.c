/* hello.c: HELLO, the first frame of a connection: is it us that the client wants to speak to? Layer: core. */
#include <stdio.h>

#include "broker/core/answer.h"
#include "broker/core/connection.h"
#include "truc/v1/wire.pb-c.h"

#define HELLO_MAGIC 0x54525543u /* "TRUC" */

static void encode_answer(struct core *core, struct connection *connection, uint64_t request_id)
{
    const struct core_config *config = &core->config;
    Truc__V1__ServerHello hello = TRUC__V1__SERVER_HELLO__INIT;
    Truc__V1__Limits limits = TRUC__V1__LIMITS__INIT;
    char engine[8 + sizeof config->engine];
    char *capabilities[] = {engine, "codec=none", "codec=lz4", "codec=zstd", "evidence=record", "evidence=batch", "durable"};
    char *login_algorithms[] = {"none"};

    (void)snprintf(engine, sizeof engine, "engine=%s", config->engine);
    limits.frame_bytes_max = FRAME_BYTES_MAX;
    limits.batch_bytes_max = config->batch_bytes_max;
    limits.record_bytes_max = config->record_bytes_max;
    limits.batch_records_max = BATCH_RECORDS_MAX;
    limits.batches_in_flight_max = BATCHES_IN_FLIGHT_MAX;
    limits.publish_credit_bytes = config->publish_credit_bytes;
    limits.read_credit_bytes_max = config->read_credit_bytes_max;
    limits.readers_max = config->readers_per_connection_max;
    hello.magic = HELLO_MAGIC;
    hello.version = PROTOCOL_VERSION;
    hello.nonce = (ProtobufCBinaryData){NONCE_BYTES, connection->nonce};
    hello.domain = core->config.domain;
    hello.log_id = (ProtobufCBinaryData){LOG_ID_BYTES, core->config.log_id};
    hello.generation = config->generation;
    hello.durable_position = core_visible_position(core);
    hello.durable_block = core->head.block;
    hello.limits = &limits;
    hello.capabilities = capabilities;
    hello.n_capabilities = sizeof capabilities / sizeof capabilities[0] - (config->durable ? 0 : 1);
    hello.login_algorithms = login_algorithms;
    hello.n_login_algorithms = 1;
    hello.agent = core->config.agent;
    answer_message(core, connection, FRAME_HELLO_OK, request_id, &hello.base, bytes_of(NULL, 0));
}

/* The log that the client remembers must be this one. */
static bool log_matches(struct core *core, struct connection *connection, uint64_t request_id, const Truc__V1__ClientHello *hello)
{
    const struct core_config *config = &core->config;

    if (hello->domain[0] != '\0' && strcmp(hello->domain, config->domain) != 0) {
        answer_fatal(core, connection, request_id, TRUC_LOG_MISMATCH,
                     "this broker keeps the domain %s, the client expects another; check the URL and the domain of the client",
                     config->domain);
        return false;
    }
    if (hello->log_id.len != 0 &&
        !bytes_equal(bytes_of(hello->log_id.data, hello->log_id.len), bytes_of(config->log_id, LOG_ID_BYTES))) {
        answer_fatal(core, connection, request_id, TRUC_LOG_MISMATCH,
                     "this is another log than the one the client remembers; check with `truc log info` which log this is, then "
                     "begin again from a known place");
        return false;
    }
    if (hello->generation != 0 && hello->generation != config->generation) {
        answer_fatal(
            core, connection, request_id, TRUC_LOG_MISMATCH,
            "the log has generation %llu, the client remembers %llu: it was restored meanwhile; begin again from a known place",
            (unsigned long long)config->generation, (unsigned long long)hello->generation);
        return false;
    }
    return true;
}

void core_request_hello(struct core *core, struct connection *connection, const struct frame *frame)
{
    const Truc__V1__ClientHello *hello = request_decode(core, connection, frame, &truc__v1__client_hello__descriptor);

    if (!hello)
        return;
    if (hello->magic != HELLO_MAGIC) {
        answer_fatal(core, connection, frame->request_id, TRUC_PROTOCOL,
                     "HELLO without the magic number; this port speaks Truc only, check the URL of the client");
        return;
    }
    if (hello->version_min > PROTOCOL_VERSION || hello->version_max < PROTOCOL_VERSION) {
        answer_fatal(core, connection, frame->request_id, TRUC_VERSION_MISMATCH,
                     "the client speaks protocol versions %u to %u, this broker %d; upgrade the older side", hello->version_min,
                     hello->version_max, PROTOCOL_VERSION);
        return;
    }
    if (hello->nonce.len != NONCE_BYTES) {
        answer_fatal(core, connection, frame->request_id, TRUC_PROTOCOL,
                     "the nonce of HELLO has %zu bytes instead of %d; the client is faulty", hello->nonce.len, NONCE_BYTES);
        return;
    }
    if (!log_matches(core, connection, frame->request_id, hello))
        return;
    connection->state = CONNECTION_GREETED;
    encode_answer(core, connection, frame->request_id);
}
