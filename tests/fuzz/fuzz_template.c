/* fuzz_template.c: a template, and behind a zero byte a value for its columns. It compiles and fills or is refused; what the slug
 * rule makes of the value is a token of a topic. */
#include "tests/fuzz/fuzz_input.h"

#include "clients/cli/import/bounds.h"
#include "clients/cli/import/slug.h"
#include "clients/cli/import/template.h"
#include "proto/topic.h"
#include "proto/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void fill(const char *text, struct bytes value)
{
    struct template_maps maps = {0};
    struct template *template = NULL;
    struct columns *columns = columns_create();
    struct failure failure;
    struct row row;
    struct out scratch, out;
    check(columns != NULL);
    row_init(&row);
    out_init(&scratch, -1);
    out_init(&out, -1);
    if (template_compile("--key", text, columns, &maps, &template, &failure) == TRUC_OK) {
        for (uint32_t column = 0; column < columns_count(columns); column++) {
            bool twice;
            check(row_add(&row, column, value, &twice) == TRUC_OK && !twice);
        }
        check(template_expand(template, columns, &row, &scratch, &out, &failure) == TRUC_OK);
        check(template_is_empty(template) == (text[0] == '\0'));
    }
    template_destroy(template);
    out_fini(&scratch);
    out_fini(&out);
    row_fini(&row);
    columns_destroy(columns);
}

static void slug(struct bytes value)
{
    struct out out;
    struct failure failure;
    out_init(&out, -1);
    if (slug_append(value, &out, &failure) == TRUC_OK) {
        struct bytes token = bytes_of(out.data, out.size < TOPIC_BYTES_MAX ? out.size : 1);
        check(out.size > 0);
        check(topic_check(token, NULL) == TRUC_OK || out.size >= TOPIC_BYTES_MAX || slug_is_agency(value));
    }
    out_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size == 0 ? NULL : memchr(data, 0, size);
    size_t text_size = zero == NULL ? size : (size_t)(zero - data);
    struct bytes value = zero == NULL ? bytes_of("", 0) : bytes_of(zero + 1, size - text_size - 1);
    char *text = malloc(text_size + 1);
    check(text != NULL);
    if (text_size > 0) {
        memcpy(text, data, text_size);
    }
    text[text_size] = '\0';
    fill(text, value);
    if (utf8_valid(value)) { /* readers give nothing else */
        slug(value);
    }
    free(text);
    return 0;
}
