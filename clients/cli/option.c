#include "clients/cli/option.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 4, OPTIONS_MAX = 64, NEAREST_BYTES_MAX = 48 };

/* --- values --------------------------------------------------------------------------------------------------------------- */

static void *value_of(const struct cli_option_set *set, const struct cli_option *option)
{
    return (char *)set->values + option->offset;
}

static bool uint_parse(const char *text, bool with_unit, uint64_t *ret_value)
{
    char *end = NULL;
    uint64_t scale = 1;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0) {
        return false;
    }
    if (with_unit && *end != '\0') {
        static const char units[] = "KMGT";
        const char *unit = strchr(units, *end);
        if (unit == NULL) {
            return false;
        }
        scale = UINT64_C(1) << (10 * (size_t)(unit - units + 1));
        end += strcmp(end + 1, "iB") == 0 ? 3 : 1; /* 64K, 64KiB as in the broker's configuration */
    }
    return *end == '\0' && !__builtin_mul_overflow(value, scale, ret_value);
}

static truc_status uint_store(const struct cli_option *option, const char *text, struct cli_uint *ret_value, char *why)
{
    uint64_t value = 0, maximum = option->maximum != 0 ? option->maximum : UINT64_MAX;
    bool with_unit = option->type == CLI_SIZE;
    if (!uint_parse(text, with_unit, &value) || value < option->minimum || value > maximum) {
        snprintf(why, CLI_WHY_BYTES, "--%s takes %s from %" PRIu64 " to %" PRIu64 "%s, not '%s'", option->name,
                 with_unit ? "a size" : "a whole number", option->minimum, maximum, with_unit ? " (KiB, MiB, GiB as units)" : "",
                 text);
        return TRUC_USAGE;
    }
    *ret_value = (struct cli_uint){true, value};
    return TRUC_OK;
}

static truc_status number_store(const struct cli_option *option, const char *text, struct cli_number *ret_value, char *why)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value <= 0) {
        snprintf(why, CLI_WHY_BYTES, "--%s takes a number above 0, not '%s'", option->name, text);
        return TRUC_USAGE;
    }
    *ret_value = (struct cli_number){true, value};
    return TRUC_OK;
}

static truc_status duration_store(const struct cli_option *option, const char *text, struct cli_time *ret_value, char *why)
{
    const char *reason = NULL;
    int64_t ns = 0;
    if (duration_parse(text, strlen(text), &ns, &reason) != TRUC_OK) {
        snprintf(why, CLI_WHY_BYTES, "--%s: '%s' is %s", option->name, text, reason);
        return TRUC_USAGE;
    }
    *ret_value = (struct cli_time){true, text, ns};
    return TRUC_OK;
}

static truc_status choice_store(const struct cli_option *option, const char *text, const char **ret_value, char *why)
{
    size_t used = (size_t)snprintf(why, CLI_WHY_BYTES, "--%s takes one of", option->name);
    for (const char *const *choice = option->choices; *choice != NULL; choice++) {
        if (strcmp(*choice, text) == 0) {
            *ret_value = *choice;
            return TRUC_OK;
        }
        used += (size_t)snprintf(why + used, used < CLI_WHY_BYTES ? CLI_WHY_BYTES - used : 0, " %s", *choice);
        used = used < CLI_WHY_BYTES ? used : CLI_WHY_BYTES - 1;
    }
    snprintf(why + used, CLI_WHY_BYTES - used, ", not '%s'", text);
    return TRUC_USAGE;
}

/* Grows by one at each call: lists are short. */
static truc_status list_store(const char *text, struct cli_list *list)
{
    const char **items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (items == NULL) {
        return TRUC_NO_MEMORY;
    }
    items[list->count] = text;
    list->items = items;
    list->count++;
    return TRUC_OK;
}

