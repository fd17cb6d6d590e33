#include "broker/main/batch_recalls.h"

#include "proto/record.h"

static bool is_recall(const struct directory_view *directory, uint32_t index)
{
    return (directory_at(directory, DIRECTORY_FLAGS, index) & RECORD_FLAG_RECALL) != 0;
}

bool batch_has_recalls(const struct directory_view *directory)
{
    bool single = (directory->arrays & 1u << DIRECTORY_FLAGS) == 0;
    uint8_t flags = 0;
    if (single) {
        return is_recall(directory, 0);
    }
    for (uint32_t i = 0; i < directory->record_count; i++) {
        flags |= directory->columns[DIRECTORY_FLAGS][i];
    }
    return (flags & RECORD_FLAG_RECALL) != 0;
}

/* What is wrong with a recall; NULL: nothing. */
static const char *fault_of(const struct record_view *record, struct bytes topic, const uint8_t log_id[LOG_ID_BYTES])
{
    const struct record_relation *relation = &record->relation;
    if (!record->has_relation) {
        return "relates_to: missing, a recall names the record that it recalls";
    }
    if (relation->topic.size != 0 && !bytes_equal(relation->topic, topic)) {
        return "relates_to.topic: another topic, a recall is published to the topic of the record that it recalls";
    }
    if (relation->log_id.size != 0 && !bytes_equal(relation->log_id, bytes_of(log_id, LOG_ID_BYTES))) {
        return "relates_to.log_id: another log, a recall is published to the log of the record that it recalls";
    }
    if (!bytes_equal(relation->relation, bytes_of(RECALL_RELATION, sizeof RECALL_RELATION - 1))) {
        return "relates_to.relation: not `recall`, which it is of a record of type " RECALL_TYPE;
    }
    return NULL;
}

truc_status batch_recalls(struct bytes raw, const struct directory_view *directory, struct bytes topic,
                          const uint8_t log_id[LOG_ID_BYTES], uint64_t offsets[RECALLS_PER_BATCH_MAX], uint32_t *ret_count,
                          uint32_t *ret_bad, const char **ret_why)
{
    struct reader payload = reader_over(raw);
    struct record_view record;
    struct bytes encoded;
    truc_status status;
    uint32_t count = 0;
    for (uint32_t i = 0; records_next(&payload, &encoded, &status); i++) {
        if (!is_recall(directory, i)) {
            continue;
        }
        const char *fault = NULL;
        status = record_parse(encoded, &record, &fault);
        fault = status == TRUC_OK ? fault_of(&record, topic, log_id) : fault;
        if (fault != NULL) {
            *ret_bad = i;
            *ret_why = fault;
            return TRUC_BAD_RECORD;
        }
        if (count == RECALLS_PER_BATCH_MAX) {
            *ret_why = "more than 256 recalls, divide them among batches";
            return TRUC_BAD_BATCH;
        }
        offsets[count++] = record.relation.offset;
    }
    if (status == TRUC_OK) {
        *ret_count = count;
    }
    return status;
}
