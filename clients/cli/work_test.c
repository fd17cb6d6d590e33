/* work_test.c: truc work against the fake broker, and the commands that it runs. */
#undef NDEBUG
#include "clients/c/work_kit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/command.h"
#include "clients/cli/run_kit.h"

extern const struct cli_verb verb_work, verb_subscription_info, verb_subscription_ls, verb_subscription_create,
    verb_subscription_reset, verb_subscription_rm;

static struct fake_broker *subscribed_broker(const char *mode)
{
    struct fake_broker *broker = work_broker(50);
    truc_client *client = kit_client(broker->url, NULL);

    work_subscribe(client, "intake", mode);
    truc_client_close(client);
    return broker;
}

static void work_shows_and_acknowledges(void **state)
{
    struct fake_broker *broker = subscribed_broker("shared");
    struct ran *ran = RUN(broker, &verb_work, "intake", "--limit", "30", "--json");
    size_t lines = 0;

    (void)state;
    assert_int_equal(ran->status, TRUC_OK);
    for (const char *at = ran->text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 30);
    assert_non_null(strstr(ran->text, "\"topic\":\"test.work\",\"offset\":29"));
    assert_int_equal(work_in_state(broker, FAKE_DONE), 30);
    free(ran);
    ran = RUN(broker, &verb_work, "intake", "--limit", "5", "--reject");
    assert_int_equal(ran->status, TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DEAD), 5);
    free(ran);
    ran = RUN(broker, &verb_work, "intake", "--limit", "5", "--nack");
    assert_int_equal(ran->status, TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 30);
    free(ran);
    ran = RUN(broker, &verb_work, "nothing");
    assert_int_equal(ran->status, TRUC_NOT_FOUND);
    free(ran);
    ran = RUN(broker, &verb_work, "intake", "--ack", "--nack");
    assert_int_equal(ran->status, TRUC_USAGE);
    free(ran);
    fake_broker_stop(broker);
}

static void work_command_decides(void **state)
{
    struct fake_broker *broker = subscribed_broker("shared");
    struct ran *ran;
    uint32_t attempts = 0;

    (void)state;
    ran = RUN(broker, &verb_work, "intake", "--limit", "10", "--exec", "test $(wc -c) -eq 16 && test $TRUC_OFFSET -lt 10");
    assert_int_equal(ran->status, TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 10);
    free(ran);
    ran = RUN(broker, &verb_work, "intake", "--limit", "3", "--exec", "exit 65");
    assert_int_equal(ran->status, TRUC_OK);
    assert_int_equal(work_in_state(broker, FAKE_DEAD), 3);
    free(ran);
    ran = RUN(broker, &verb_work, "intake", "--limit", "1", "--exec", "exit 75");
    assert_int_equal(ran->status, TRUC_OK);
    free(ran);
    fake_broker_lock(broker);
    for (size_t i = 0; i < broker->share.subscriptions[0].record_count; i++)
        attempts += broker->share.subscriptions[0].records[i].attempts;
    fake_broker_unlock(broker);
    assert_true(attempts >= 1);
    assert_int_equal(work_in_state(broker, FAKE_DONE), 10);
    fake_broker_stop(broker);
}

static void work_ordered_stops_at_a_failure(void **state)
{
    struct fake_broker *broker = subscribed_broker("ordered");
    struct ran *ran = RUN(broker, &verb_work, "intake", "--exec", "test $TRUC_OFFSET -ne 25");

    (void)state;
    assert_int_equal(ran->status, TRUC_CANCELLED);
    assert_int_equal(broker->share.subscriptions[0].position, 2); /* ten records to an entry */
    free(ran);
    ran = RUN(broker, &verb_work, "intake", "--limit", "30");
    assert_int_equal(ran->status, TRUC_OK);
    assert_int_equal(broker->share.subscriptions[0].position, 5);
    free(ran);
    ran = RUN(broker, &verb_subscription_reset, "intake", "position=0");
    assert_int_equal(ran->status, TRUC_OK);
    free(ran);
    ran = RUN(broker, &verb_work, "intake", "--limit", "1", "--nack");
    assert_int_equal(ran->status, TRUC_UNSUPPORTED);
    free(ran);
    fake_broker_stop(broker);
}

