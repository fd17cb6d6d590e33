/* context.c: talk, the client, signals: what cli.h promises every verb. */
#include "clients/cli/cli.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- talk ----------------------------------------------------------------------------------------------------------------- */

/* Texts from files and brokers reach the terminal here: control characters would let them draw on it. */
static void print_plain(const char *prefix, const char *format, va_list arguments, const char *suffix)
{
    char text[2048];
    vsnprintf(text, sizeof text, format, arguments);
    for (unsigned char *c = (unsigned char *)text; *c != '\0'; c++) {
        bool second_set = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0; /* U+0080..U+009F */
        if (*c < 0x20 || *c == 0x7f || second_set) {
            *c = '?';
        }
    }
    fprintf(stderr, "%s%s%s\n", prefix, text, suffix);
}

truc_status cli_error(struct cli_context *context, truc_status status, const char *format, ...)
{
    char prefix[64];
    char suffix[512];
    va_list arguments;
    (void)context;
    snprintf(prefix, sizeof prefix, "truc: %s (%d): ", truc_status_name(status), (int)status);
    snprintf(suffix, sizeof suffix, "; %s", truc_status_next(status));
    va_start(arguments, format);
    print_plain(prefix, format, arguments, suffix);
    va_end(arguments);
    return status;
}

void cli_note(struct cli_context *context, const char *format, ...)
{
    va_list arguments;
    if (context->globals.quiet) {
        return;
    }
    va_start(arguments, format);
    print_plain("", format, arguments, "");
    va_end(arguments);
}

/* --- the broker ----------------------------------------------------------------------------------------------------------- */

truc_status cli_set(struct cli_context *context, truc_options *options, const char *name, const char *value)
{
    if (truc_options_set(options, name, value) == TRUC_OK) {
        return TRUC_OK;
    }
    return cli_error(context, TRUC_USAGE, "%s", truc_options_error(options));
}

truc_status cli_set_u64(struct cli_context *context, truc_options *options, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return cli_set(context, options, name, text);
}

truc_status cli_set_i64(struct cli_context *context, truc_options *options, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    return cli_set(context, options, name, text);
}

truc_status cli_set_filter(struct cli_context *context, truc_options *options, const char *key, const char *type,
                           const char *source)
{
    truc_status status = TRUC_OK;
    if (key != NULL) {
        char *normal = NULL;
        const char *why = "";
        size_t size = 0;
        status = cli_key_normalise(bytes_of_text(key), &normal, &size, &why);
        if (status != TRUC_OK) {
            return cli_error(context, status, "--key: %s", why);
        }
        status = cli_set(context, options, "key", normal);
        free(normal);
    }
    if (status == TRUC_OK && type != NULL) {
        status = cli_set(context, options, "type", type);
    }
    if (status == TRUC_OK && source != NULL) {
        status = cli_set(context, options, "source", source);
    }
    return status;
}

int cli_timeout_ms(const struct cli_context *context)
{
    int64_t ms = context->globals.timeout.ns / 1000000;
    return ms > INT_MAX ? INT_MAX : ms < 1 ? 1 : (int)ms;
}

static truc_status client_options(struct cli_context *context, truc_options *options)
{
    const struct cli_globals *globals = &context->globals;
    truc_status status = TRUC_OK;
    if (globals->url != NULL) {
        status = cli_set(context, options, "url", globals->url);
    }
    if (status == TRUC_OK && globals->source != NULL) {
        status = cli_set(context, options, "source", globals->source);
    }
    if (status == TRUC_OK && globals->domain != NULL) {
        status = cli_set(context, options, "domain", globals->domain);
    }
    if (status == TRUC_OK) {
        /* Long enough for a broker that is just starting, short enough for a person who mistyped the URL. */
        status = cli_set_i64(context, options, "connect_timeout_ms", globals->timeout.given ? cli_timeout_ms(context) : 5000);
    }
    if (status == TRUC_OK) {
        status = cli_set_i64(context, options, "request_timeout_ms", cli_timeout_ms(context));
    }
    return status;
}

/* The library's reason mostly names the URL already. */
static void print_open_failure(struct cli_context *context, truc_status status, const char *why)
{
    const char *url = context->globals.url != NULL ? context->globals.url : TRUC_URL_DEFAULT;
    why = why != NULL ? why : truc_status_text(status);
    if (strstr(why, url) != NULL) {
        cli_error(context, status, "%s", why);
    } else {
        cli_error(context, status, "%s: %s", url, why);
    }
}

truc_status cli_client(struct cli_context *context, truc_client **ret_client)
{
    truc_options *options = NULL;
    char *why = NULL;
    truc_status status = TRUC_OK;
    if (context->client != NULL) {
        *ret_client = context->client;
        return TRUC_OK;
    }
    status = truc_options_create(&options);
    if (status != TRUC_OK) {
        return cli_error(context, status, "the client's options");
    }
    status = client_options(context, options);
    if (status != TRUC_OK) {
        goto done;
    }
    status = truc_client_open(options, &context->client, &why);
    if (status != TRUC_OK) {
        print_open_failure(context, status, why);
        context->client = NULL;
        goto done;
    }
    *ret_client = context->client;
done:
    truc_free(why);
    truc_options_destroy(options);
    return status;
}

/* --- signals -------------------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t stopped;

static void on_stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

void cli_catch_stop(void)
{
    /* No SA_RESTART: a blocked read of standard input returns. SA_RESETHAND: the second signal kills. */
    struct sigaction action = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool cli_stopped(void)
{
    return stopped != 0;
}
