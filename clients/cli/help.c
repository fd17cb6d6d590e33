#include "clients/cli/help.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 96, OPTION_COLUMN = 28 };

/* --- finding -------------------------------------------------------------------------------------------------------------- */

const char *verb_name_at(const void *unused, size_t index)
{
    (void)unused;
    return cli_verbs[index]->name;
}

const struct cli_verb *verb_find(char *const *words, size_t word_count, size_t *ret_used)
{
    for (size_t used = word_count < 2 ? word_count : 2; used > 0; used--) {
        char name[64];
        int size =
            used == 2 ? snprintf(name, sizeof name, "%s %s", words[0], words[1]) : snprintf(name, sizeof name, "%s", words[0]);
        for (size_t i = 0; size > 0 && (size_t)size < sizeof name && i < cli_verb_count; i++) {
            if (strcmp(cli_verbs[i]->name, name) == 0) {
                *ret_used = used;
                return cli_verbs[i];
            }
        }
    }
    return NULL;
}

/* --- layout --------------------------------------------------------------------------------------------------------------- */

/* Words of a text from column `at` on, wrapped at COLUMNS with an indent. */
static void wrap(struct out *out, const char *text, size_t at, size_t indent)
{
    bool first = true;
    while (*text != '\0') {
        if (text[0] == '\n' && text[1] == '\n') { /* a paragraph */
            out_text(out, "\n\n");
            out_format(out, "%*s", (int)indent, "");
            at = indent;
            first = true;
        }
        text += strspn(text, " \n");
        size_t size = strcspn(text, " \n");
        if (size == 0) {
            break;
        }
        if (!first && at + 1 + size > COLUMNS) {
            out_format(out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            out_text(out, " ");
            at++;
        }
        out_bytes(out, text, size);
        at += size;
        text += size;
        first = false;
    }
    out_text(out, "\n");
}

static void option_value(const struct cli_option *option, char *out, size_t out_size)
{
    size_t used = 0;
    out[0] = '\0';
    if (option->type == CLI_CHOICE) {
        for (const char *const *choice = option->choices; *choice != NULL && used < out_size; choice++) {
            used += (size_t)snprintf(out + used, out_size - used, "%s%s", used > 0 ? "|" : "", *choice);
        }
    } else if (option->type != CLI_FLAG) {
        snprintf(out, out_size, "%s", option->value);
    }
}

static void print_options(struct out *out, const struct cli_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char value[128], name[192];
        option_value(&options[i], value, sizeof value);
        int size = snprintf(name, sizeof name, "  --%s%s%s", options[i].name, value[0] != '\0' ? " " : "", value);
        out_text(out, name);
        if (size + 2 > OPTION_COLUMN) {
            out_format(out, "\n%*s", OPTION_COLUMN, "");
        } else {
            out_format(out, "%*s", OPTION_COLUMN - size, "");
        }
        wrap(out, options[i].help, OPTION_COLUMN, OPTION_COLUMN);
    }
}

static const truc_status common_exits[] = {TRUC_OK, TRUC_INTERNAL, TRUC_USAGE, TRUC_NO_MEMORY};

static void print_exits(struct out *out, const truc_status *exits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out_format(out, "  %3d %-18s ", (int)exits[i], truc_status_name(exits[i]));
        wrap(out, truc_status_text(exits[i]), 25, 25);
    }
}

/* Each line of a multi-line text behind a prefix. */
static void print_lines(struct out *out, const char *text, const char *prefix)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        out_text(out, prefix);
        out_bytes(out, text, size);
        out_text(out, "\n");
        text += size + (text[size] == '\n');
    }
}

/* --- pages ---------------------------------------------------------------------------------------------------------------- */

static void print_summary(struct out *out, const struct cli_verb *verb)
{
    char head[128];
    int size = snprintf(head, sizeof head, "  %s %s", verb->name, verb->operands);
    out_format(out, "%s%*s%s\n", head, size < 32 ? 32 - size : 1, "", verb->summary);
}

bool help_noun(struct out *out, const char *noun)
{
    size_t size = strlen(noun), found = 0;
    for (size_t i = 0; i < cli_verb_count; i++) {
        if (strncmp(cli_verbs[i]->name, noun, size) == 0 && cli_verbs[i]->name[size] == ' ') {
            print_summary(out, cli_verbs[i]);
            found++;
        }
    }
    return found > 0;
}

void help_overview(struct out *out)
{
    out_text(out, "  echo '{\"status\":4}' | truc pub dossier.status.H26.16 --key H26.16-200605-0001\n"
                  "  truc tail 'dossier.>'\n"
                  "  truc replay 'dossier.>' --since 2020-06-05 --json --digest\n\n"
                  "truc publishes records to Truc, a durable and provable message bus, and reads them from it.\n\n"
                  "usage: truc [options] VERB ...      truc help VERB tells everything about one\n\nverbs:\n");
    for (size_t i = 0; i < cli_verb_count; i++) {
        print_summary(out, cli_verbs[i]);
    }
    out_text(out, "\noptions of every verb, before or behind it:\n");
    print_options(out, cli_global_options, cli_global_option_count);
    out_text(out, "\nThe exit code is the number of the status that `truc explain` lists; 0 is success.\n");
}