static void subscription_verbs_show_what_is(void **state)
{
    struct fake_broker *broker = work_broker(10);
    struct ran *ran = RUN(broker, &verb_subscription_create, "intake", "test.>", "--from", "start", "--header", "a=1", "--header",
                          "b=2", "--backoff-ms", "100,1000", "--ack-wait", "90s");

    (void)state;
    assert_int_equal(ran->status, TRUC_OK);
    assert_non_null(strstr(ran->text, "pattern             test.>\n"));
    free(ran);
    ran = RUN(broker, &verb_subscription_ls, "--json");
    assert_int_equal(ran->status, TRUC_OK);
    assert_non_null(strstr(ran->text, "{\"name\":\"intake\",\"owner\":\"H26.16\""));
    free(ran);
    ran = RUN(broker, &verb_subscription_create, "mirror", "test.>", "--mode", "ordered", "--attempts", "3");
    assert_int_equal(ran->status, TRUC_INVALID_ARGUMENT);
    free(ran);
    ran = RUN(broker, &verb_subscription_create, "mirror", "test..x");
    assert_int_equal(ran->status, TRUC_BAD_PATTERN);
    free(ran);
    ran = RUN(broker, &verb_subscription_rm, "intake");
    assert_int_equal(ran->status, TRUC_OK);
    free(ran);
    ran = RUN(broker, &verb_subscription_info, "intake");
    assert_int_equal(ran->status, TRUC_NOT_FOUND);
    free(ran);
    fake_broker_stop(broker);
}

static void count_beat(void *context)
{
    ++*(int *)context;
}

static void command_is_fed_and_waited_for(void **state)
{
    size_t size = 4 * 1024 * 1024; /* beyond a pipe's room */
    uint8_t *data = calloc(1, size);
    truc_message message = {.size = sizeof message, .topic = "a.b", .source = "H26.16", .system = "portal"};
    truc_job job = {.size = sizeof job, .message = &message, .lease = 1, .attempt = 7};
    int code = -1, beats = 0;
    struct command_beat beat = {count_beat, &beats, 20};

    (void)state;
    assert_non_null(data);
    (void)signal(SIGPIPE, SIG_IGN);
    message.record.data = data;
    message.record.data_size = size;
    message.record.key = (truc_text){"k 1", 3};
    assert_int_equal(
        command_run("test $(wc -c) -eq 4194304 && test \"$TRUC_KEY\" = 'k 1' && test $TRUC_ATTEMPT = 7", &job, &beat, &code),
        TRUC_OK);
    assert_int_equal(code, 0);
    assert_int_equal(command_run("exit 65", &job, &beat, &code), TRUC_OK); /* reads nothing */
    assert_int_equal(code, 65);
    assert_int_equal(command_run("kill -9 $$", &job, &beat, &code), TRUC_OK);
    assert_int_equal(code, 128 + 9);
    beats = 0;
    assert_int_equal(command_run("exec sleep 0.3 <&-", &job, &beat, &code), TRUC_OK);
    assert_true(beats >= 2);
    assert_int_equal(command_run("test \"$TRUC_TOPIC $TRUC_RECORD_SOURCE\" = 'a.b H26.16/portal'", &job, &beat, &code), TRUC_OK);
    assert_int_equal(code, 0);
    free(data);
}

static void command_output_is_collected(void **state)
{
    truc_message message = {.topic = "a.b", .source = "H26.16", .system = "portal", .record = TRUC_RECORD_INIT};
    truc_job job = {.message = &message, .attempt = 1};
    struct out output;
    int code = 0;

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    out_init(&output, -1);
    message.record.data = "question";
    message.record.data_size = 8;
    message.record.id = (truc_text){"id-1", 4};
    assert_int_equal(command_reply("cat; printf %s \"-$TRUC_ID\"; exit 3", &job, &output, &code), TRUC_OK);
    assert_int_equal(code, 3);
    assert_int_equal(output.size, 13);
    assert_memory_equal(output.data, "question-id-1", 13);
    output.size = 0;
    assert_int_equal(command_reply("head -c 3000000 /dev/zero", &job, &output, &code), TRUC_OK); /* reads nothing */
    assert_int_equal(code, 0);
    assert_int_equal(output.size, 3000000);
    output.size = 0;
    assert_int_equal(command_reply("head -c 9000000 /dev/zero", &job, &output, &code), TRUC_RECORD_TOO_LARGE);
    output.size = 0;
    assert_int_equal(command_reply("sleep 60 & echo $!", &job, &output, &code), TRUC_OK); /* the pipe is held by what stays */
    assert_int_equal(code, 0);
    assert_true(output.size > 1);
    output.data[output.size - 1] = '\0';
    (void)kill((pid_t)strtol(output.data, NULL, 10), SIGKILL);
    output.size = 0;
    assert_int_equal(command_reply("exec >&-; exit 0", &job, &output, &code), TRUC_OK);
    assert_int_equal(output.size, 0);
    out_fini(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_shows_and_acknowledges),     cmocka_unit_test(work_command_decides),
        cmocka_unit_test(work_ordered_stops_at_a_failure), cmocka_unit_test(subscription_verbs_show_what_is),
        cmocka_unit_test(command_is_fed_and_waited_for),   cmocka_unit_test(command_output_is_collected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
