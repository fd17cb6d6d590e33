/* arguments.h: trucd's command line. Layer: main. */
#ifndef TRUC_MAIN_ARGUMENTS_H
#define TRUC_MAIN_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/main/config.h"

enum arguments_action { ACTION_SERVE, ACTION_CHECK_CONFIG, ACTION_HELP, ACTION_HELP_CONFIG, ACTION_VERSION };

struct arguments {
    enum arguments_action action;
    const char *data, *config; /* NULL: not given */
    const char *listen[CONFIG_LISTEN_MAX];
    size_t listen_count;
    bool accept_clock;
};

/* TRUC_USAGE with why. */
truc_status arguments_parse(int count, char **words, struct arguments *ret_arguments, char *why, size_t why_size);

void arguments_print_help(void); /* on stdout */

#endif