void help_verb(struct out *out, const struct cli_verb *verb)
{
    print_lines(out, verb->example, "  ");
    out_format(out, "\ntruc %s: %s\n\nusage: truc %s%s%s%s\n", verb->name, verb->summary, verb->name,
               verb->operands[0] != '\0' ? " " : "", verb->operands, verb->option_count > 0 ? " [options]" : "");
    if (verb->option_count > 0) {
        out_text(out, "\noptions:\n");
        print_options(out, verb->options, verb->option_count);
    }
    if (verb->notes != NULL) {
        out_text(out, "\n");
        wrap(out, verb->notes, 0, 0);
    }
    out_text(out, "\noptions of every verb:\n");
    print_options(out, cli_global_options, cli_global_option_count);
    out_text(out, "\nexit codes:\n");
    print_exits(out, common_exits, CLI_COUNT(common_exits));
    print_exits(out, verb->exits, verb->exit_count);
}

/* --- man page ------------------------------------------------------------------------------------------------------------- */

/* Text for man(7): backslashes and leading dots escaped, dashes as they are typed, paragraphs kept. */
static void man_text(struct out *out, const char *text)
{
    bool line_start = true;
    for (; *text != '\0'; text++) {
        if (text[0] == '\n' && text[1] == '\n') {
            out_text(out, "\n.PP");
            text++;
            line_start = true;
            out_text(out, "\n");
            continue;
        }
        if (line_start && (*text == '.' || *text == '\'')) {
            out_text(out, "\\&");
        }
        if (*text == '\\') {
            out_text(out, "\\e");
        } else if (*text == '-') {
            out_text(out, "\\-");
        } else {
            out_bytes(out, text, 1);
        }
        line_start = *text == '\n';
    }
    out_text(out, "\n");
}

static void man_options(struct out *out, const struct cli_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char value[128];
        option_value(&options[i], value, sizeof value);
        out_text(out, ".TP\n\\fB\\-\\-");
        for (const char *c = options[i].name; *c != '\0'; c++) {
            out_text(out, *c == '-' ? "\\-" : (char[]){*c, '\0'});
        }
        out_format(out, "\\fR%s%s%s%s\n", value[0] != '\0' ? " " : "", value[0] != '\0' ? "\\fI" : "", value,
                   value[0] != '\0' ? "\\fR" : "");
        man_text(out, options[i].help);
    }
}

static void man_verb(struct out *out, const struct cli_verb *verb)
{
    out_format(out, ".SS truc %s %s\n", verb->name, verb->operands);
    out_text(out, ".nf\n");
    man_text(out, verb->example);
    out_text(out, ".fi\n.PP\n");
    man_text(out, verb->summary);
    man_options(out, verb->options, verb->option_count);
    if (verb->notes != NULL) {
        out_text(out, ".PP\n");
        man_text(out, verb->notes);
    }
}

void help_man(struct out *out)
{
    out_format(out,
               ".TH TRUC 1 \"\" \"truc %s\" \"Truc\"\n.SH NAME\ntruc \\- publish to and read from Truc, a durable and provable "
               "message bus\n",
               truc_version());
    out_text(out, ".SH SYNOPSIS\n\\fBtruc\\fR [\\fIoptions\\fR] \\fIVERB\\fR ...\n.SH VERBS\n");
    for (size_t i = 0; i < cli_verb_count; i++) {
        man_verb(out, cli_verbs[i]);
    }
    out_text(out, ".SH OPTIONS OF EVERY VERB\n");
    man_options(out, cli_global_options, cli_global_option_count);
    out_text(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < truc_status_count(); i++) {
        truc_status status = truc_status_at(i);
        out_format(out, ".TP\n%d %s\n", (int)status, truc_status_name(status));
        man_text(out, truc_status_text(status));
    }
}

/* --- completion ----------------------------------------------------------------------------------------------------------- */

static void completion_words(struct out *out, const struct cli_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out_format(out, " --%s", options[i].name);
    }
}

void help_completion(struct out *out)
{
    out_text(out, "# bash completion for truc: . <(truc help --completion)\n_truc()\n{\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]} words=\" ${COMP_WORDS[*]:1:COMP_CWORD-1} \" options=''\n"
                  "    case $words in\n");
    for (size_t i = 0; i < cli_verb_count; i++) {
        out_format(out, "    *' %s '*) options='", cli_verbs[i]->name);
        completion_words(out, cli_verbs[i]->options, cli_verbs[i]->option_count);
        out_text(out, "' ;;\n");
    }
    /* first words, then, for nouns, their verbs */
    out_text(out, "    *) COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < cli_verb_count; i++) {
        out_format(out, " %s", cli_verbs[i]->name);
    }
    out_text(out, "' -- \"$cur\")) ;;\n    esac\n    case $cur in\n    -*) COMPREPLY=($(compgen -W \"$options");
    completion_words(out, cli_global_options, cli_global_option_count);
    out_text(out, "\" -- \"$cur\")) ;;\n    *) [ -n \"$options\" ] && COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n    esac\n}\n"
                  "complete -F _truc truc\n");
}
