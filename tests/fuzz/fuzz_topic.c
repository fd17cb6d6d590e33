/* fuzz_topic.c: the first line as a pattern and as a source, the rest as a topic. */
#include "proto/topic.h"

#include "proto/limits.h"
#include "tests/fuzz/fuzz_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line_end = size == 0 ? NULL : memchr(data, '\n', size);
    struct bytes pattern = bytes_of(data, line_end == NULL ? size : (size_t)(line_end - data));
    struct bytes topic = line_end == NULL ? bytes_of(NULL, 0) : bytes_of(line_end + 1, size - pattern.size - 1);
    struct bytes agency, system;
    const char *why = NULL;
    truc_status pattern_status = pattern_check(pattern, &why);

    check((pattern_status == TRUC_OK) == (why == NULL));
    if (topic_check(pattern, NULL) == TRUC_OK)
        check(pattern_status == TRUC_OK && pattern_is_exact(pattern) && pattern_match(pattern, pattern));
    if (source_split(pattern, &agency, &system, NULL) == TRUC_OK)
        check(agency.size + 1 + system.size == pattern.size && agency.size <= AGENCY_BYTES_MAX && system.size <= SYSTEM_BYTES_MAX);
    if (pattern_status == TRUC_OK && topic_check(topic, NULL) == TRUC_OK) {
        bool matches = pattern_match(pattern, topic);
        if (pattern_is_exact(pattern))
            check(matches == bytes_equal(pattern, topic));
    }
    return 0;
}
