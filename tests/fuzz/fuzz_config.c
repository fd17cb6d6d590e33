/* fuzz_config.c: a configuration file. What is accepted keeps within its bounds; what is refused names the file and says why. */
#include "broker/main/config.h"

#include <string.h>

#include "proto/topic.h"
#include "tests/fuzz/fuzz_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    char why[CONFIG_WHY_BYTES] = "";
    truc_status status;

    if (size > CONFIG_FILE_BYTES_MAX)
        return 0;
    status = config_parse("f.yaml", (const char *)data, size, &config, why);
    if (status != TRUC_OK) {
        check(config == NULL && strlen(why) > 0);
        return 0;
    }
    check(config->connections_max >= 1 && config->connections_max <= 100000);
    check(config->listen_count >= 1 && config->listen_count <= CONFIG_LISTEN_MAX && config->topic_count <= CONFIG_TOPICS_MAX);
    for (size_t i = 0; i < config->topic_count; i++)
        check(pattern_check(config->families[i].pattern, NULL) == TRUC_OK &&
              config->families[i].record_bytes_max <= RECORD_BYTES_MAX);
    config_destroy(config);
    return 0;
}