static truc_status option_store(const struct cli_option_set *set, const struct cli_option *option, const char *text, char *why)
{
    void *value = value_of(set, option);
    switch (option->type) {
    case CLI_FLAG:
        *(bool *)value = true;
        return TRUC_OK;
    case CLI_TEXT:
        *(const char **)value = text;
        return TRUC_OK;
    case CLI_CHOICE:
        return choice_store(option, text, value, why);
    case CLI_UINT:
    case CLI_SIZE:
        return uint_store(option, text, value, why);
    case CLI_NUMBER:
        return number_store(option, text, value, why);
    case CLI_DURATION:
        return duration_store(option, text, value, why);
    case CLI_TIME:
        *(struct cli_time *)value = (struct cli_time){true, text, 0};
        return TRUC_OK;
    case CLI_LIST:
        return list_store(text, value);
    }
    return TRUC_INTERNAL;
}

/* --- the nearest name ----------------------------------------------------------------------------------------------------- */

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Edit distance with neighbours swapped counting one (optimal string alignment); letter case does not count. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][NEAREST_BYTES_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_size; j++) {
        last[j] = j;
        before[j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t best = last[j - 1] + !same_letter(a[i - 1], b[j - 1]);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]) && before[j - 2] + 1 < best) {
                best = before[j - 2] + 1;
            }
            row[j] = best;
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[b_size];
}

const char *cli_nearest(const char *word, const char *(*name_at)(const void *names, size_t index), const void *names, size_t count)
{
    size_t word_size = strlen(word), best = word_size < 4 ? 2 : word_size / 3 + 2;
    const char *nearest = NULL;
    if (word_size > NEAREST_BYTES_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = name_at(names, i);
        size_t name_size = strlen(name);
        if (name_size > NEAREST_BYTES_MAX) {
            continue;
        }
        size_t d = distance(word, word_size, name, name_size);
        if (d < best) {
            best = d;
            nearest = name;
        }
    }
    return nearest;
}

/* --- parsing -------------------------------------------------------------------------------------------------------------- */

struct parse {
    const struct cli_option_set *sets;
    size_t set_count;
    uint64_t seen[SETS_MAX]; /* bit per option */
    char *why;
};

static const char *name_at(const void *names, size_t index)
{
    const struct parse *parse = names;
    for (size_t s = 0; s < parse->set_count; s++) {
        if (index < parse->sets[s].count) {
            return parse->sets[s].options[index].name;
        }
        index -= parse->sets[s].count;
    }
    return "";
}

static truc_status unknown_option(const struct parse *parse, const char *name, size_t size)
{
    char word[NEAREST_BYTES_MAX + 1];
    size_t count = 0;
    const char *nearest = NULL;
    for (size_t s = 0; s < parse->set_count; s++) {
        count += parse->sets[s].count;
    }
    if (size < sizeof word) {
        memcpy(word, name, size);
        word[size] = '\0';
        nearest = cli_nearest(word, name_at, parse, count);
    }
    if (nearest != NULL) {
        snprintf(parse->why, CLI_WHY_BYTES, "there is no option --%.*s; did you mean --%s?", (int)(size > 64 ? 64 : size), name,
                 nearest);
    } else {
        snprintf(parse->why, CLI_WHY_BYTES, "there is no option --%.*s", (int)(size > 64 ? 64 : size), name);
    }
    return TRUC_USAGE;
}

static const struct cli_option *find(const struct parse *parse, const char *name, size_t size, size_t *ret_set, size_t *ret_index)
{
    for (size_t s = 0; s < parse->set_count; s++) {
        const struct cli_option_set *set = &parse->sets[s];
        for (size_t i = 0; i < set->count; i++) {
            if (strlen(set->options[i].name) == size && memcmp(set->options[i].name, name, size) == 0) {
                *ret_set = s;
                *ret_index = i;
                return &set->options[i];
            }
        }
    }
    return NULL;
}

