/* verbs.c: the one table of verbs, and the options that all of them take. */
#include "clients/cli/cli.h"

extern const struct cli_verb verb_pub, verb_import, verb_tail, verb_replay, verb_topic_ls, verb_topic_info,
    verb_subscription_create, verb_subscription_ls, verb_subscription_info, verb_subscription_pause, verb_subscription_resume,
    verb_subscription_reset, verb_subscription_rm, verb_work, verb_dead_ls, verb_dead_show, verb_dead_redrive, verb_dead_drop,
    verb_receipt, verb_answer, verb_recall, verb_thread, verb_request, verb_serve, verb_log_info, verb_log_verify, verb_ping,
    verb_bench_pub, verb_bench_read, verb_bench_e2e, verb_bench_work, verb_bench_request, verb_explain, verb_help, verb_version;

/* In the order of `truc help`: as somebody would meet them. */
const struct cli_verb *const cli_verbs[] = {
    &verb_pub,
    &verb_import,
    &verb_tail,
    &verb_replay,
    &verb_topic_ls,
    &verb_topic_info,
    &verb_subscription_create,
    &verb_subscription_ls,
    &verb_subscription_info,
    &verb_subscription_pause,
    &verb_subscription_resume,
    &verb_subscription_reset,
    &verb_subscription_rm,
    &verb_work,
    &verb_dead_ls,
    &verb_dead_show,
    &verb_dead_redrive,
    &verb_dead_drop,
    &verb_receipt,
    &verb_answer,
    &verb_recall,
    &verb_thread,
    &verb_request,
    &verb_serve,
    &verb_log_info,
    &verb_log_verify,
    &verb_ping,
    &verb_bench_pub,
    &verb_bench_read,
    &verb_bench_e2e,
    &verb_bench_work,
    &verb_bench_request,
    &verb_explain,
    &verb_help,
    &verb_version,
};
const size_t cli_verb_count = CLI_COUNT(cli_verbs);

const struct cli_option cli_global_options[] = {
    {"url", CLI_TEXT, offsetof(struct cli_globals, url), "URL",
     "where the broker listens, tcp://HOST:PORT or ipc://PATH; TRUC_URL, else " TRUC_URL_DEFAULT, 0, 0, NULL},
    {"source", CLI_TEXT, offsetof(struct cli_globals, source), "AGENCY/SYSTEM",
     "who is speaking, as H26.16/portal; TRUC_SOURCE, else local/dev", 0, 0, NULL},
    {"domain", CLI_TEXT, offsetof(struct cli_globals, domain), "D",
     "refuse a broker of another domain, as H26/prod; TRUC_DOMAIN, else any", 0, 0, NULL},
    {"zone", CLI_TEXT, offsetof(struct cli_globals, zone), "ZONE",
     "how times without a zone are read: a name as Europe/Amsterdam or an offset as +07:00; TRUC_ZONE, else " ZONE_DEFAULT, 0, 0,
     NULL},
    {"timeout", CLI_DURATION, offsetof(struct cli_globals, timeout), "S",
     "how long to wait for the broker, as 5s or 500ms; 30s when not given", 0, 0, NULL},
    {"json", CLI_FLAG, offsetof(struct cli_globals, json), NULL, "answer in JSON, one value per line; talk goes to standard error",
     0, 0, NULL},
    {"quiet", CLI_FLAG, offsetof(struct cli_globals, quiet), NULL, "no talk on standard error but errors", 0, 0, NULL},
    {"help", CLI_FLAG, offsetof(struct cli_globals, help), NULL, "explain the verb", 0, 0, NULL},
};
const size_t cli_global_option_count = CLI_COUNT(cli_global_options);
