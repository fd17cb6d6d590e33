#include "clients/cli/import/template.h"
#include "clients/cli/import/testing.h"

/* A row with columns a = "x", b = "", long name = "Y". */
struct fixture {
    struct columns *columns;
    struct row row;
    struct template_maps maps;
    struct failure failure;
    struct out scratch, out;
};

static void start(struct fixture *f)
{
    static const char *const names[] = {"a", "b", "long name"}, *const values[] = {"x", "", "Y"};
    *f = (struct fixture){.columns = columns_create()};
    row_init(&f->row);
    out_init(&f->scratch, -1);
    out_init(&f->out, -1);
    for (size_t i = 0; i < 3; i++) {
        uint32_t column;
        bool twice;
        assert_int_equal(columns_number(f->columns, bytes_of_text(names[i]), true, &column, &f->failure), TRUC_OK);
        assert_int_equal(row_add(&f->row, column, bytes_of_text(values[i]), &twice), TRUC_OK);
    }
}

static void stop(struct fixture *f)
{
    columns_destroy(f->columns);
    row_fini(&f->row);
    out_fini(&f->scratch);
    out_fini(&f->out);
}

static void expands_to(const char *text, const char *expected)
{
    struct fixture f;
    struct template *template = NULL;
    start(&f);
    assert_int_equal(template_compile("--key", text, f.columns, &f.maps, &template, &f.failure), TRUC_OK);
    assert_int_equal(template_expand(template, f.columns, &f.row, &f.scratch, &f.out, &f.failure), TRUC_OK);
    assert_int_equal(f.out.size, strlen(expected));
    assert_memory_equal(f.out.size == 0 ? "" : f.out.data, expected, f.out.size);
    template_destroy(template);
    stop(&f);
}

static void refused(const char *text, const char *why)
{
    struct fixture f;
    struct template *template = NULL;
    start(&f);
    assert_int_equal(template_compile("--key", text, f.columns, &f.maps, &template, &f.failure), TRUC_USAGE);
    assert_non_null(strstr(f.failure.why, why));
    assert_non_null(strstr(f.failure.why, "--key"));
    stop(&f);
}

static void template_places_are_filled(void **state)
{
    (void)state;
    expands_to("", "");
    expands_to("plain", "plain");
    expands_to("{a}", "x");
    expands_to("<{a}|{long name}{b}>", "<x|Y>");
    expands_to("{{{a}}}", "{x}");
    expands_to("{{}}{{a}}", "{}{a}");
}

static void template_filters_change_values(void **state)
{
    (void)state;
    expands_to("{a|upper}{long name|lower}", "Xy");
    expands_to("{b|or:none}", "none");
    expands_to("{a|or:none}", "x");
    expands_to("{b|or: Q |trim|lower}", "q");
    expands_to("{b|upper}", "");
}

static void template_faults_are_told_with_their_place(void **state)
{
    (void)state;
    refused("ab{a", "{ at character 3 is not closed");
    refused("a}b", "single } at character 2");
    refused("{}", "a place names a column");
    refused("{|lower}", "a place names a column");
    refused("{a|shout}", "no filter 'shout'");
    refused("{a|lower|lower|lower|lower|lower}", "more than 4 filters");
}

static void template_too_many_parts_are_refused(void **state)
{
    (void)state;
    struct testing_text text = {0};
    for (int i = 0; i < 200; i++) {
        testing_print(&text, "{a}");
    }
    refused(text.data, "parts");
    free(text.data);
}

static void template_unseen_column_is_missing(void **state)
{
    (void)state;
    struct fixture f;
    struct template *template = NULL;
    uint32_t column;
    start(&f);
    assert_int_equal(template_compile("--key", "{a}{long nane}", f.columns, &f.maps, &template, &f.failure), TRUC_OK);
    assert_true(template_missing(template, f.columns, &column));
    assert_string_equal((const char *)columns_name(f.columns, column).data, "long nane");
    assert_string_equal(columns_nearest(f.columns, bytes_of_text("long nane")), "long name");
    template_destroy(template);
    stop(&f);
}

static truc_status load(const char *text, struct map **ret_map, struct failure *failure)
{
    return map_load(testing_file("map.csv", text, strlen(text)), ret_map, failure);
}

static void map_translates_and_unknown_values_are_bad(void **state)
{
    (void)state;
    struct fixture f;
    struct map *map = NULL;
    struct template *template = NULL;
    struct bytes name;
    start(&f);
    /* the second value is decomposed here and composed below */
    assert_int_equal(load("x,Department A\nq,\"two\nlines\"\no\xcc\x82,o\n", &map, &f.failure), TRUC_OK);
    assert_int_equal(map_count(map), 3);
    assert_true(map_find(map, bytes_of_text("\xc3\xb4"), &name));
    assert_false(map_find(map, bytes_of_text("z"), &name));
    uint32_t column;
    assert_int_equal(columns_number(f.columns, bytes_of_text("a"), false, &column, &f.failure), TRUC_OK);
    f.maps.items = calloc(1, sizeof *f.maps.items);
    f.maps.items[0].column = column;
    f.maps.items[0].map = map;
    f.maps.count = 1;
    assert_int_equal(template_compile("--key", "{a}", f.columns, &f.maps, &template, &f.failure), TRUC_OK);
    assert_true(f.maps.items[0].used);
    assert_int_equal(template_expand(template, f.columns, &f.row, &f.scratch, &f.out, &f.failure), TRUC_OK);
    assert_memory_equal(f.out.data, "Department A", f.out.size);
    bool twice;
    row_clear(&f.row);
    assert_int_equal(row_add(&f.row, column, bytes_of_text("new"), &twice), TRUC_OK);
    assert_int_equal(template_expand(template, f.columns, &f.row, &f.scratch, &f.out, &f.failure), TRUC_BAD_ROW);
    assert_non_null(strstr(f.failure.why, "column 'a': 'new' is not in"));
    row_clear(&f.row); /* an empty value stays empty */
    f.out.size = 0;
    assert_int_equal(template_expand(template, f.columns, &f.row, &f.scratch, &f.out, &f.failure), TRUC_OK);
    assert_int_equal(f.out.size, 0);
    template_destroy(template);
    map_destroy(map);
    free(f.maps.items);
    stop(&f);
}

static void map_faults_name_file_and_line(void **state)
{
    (void)state;
    struct failure failure;
    struct map *map = NULL;
    assert_int_equal(load("a,b\nonly\n", &map, &failure), TRUC_BAD_CONFIG);
    assert_non_null(strstr(failure.why, "map.csv, line 2: 1 fields where 2 belong"));
    assert_int_equal(load("a,b\n\na,c\n", &map, &failure), TRUC_BAD_CONFIG);
    assert_non_null(strstr(failure.why, "line 3: 'a' has another name already"));
    assert_int_equal(load("a,b\na,b\n", &map, &failure), TRUC_OK);
    map_destroy(map);
    assert_int_equal(map_load("/nowhere/map.csv", &map, &failure), TRUC_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(template_places_are_filled),
        cmocka_unit_test(template_filters_change_values),
        cmocka_unit_test(template_faults_are_told_with_their_place),
        cmocka_unit_test(template_too_many_parts_are_refused),
        cmocka_unit_test(template_unseen_column_is_missing),
        cmocka_unit_test(map_translates_and_unknown_values_are_bad),
        cmocka_unit_test(map_faults_name_file_and_line),
    };
    return cmocka_run_group_tests(tests, testing_setup, testing_teardown);
}