/* One option at argv[*index]; moves *index to the last argument it used. */
static truc_status parse_option(struct parse *parse, int argc, char **argv, int *index)
{
    const char *name = argv[*index] + 2, *equals = strchr(name, '=');
    size_t size = equals != NULL ? (size_t)(equals - name) : strlen(name), s = 0, i = 0;
    const struct cli_option *option = find(parse, name, size, &s, &i);
    if (option == NULL) {
        return unknown_option(parse, name, size);
    }
    if (option->type != CLI_LIST && (parse->seen[s] >> i & 1) != 0) {
        snprintf(parse->why, CLI_WHY_BYTES, "--%s is given twice", option->name);
        return TRUC_USAGE;
    }
    parse->seen[s] |= UINT64_C(1) << i;
    const char *value = NULL;
    if (option->type == CLI_FLAG) {
        if (equals != NULL) {
            snprintf(parse->why, CLI_WHY_BYTES, "--%s takes no value", option->name);
            return TRUC_USAGE;
        }
    } else if (equals != NULL) {
        value = equals + 1;
    } else if (*index + 1 < argc) {
        value = argv[++*index];
    } else {
        snprintf(parse->why, CLI_WHY_BYTES, "--%s needs a value: --%s %s", option->name, option->name, option->value);
        return TRUC_USAGE;
    }
    return option_store(&parse->sets[s], option, value, parse->why);
}

static truc_status refuse_short(const struct parse *parse, const char *text)
{
    snprintf(parse->why, CLI_WHY_BYTES, "there is no option %.64s; options are written with two dashes, as --json", text);
    return TRUC_USAGE;
}

truc_status cli_options_parse(const struct cli_option_set *sets, size_t set_count, int argc, char **argv, bool stop_at_operand,
                              char **operands, size_t *ret_operand_count, int *ret_used, char why[CLI_WHY_BYTES])
{
    struct parse parse = {.sets = sets, .set_count = set_count, .why = why};
    size_t operand_count = 0;
    bool options_over = false;
    int i = 0;

    assert(set_count <= SETS_MAX);
    for (size_t s = 0; s < set_count; s++) {
        assert(sets[s].count <= OPTIONS_MAX);
    }
    why[0] = '\0';
    for (; i < argc; i++) {
        char *text = argv[i];
        truc_status status = TRUC_OK;
        if (options_over || text[0] != '-' || text[1] == '\0') {
            if (stop_at_operand) {
                break;
            }
            operands[operand_count++] = text;
        } else if (strcmp(text, "--") == 0) {
            options_over = true;
        } else if (strcmp(text, "-h") == 0) {
            char help[] = "--help", *as_long = help;
            int none = 0;
            status = parse_option(&parse, 1, &as_long, &none);
        } else if (text[1] != '-') {
            status = refuse_short(&parse, text);
        } else {
            status = parse_option(&parse, argc, argv, &i);
        }
        if (status != TRUC_OK) {
            return status;
        }
    }
    *ret_operand_count = operand_count;
    *ret_used = i;
    return TRUC_OK;
}

truc_status cli_options_resolve(const struct cli_option_set *set, const struct zone *zone, int64_t now_ns, cli_time_echo *echo,
                                void *context, char why[CLI_WHY_BYTES])
{
    for (size_t i = 0; i < set->count; i++) {
        const struct cli_option *option = &set->options[i];
        if (option->type != CLI_TIME) {
            continue;
        }
        struct cli_time *time = value_of(set, option);
        const char *reason = NULL;
        bool zoned = false;
        if (!time->given) {
            continue;
        }
        if (timestamp_parse(time->text, strlen(time->text), zone, now_ns, &time->ns, &zoned, &reason) != TRUC_OK) {
            snprintf(why, CLI_WHY_BYTES, "--%s: '%s' is %s", option->name, time->text, reason);
            return TRUC_USAGE;
        }
        if (zoned && echo != NULL) {
            echo(context, option, time);
        }
    }
    return TRUC_OK;
}

void cli_options_fini(const struct cli_option_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->options[i].type == CLI_LIST) {
            struct cli_list *list = value_of(set, &set->options[i]);
            free(list->items);
            *list = (struct cli_list){0};
        }
    }
}
