#include "clients/cli/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME_COLUMN = 20 };

static json_t *time_json(int64_t ns)
{
    char text[TIMESTAMP_TEXT_BYTES];
    if (ns == 0) {
        return json_null();
    }
    timestamp_print(ns, text);
    return json_string(text);
}

json_t *facts_with_times(const json_t *object)
{
    json_t *facts = json_object(), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        const char *fact_name = name; /* the macro goes on from name and value */
        json_t *fact = NULL;
        size_t size = strlen(name);
        char shorter[64];
        if (json_is_integer(value) && size > 3 && size < sizeof shorter && strcmp(name + size - 3, "_ns") == 0) {
            snprintf(shorter, sizeof shorter, "%.*s", (int)(size - 3), name);
            fact = time_json((int64_t)json_integer_value(value));
            fact_name = shorter;
        } else {
            fact = json_incref(value);
        }
        if (json_object_set_new(facts, fact_name, fact) != 0) {
            json_decref(facts);
            return NULL;
        }
    }
    return facts;
}

void facts_print(struct out *out, const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        out_format(out, "%-*s", NAME_COLUMN, name);
        if (json_is_string(value)) {
            out_text(out, json_string_value(value));
        } else if (json_is_integer(value)) {
            out_i64(out, (int64_t)json_integer_value(value));
        } else {
            out_text(out, json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
        }
        out_text(out, "\n");
    }
}
