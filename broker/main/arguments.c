#include "broker/main/arguments.h"

#include <getopt.h>
#include <stdio.h>

void arguments_print_help(void)
{
    printf("trucd serves one Truc log.\n"
           "\n"
           "  trucd --data /var/lib/truc --listen tcp://127.0.0.1:8782\n"
           "\n"
           "  --data DIR        directory of the log; made when missing (default ./truc-data)\n"
           "  --listen URL      tcp://127.0.0.1:PORT (port 0: any) or ipc:///PATH; may be repeated\n"
           "                    (default " CONFIG_LISTEN_DEFAULT ")\n"
           "  --config FILE     YAML; the command line stands above it (default: none, the defaults serve)\n"
           "  --accept-clock    append although the clock is far behind the last entry; see docs/operations.md\n"
           "  --check-config    check --config and the command line, then exit\n"
           "  --help-config     the keys of the configuration, as a table\n"
           "  --version         the version\n"
           "  --help            this\n"
           "\n"
           "When it serves, `ready listen=URL` is printed on stdout, once for each address. Log lines go to stderr as\n"
           "key=value pairs. SIGTERM or SIGINT drains and ends it. The exit code is a status number: `truc explain CODE`.\n");
}

truc_status arguments_parse(int count, char **words, struct arguments *ret_arguments, char *why, size_t why_size)
{
    enum { DATA = 1, LISTEN, CONFIG, ACCEPT_CLOCK, CHECK_CONFIG, HELP_CONFIG, VERSION, HELP };
    static const struct option options[] = {
        {"data", required_argument, NULL, DATA},
        {"listen", required_argument, NULL, LISTEN},
        {"config", required_argument, NULL, CONFIG},
        {"accept-clock", no_argument, NULL, ACCEPT_CLOCK},
        {"check-config", no_argument, NULL, CHECK_CONFIG},
        {"help-config", no_argument, NULL, HELP_CONFIG},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {.action = ACTION_SERVE};
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(count, words, ":", options, NULL)) != -1) {
        switch (option) {
        case DATA:
            arguments.data = optarg;
            break;
        case LISTEN:
            if (arguments.listen_count == CONFIG_LISTEN_MAX) {
                snprintf(why, why_size, "--listen is given more than %d times", CONFIG_LISTEN_MAX);
                return TRUC_USAGE;
            }
            arguments.listen[arguments.listen_count++] = optarg;
            break;
        case CONFIG:
            arguments.config = optarg;
            break;
        case ACCEPT_CLOCK:
            arguments.accept_clock = true;
            break;
        case CHECK_CONFIG:
            arguments.action = ACTION_CHECK_CONFIG;
            break;
        case HELP_CONFIG:
            arguments.action = ACTION_HELP_CONFIG;
            break;
        case VERSION:
            arguments.action = ACTION_VERSION;
            break;
        case HELP:
            arguments.action = ACTION_HELP;
            break;
        default:
            snprintf(why, why_size, "%s: %s; see trucd --help", words[optind - 1],
                     option == ':' ? "a value is missing" : "no such option");
            return TRUC_USAGE;
        }
    }
    if (optind < count) {
        snprintf(why, why_size, "%s: trucd takes only options; see trucd --help", words[optind]);
        return TRUC_USAGE;
    }
    *ret_arguments = arguments;
    return TRUC_OK;
}
