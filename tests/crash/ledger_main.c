/* truc_ledger: the clients of the crash test. crash.py starts them, kills them, and compares what they wrote down.
 *
 *   truc_ledger produce --url URL --ledger FILE --name NAME [--outbox DIR] [--rate N]
 *   truc_ledger drain ...    the same, but publishes nothing: what an outbox kept is delivered
 *   truc_ledger follow --url URL --ledger FILE
 *   truc_ledger work --url URL --ledger FILE     a worker of a shared subscription (share.py)
 *   truc_ledger dump --url URL --out FILE */
#include "ledger.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

volatile sig_atomic_t ledger_stop;

static void on_term(int number)
{
    (void)number;
    ledger_stop = 1;
}

void ledger_pause(unsigned ms)
{
    poll(NULL, 0, (int)ms);
}

void ledger_set(truc_options *options, const char *name, const char *value)
{
    if (truc_options_set(options, name, value) != TRUC_OK) {
        fprintf(stderr, "ledger: option %s=%s: %s\n", name, value, truc_options_error(options));
        exit(2);
    }
}

truc_client *ledger_connect(const struct ledger_options *o)
{
    truc_options *options = NULL;
    truc_client *client = NULL;
    if (truc_options_create(&options) != TRUC_OK)
        return NULL;
    ledger_set(options, "url", o->url);
    ledger_set(options, "source", "local/ledger");
    ledger_set(options, "connect_timeout_ms", "500");
    ledger_set(options, "reconnect_min_ms", "10");
    ledger_set(options, "reconnect_max_ms", "100");
    while (!ledger_stop) {
        char *error = NULL;
        truc_status status = truc_client_open(options, &client, &error);
        if (status != TRUC_OK && !truc_status_retriable(status))
            fprintf(stderr, "ledger: %s: %s\n", truc_status_name(status), error != NULL ? error : "");
        truc_free(error);
        if (status == TRUC_OK)
            break;
        ledger_pause(20);
    }
    truc_options_destroy(options);
    return client;
}

static bool parse(int argc, char **argv, struct ledger_options *o)
{
    struct {
        const char *name, **value;
    } known[] = {{"--url", &o->url}, {"--name", &o->name}, {"--ledger", &o->ledger}, {"--outbox", &o->outbox}, {"--out", &o->out}};
    for (int i = 2; i + 1 < argc; i += 2) {
        size_t k = 0;
        while (k < sizeof known / sizeof known[0] && strcmp(known[k].name, argv[i]) != 0)
            k++;
        if (k < sizeof known / sizeof known[0])
            *known[k].value = argv[i + 1];
        else if (strcmp(argv[i], "--rate") == 0)
            o->rate = strtoull(argv[i + 1], NULL, 10);
        else
            return false;
    }
    return argc >= 2 && argc % 2 == 0 && o->url != NULL;
}

int main(int argc, char **argv)
{
    struct ledger_options options = {.rate = 1000};
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);
    if (parse(argc, argv, &options)) {
        if (strcmp(argv[1], "produce") == 0 && options.ledger != NULL && options.name != NULL)
            return ledger_produce(&options);
        if (strcmp(argv[1], "drain") == 0 && options.ledger != NULL && options.name != NULL)
            return ledger_drain(&options);
        if (strcmp(argv[1], "follow") == 0 && options.ledger != NULL)
            return ledger_follow(&options);
        if (strcmp(argv[1], "work") == 0 && options.ledger != NULL)
            return ledger_work(&options);
        if (strcmp(argv[1], "dump") == 0 && options.out != NULL)
            return ledger_dump(&options);
    }
    fprintf(stderr,
            "usage: truc_ledger produce|drain|follow|work|dump --url URL [--ledger FILE] [--name NAME] [--outbox DIR] [--rate "
            "N] [--out FILE]\n");
    return 2;
}
