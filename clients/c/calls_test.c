/* calls_test.c: calls against a plain list of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "clients/c/calls.h"

enum { MODEL_MAX = 4096 };

static void on_reply(void *opaque, truc_status status, const truc_message *reply, const char *why)
{
    (void)opaque;
    (void)status;
    (void)reply;
    (void)why;
}

static void calls_empty_has_nothing(void **state)
{
    struct calls calls = {0};

    (void)state;
    assert_null(calls_find(&calls, 1));
    assert_null(calls_take_due(&calls, INT64_MAX));
    assert_true(calls_next_deadline(&calls) == INT64_MAX);
    calls_fini(&calls);
}

static void calls_unarmed_is_found_but_never_due(void **state)
{
    struct calls calls = {0};
    struct call *call = calls_add(&calls, on_reply, NULL, 7);

    (void)state;
    assert_non_null(call);
    assert_ptr_equal(calls_find(&calls, call->serial), call);
    assert_null(calls_take_due(&calls, INT64_MAX));
    calls_arm(&calls, call);
    assert_true(calls_next_deadline(&calls) == 7);
    assert_null(calls_take_due(&calls, 6));
    assert_ptr_equal(calls_take_due(&calls, 7), call);
    assert_null(calls_find(&calls, call->serial));
    free(call);
    call = calls_add(&calls, on_reply, NULL, 7);
    assert_non_null(call);
    calls_fini(&calls); /* frees what is in it */
}

/* What is in the table, by serial; 0: not, or not any more. */
struct model {
    int64_t deadlines[MODEL_MAX];
    bool armed[MODEL_MAX];
    size_t count;
};

static int64_t model_earliest(const struct model *model)
{
    int64_t earliest = INT64_MAX;

    for (size_t i = 0; i < MODEL_MAX; i++) {
        if (model->armed[i] && model->deadlines[i] < earliest)
            earliest = model->deadlines[i];
    }
    return earliest;
}

static void calls_any_order_agrees_with_a_list(void **state)
{
    static struct model model;
    struct calls calls = {0};
    unsigned random = 20261124;

    (void)state;
    for (size_t step = 0; step < 3 * MODEL_MAX; step++) {
        struct call *call = NULL;

        random = random * 1103515245u + 12345u;
        if ((random >> 16) % 3 != 0 && calls.last_serial + 1 < MODEL_MAX) {
            call = calls_add(&calls, on_reply, NULL, 1 + (random >> 20));
            assert_non_null(call);
            model.deadlines[call->serial] = call->deadline_ns;
            model.count++;
            if ((random >> 16) % 5 != 0) {
                calls_arm(&calls, call);
                model.armed[call->serial] = true;
            }
        } else if (step % 2 == 0) {
            int64_t earliest = model_earliest(&model);

            call = calls_take_due(&calls, INT64_MAX);
            assert_true(call != NULL ? call->deadline_ns == earliest : earliest == INT64_MAX);
        } else {
            call = calls_find(&calls, (random >> 18) % MODEL_MAX);
            if (call != NULL)
                calls_take(&calls, call);
        }
        if (call != NULL && calls_find(&calls, call->serial) == NULL) {
            assert_true(model.deadlines[call->serial] == call->deadline_ns);
            model.deadlines[call->serial] = 0;
            model.armed[call->serial] = false;
            model.count--;
            free(call);
        }
        assert_int_equal(calls.count, model.count);
        assert_true(calls_next_deadline(&calls) == model_earliest(&model));
    }
    for (uint64_t serial = 0; serial < MODEL_MAX; serial++)
        assert_int_equal(calls_find(&calls, serial) != NULL, model.deadlines[serial] != 0);
    calls_fini(&calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_empty_has_nothing),
        cmocka_unit_test(calls_unarmed_is_found_but_never_due),
        cmocka_unit_test(calls_any_order_agrees_with_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
