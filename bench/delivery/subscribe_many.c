/* subscribe_many: makes many subscriptions that nobody is connected to, spread over topics. */
#include "clients/c/truc.h"

#include <stdio.h>
#include <stdlib.h>

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "subscribe_many: %s: %s\n", what, why);
    exit(1);
}

static truc_options *options_of(const char *name, const char *value)
{
    truc_options *options = NULL;
    if (truc_options_create(&options) != TRUC_OK || truc_options_set(options, name, value) != TRUC_OK)
        fail(name, options ? truc_options_error(options) : "no memory");
    return options;
}

int main(int argc, char **argv)
{
    truc_client *client = NULL;
    char *error = NULL;
    if (argc != 5) {
        fprintf(stderr, "usage: subscribe_many URL COUNT TOPIC TOPICS: COUNT subscriptions, number i of TOPIC.(i modulo TOPICS)\n");
        return 2;
    }
    unsigned long count = strtoul(argv[2], NULL, 10), topics = strtoul(argv[4], NULL, 10);
    truc_options *options = options_of("url", argv[1]);
    if (topics == 0 || truc_client_open(options, &client, &error) != TRUC_OK)
        fail(argv[1], error ? error : "TOPICS is 0");
    truc_options_destroy(options);
    for (unsigned long i = 0; i < count; i++) {
        char name[32], pattern[256];
        snprintf(name, sizeof name, "many-%lu", i);
        snprintf(pattern, sizeof pattern, "%.200s.%lu", argv[3], i % topics);
        options = options_of("pattern", pattern);
        if (truc_subscription_create(client, name, options, &error) != TRUC_OK)
            fail(name, error);
        truc_options_destroy(options);
    }
    truc_client_close(client);
    return 0;
}
