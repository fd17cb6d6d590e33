#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clients/cli/help.h"

static void terminate(struct out *out)
{
    out_bytes(out, "", 1);
    assert_int_equal(out->status, TRUC_OK);
}

static void check_options(const struct cli_option *options, size_t count, size_t size)
{
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        const struct cli_option *option = &options[i];
        assert_true(option->name[0] != '\0' && option->name[0] != '-');
        assert_true(option->help[0] != '\0' && option->help[strlen(option->help) - 1] != '.');
        assert_true((option->type == CLI_FLAG) == (option->value == NULL));
        assert_true((option->type == CLI_CHOICE) == (option->choices != NULL));
        assert_true(option->offset < size);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(option->name, options[j].name);
            assert_int_not_equal(option->offset, options[j].offset);
        }
    }
}

static void table_is_well_formed(void **state)
{
    (void)state;
    check_options(cli_global_options, cli_global_option_count, sizeof(struct cli_globals));
    for (size_t i = 0; i < cli_verb_count; i++) {
        const struct cli_verb *verb = cli_verbs[i];
        char example[64];
        assert_non_null(verb->run);
        assert_true(verb->summary[0] != '\0' && verb->summary[strlen(verb->summary) - 1] != '.');
        assert_true(verb->operands_min <= verb->operands_max);
        assert_true((verb->operands[0] == '\0') == (verb->operands_max == 0));
        snprintf(example, sizeof example, "truc %s", verb->name);
        assert_non_null(strstr(verb->example, "truc "));
        if (strstr(verb->example, example) == NULL && strstr(verb->example, verb->name) == NULL) {
            fail_msg("%s has no example", verb->name);
        }
        check_options(verb->options, verb->option_count, verb->options_size);
        for (size_t j = 0; j < verb->exit_count; j++) {
            assert_string_not_equal(truc_status_name(verb->exits[j]), "UNKNOWN");
        }
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(verb->name, cli_verbs[j]->name);
        }
    }
}

static void find_takes_the_longest_name(void **state)
{
    char topic[] = "topic", ls[] = "ls", pub[] = "pub", nothing[] = "nothing";
    char *const words[] = {topic, ls, pub};
    size_t used = 0;
    (void)state;
    assert_string_equal(verb_find(words, 3, &used)->name, "topic ls");
    assert_int_equal(used, 2);
    assert_string_equal(verb_find((char *const[]){pub, ls}, 2, &used)->name, "pub");
    assert_int_equal(used, 1);
    assert_null(verb_find((char *const[]){topic}, 1, &used));
    assert_null(verb_find((char *const[]){nothing, pub}, 2, &used));
    assert_null(verb_find(NULL, 0, &used));
}

static void pages_begin_with_an_example(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_verb_count; i++) {
        struct out out;
        out_init(&out, -1);
        help_verb(&out, cli_verbs[i]);
        terminate(&out);
        size_t first_line = strcspn(cli_verbs[i]->example, "\n");
        assert_memory_equal(out.data, "  ", 2);
        assert_memory_equal(out.data + 2, cli_verbs[i]->example, first_line);
        assert_non_null(strstr(out.data, "usage: truc "));
        assert_non_null(strstr(out.data, "exit codes:\n    0 OK"));
        /* examples are commands, as long as they are */
        for (const char *line = strstr(out.data, "\n\n"); line != NULL && *line != '\0';
             line = strchr(line, '\n'), line = line != NULL ? line + 1 : NULL) {
            if (strcspn(line, "\n") > 132) {
                fail_msg("%s: a line of %zu columns", cli_verbs[i]->name, strcspn(line, "\n"));
            }
        }
        out_fini(&out);
    }
}

static char *read_doc(const char *name)
{
    char path[512];
    struct out out;
    snprintf(path, sizeof path, "%s/%s", TRUC_DOCS, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fail_msg("%s", path);
    }
    out_init(&out, -1);
    for (size_t size = 1; size > 0;) {
        char *room = out_room(&out, 65536);
        assert_non_null(room);
        size = fread(room, 1, 65536, file);
        out.size += size;
    }
    fclose(file);
    terminate(&out);
    return out.data;
}

/* docs/cli.md holds a row for each status as proto/status.def says it, no others, and a section for each verb. */
static void docs_agree_with_the_tables(void **state)
{
    char *doc = read_doc("cli.md");
    size_t rows = 0;
    (void)state;
    for (size_t i = 0; i < truc_status_count(); i++) {
        truc_status status = truc_status_at(i);
        char row[1024];
        snprintf(row, sizeof row, "| %d | %s | %s | %s | %s |\n", (int)status, truc_status_name(status),
                 truc_status_retriable(status) ? "yes" : "no", truc_status_text(status), truc_status_next(status));
        if (strstr(doc, row) == NULL) {
            fail_msg("docs/cli.md lacks the row: %s", row);
        }
    }
    for (const char *row = strstr(doc, "| code | name |"); row != NULL && row[0] == '|'; row = strchr(row, '\n') + 1) {
        rows++;
    }
    assert_int_equal(rows, truc_status_count() + 2); /* and the two lines of its head */
    for (size_t i = 0; i < cli_verb_count; i++) {
        char heading[64];
        snprintf(heading, sizeof heading, "\n## truc %s\n", cli_verbs[i]->name);
        if (strstr(doc, heading) == NULL) {
            fail_msg("docs/cli.md lacks a section: %s", heading);
        }
    }
    free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_well_formed),
        cmocka_unit_test(find_takes_the_longest_name),
        cmocka_unit_test(pages_begin_with_an_example),
        cmocka_unit_test(docs_agree_with_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
