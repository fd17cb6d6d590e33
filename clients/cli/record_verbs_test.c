/* record_verbs_test.c: truc answer, recall, thread, receipt, dead, and what work says of recalled records. */
#undef NDEBUG
#include "clients/c/work_kit.h"

#include <stdlib.h>
#include <string.h>

#include "clients/cli/run_kit.h"

extern const struct cli_verb verb_work, verb_answer, verb_recall, verb_thread, verb_receipt, verb_dead_ls, verb_dead_show,
    verb_dead_redrive, verb_dead_drop, verb_pub;

static void expect(struct fake_broker *broker, const struct cli_verb *verb, char **arguments, truc_status status, const char *text)
{
    struct ran *ran = run_verb(broker, verb, arguments);

    if (ran->status != status)
        fail_msg("%s %s: %s", verb->name, arguments[0], truc_status_name(ran->status));
    if (text != NULL && strstr(ran->text, text) == NULL)
        fail_msg("%s: '%s' is not in: %s", verb->name, text, ran->text);
    free(ran);
}

#define EXPECT(broker, verb, status, text, ...) expect(broker, verb, (char *[]){__VA_ARGS__, NULL}, status, text)

static void answers_are_published_and_shown(void **state)
{
    struct fake_broker *broker = work_broker(20);

    (void)state;
    EXPECT(broker, &verb_answer, TRUC_OK, "answered in answer.local offset 0 position 2", "test.work", "3", "accepted");
    EXPECT(broker, &verb_recall, TRUC_OK, "\"topic\":\"test.work\",\"offset\":20", "test.work", "3", "--reason", "wrong one",
           "--json");
    EXPECT(broker, &verb_thread, TRUC_OK, "accepted        local/dev  answer.local 0\n", "test.work", "3");
    EXPECT(broker, &verb_thread, TRUC_OK, "recall          local/dev  test.work 20  wrong one\n", "test.work", "3");
    EXPECT(broker, &verb_thread, TRUC_OK, "\"status\":\"accepted\"", "test.work", "3", "--json");
    EXPECT(broker, &verb_recall, TRUC_NOT_ALLOWED, NULL, "test.work", "3", "--source", "H26.99/x");
    EXPECT(broker, &verb_answer, TRUC_USAGE, NULL, "test.work", "3", "perhaps");
    EXPECT(broker, &verb_answer, TRUC_USAGE, NULL, "test.work", "3rd", "done");
    EXPECT(broker, &verb_answer, TRUC_USAGE, NULL, "test.work", "99999999999999999999", "done");
    EXPECT(broker, &verb_answer, TRUC_BAD_TOPIC, NULL, "test.*", "3", "done");
    EXPECT(broker, &verb_answer, TRUC_OUT_OF_RANGE, NULL, "test.work", "21", "done");
    EXPECT(broker, &verb_thread, TRUC_NOT_FOUND, NULL, "test.nothing", "0");
    fake_broker_stop(broker);
}

static void dead_verbs_check_what_they_are_given(void **state)
{
    struct fake_broker *broker = work_broker(20);
    truc_client *client = kit_client(broker->url, NULL);

    (void)state;
    work_subscribe(client, "intake", "shared");
    truc_client_close(client);
    EXPECT(broker, &verb_dead_ls, TRUC_OK, "", "intake");
    EXPECT(broker, &verb_dead_ls, TRUC_NOT_FOUND, NULL, "nobody");
    EXPECT(broker, &verb_dead_show, TRUC_NOT_FOUND, NULL, "intake", "4");
    EXPECT(broker, &verb_dead_show, TRUC_USAGE, NULL, "intake", "four");
    EXPECT(broker, &verb_dead_redrive, TRUC_USAGE, NULL, "intake");
    EXPECT(broker, &verb_dead_redrive, TRUC_USAGE, NULL, "intake", "4", "--all");
    EXPECT(broker, &verb_dead_redrive, TRUC_OK, "redriven 0 letters\n", "intake", "--all");
    EXPECT(broker, &verb_dead_drop, TRUC_NOT_FOUND, NULL, "intake", "4");
    EXPECT(broker, &verb_dead_drop, TRUC_INVALID_ARGUMENT, NULL, "intake", "4", "4");
    EXPECT(broker, &verb_receipt, TRUC_UNSUPPORTED, NULL, "test.work", "4"); /* by an older broker, as this one */
    EXPECT(broker, &verb_receipt, TRUC_USAGE, NULL, "test.work", "x");
    EXPECT(broker, &verb_pub, TRUC_USAGE, NULL, "test.work", "/dev/null", "--together", "--wait-for", "intake");
    EXPECT(broker, &verb_pub, TRUC_UNSUPPORTED, NULL, "test.work", "/dev/null", "--wait-for", "intake");
    fake_broker_stop(broker);
}

static void work_tells_what_is_recalled(void **state)
{
    struct fake_broker *broker = work_broker(20);
    truc_client *client = kit_client(broker->url, NULL);
    struct ran *ran;
    size_t count = 0;

    (void)state;
    work_subscribe(client, "intake", "shared");
    truc_client_close(client);
    broker->share.recalled_position = 1;
    broker->share.recalled_by = "local";
    ran = RUN(broker, &verb_work, "intake", "--limit", "15", "--json", "--key-run", "3", "--nack");
    assert_int_equal(ran->status, TRUC_OK);
    for (const char *at = ran->text; (at = strstr(at, "\"recalled\":true,\"recall_position\":1001}")) != NULL; at++)
        count++;
    assert_int_equal(count, 5);
    free(ran);
    ran = RUN(broker, &verb_work, "intake", "--limit", "20", "--exec",
              "test $TRUC_RECALLED = $(($TRUC_POSITION == 1 ? 1 : 0)) || exit 65");
    assert_int_equal(ran->status, TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 20);
    free(ran);
    fake_broker_stop(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_published_and_shown),
        cmocka_unit_test(dead_verbs_check_what_they_are_given),
        cmocka_unit_test(work_tells_what_is_recalled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
