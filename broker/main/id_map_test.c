/* The map against a plain array, through growth and holes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/main/id_map.h"

static void id_map_agrees_with_an_array(void **state)
{
    enum { IDS = 3000, STEPS = 200000 };
    static char present[IDS + 1];
    struct id_map map = {0};
    uint64_t random = 88172645463325252u;
    size_t count = 0;
    (void)state;
    for (int step = 0; step < STEPS; step++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t id = random % IDS + 1;
        if (present[id]) {
            assert_ptr_equal(id_map_get(&map, id), &present[id]);
            assert_ptr_equal(id_map_take(&map, id), &present[id]);
            present[id] = 0;
            count--;
        } else {
            assert_null(id_map_get(&map, id));
            assert_null(id_map_take(&map, id));
            assert_true(id_map_put(&map, id, &present[id]));
            present[id] = 1;
            count++;
        }
        assert_int_equal(map.count, count);
    }
    while (count > 0) {
        assert_non_null(id_map_take_any(&map));
        count--;
    }
    assert_null(id_map_take_any(&map));
    id_map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(id_map_agrees_with_an_array)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
