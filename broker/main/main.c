/* trucd: command line, start, signals, end. */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#ifdef TRUC_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "broker/main/arguments.h"
#include "broker/main/broker.h"
#include "broker/main/logline.h"

/* Memory must stay small and flat whatever the load: few arenas, large buffers from the heap and not from fresh mappings that
 * fault page by page, and what is free at its top given back late. */
static void tune_memory(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
    mallopt(M_TOP_PAD, 256 * 1024);
}

/* Signals are read from a descriptor; blocked before any thread starts, so that none gets them. -1: impossible. */
static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    return pthread_sigmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
}

static int fail(truc_status status, const char *why)
{
    struct logline line;
    logline_begin(&line, LOGLINE_start_failed);
    logline_text(&line, "status", truc_status_name(status));
    logline_text(&line, "why", why);
    logline_text(&line, "next", truc_status_next(status));
    logline_end(&line);
    return (int)status;
}

static void tell_supervisor(const char *state)
{
#ifdef TRUC_SYSTEMD
    (void)sd_notify(0, state);
#else
    (void)state;
#endif
}

static void tell_ready(const struct broker *broker)
{
    for (size_t i = 0; broker_url(broker, i) != NULL; i++) {
        struct logline line;
        logline_begin(&line, LOGLINE_listening);
        logline_text(&line, "listen", broker_url(broker, i));
        logline_end(&line);
        printf("ready listen=%s\n", broker_url(broker, i));
    }
    fflush(stdout);
    tell_supervisor("READY=1");
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for a signal or the broker's own end. False: a signal came. */
static bool wait_end(struct broker *broker, int signals, int64_t until_ms)
{
    struct pollfd fds[] = {{.fd = broker_finished_fd(broker), .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    for (;;) {
        int64_t left = until_ms - now_ms();
        int timeout = until_ms == INT64_MAX ? -1 : left < 0 ? 0 : left > 1000000 ? 1000000 : (int)left;
        int count = poll(fds, 2, timeout);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if ((fds[0].revents & POLLIN) != 0 || count == 0) {
            return true;
        }
        struct signalfd_siginfo info;
        if (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
            return false;
        }
    }
}

static int run(const struct config *config, bool accept_clock, int signals)
{
    char why[BROKER_WHY_BYTES];
    struct broker *broker;
    struct logline line;
    truc_status status = broker_start(config, accept_clock, &broker, why);
    if (status != TRUC_OK) {
        return fail(status, why);
    }
    tell_ready(broker);
    if (!wait_end(broker, signals, INT64_MAX)) {
        logline_begin(&line, LOGLINE_draining);
        logline_number(&line, "timeout_ms", config->drain_timeout);
        logline_end(&line);
        tell_supervisor("STOPPING=1");
        broker_drain(broker);
        (void)wait_end(broker, signals, now_ms() + (int64_t)config->drain_timeout); /* a second signal ends the waiting */
    }
    status = broker_outcome(broker, why);
    if (status != TRUC_OK) {
        logline_begin(&line, LOGLINE_log_failed);
        logline_text(&line, "status", truc_status_name(status));
        logline_text(&line, "why", why);
        logline_text(&line, "next", truc_status_next(status));
        logline_end(&line);
    }
    broker_stop(broker);
    logline_begin(&line, LOGLINE_stopped);
    logline_text(&line, "status", truc_status_name(status));
    logline_end(&line);
    return (int)status;
}

static truc_status configure(const struct arguments *arguments, struct config **ret_config, char *why)
{
    struct config *config;
    truc_status status = arguments->config != NULL ? config_load(arguments->config, &config, why) : config_default(&config, why);
    if (status != TRUC_OK) {
        return status;
    }
    if ((arguments->data != NULL && config_set_data(config, arguments->data) != TRUC_OK) ||
        (arguments->listen_count > 0 && config_set_listen(config, arguments->listen, arguments->listen_count) != TRUC_OK)) {
        config_destroy(config);
        snprintf(why, CONFIG_WHY_BYTES, "no memory for the configuration");
        return TRUC_NO_MEMORY;
    }
    *ret_config = config;
    return TRUC_OK;
}

static void print_line(void *context, const char *text)
{
    (void)context;
    puts(text);
}

int main(int count, char **words)
{
    struct arguments arguments;
    struct config *config = NULL;
    char why[CONFIG_WHY_BYTES];
    tune_memory();
    truc_status status = arguments_parse(count, words, &arguments, why, sizeof why);
    if (status != TRUC_OK) {
        return fail(status, why);
    }
    if (arguments.action == ACTION_HELP) {
        arguments_print_help();
        return 0;
    }
    if (arguments.action == ACTION_HELP_CONFIG) {
        config_describe(print_line, NULL);
        return 0;
    }
    if (arguments.action == ACTION_VERSION) {
        printf("trucd %s\n", TRUC_VERSION);
        return 0;
    }
    int signals = open_signals();
    if (signals < 0) {
        return fail(TRUC_INTERNAL, "signals cannot be read");
    }
    status = configure(&arguments, &config, why);
    int code = status != TRUC_OK ? fail(status, why) : 0;
    if (status == TRUC_OK && arguments.action == ACTION_CHECK_CONFIG) {
        printf("ok\n");
    } else if (status == TRUC_OK) {
        code = run(config, arguments.accept_clock, signals);
    }
    config_destroy(config);
    close(signals);
    return code;
}
