/* outbox_test.c: an outbox alone, and producers that are killed at any moment.
 *
 * Run with arguments it is such a producer: outbox_test URL DIRECTORY COUNT, writing into the shared page on descriptor 3 how many
 * records truc_publish has taken over. */
#undef NDEBUG
#include "clients/c/client_test_kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/c/outbox.h"
#include "clients/c/outbox_replay.h"

static const char topic[] = "test.outbox";
enum { RECORDS = 40000, KILLS = 40, PAGE_BYTES = 4096, SHARED_FD = 3 };

/* --- replay ------------------------------------------------------------------------------------------------------------------ */

static void add(struct outbox_replay *replay, enum outbox_kind kind, uint64_t sequence, uint32_t count, truc_status expected)
{
    uint8_t body[4];
    struct outbox_item item = {.kind = kind, .sequence = sequence, .topic = bytes_of_text("a.b"), .body = bytes_of(body, 4)};

    memcpy(body, &count, 4);
    assert_int_equal(outbox_replay_add(replay, &item), expected);
}

static void replay_items_add_up(void **state)
{
    struct outbox_replay replay;
    struct open_topic *open;

    (void)state;
    outbox_replay_init(&replay);
    for (uint32_t i = 0; i < 100; i++)
        add(&replay, OUTBOX_RECORD, 5 + i, i, TRUC_OK);
    add(&replay, OUTBOX_RECORD, 4, 0, TRUC_DAMAGED);
    add(&replay, OUTBOX_ACKED, 15, 0, TRUC_OK);
    open = replay.topics;
    assert_int_equal(open->first_sequence, 15);
    assert_int_equal(open->count, 90);
    add(&replay, OUTBOX_REFUSED, 20, 3, TRUC_OK);
    assert_int_equal(open->count, 87);
    add(&replay, OUTBOX_RECORD, 102, 100, TRUC_OK);
    add(&replay, OUTBOX_REFUSED, 101, 3, TRUC_DAMAGED);
    add(&replay, OUTBOX_ACKED, 200, 0, TRUC_OK);
    assert_int_equal(open->count, 0);
    add(&replay, OUTBOX_RECORD, 200, 1, TRUC_OK);
    outbox_replay_fini(&replay);
}

/* --- kills ------------------------------------------------------------------------------------------------------------------- */

/* What comes first of a topic may speak of records in segments that are deleted. */
static void replay_begins_in_the_middle(void **state)
{
    struct outbox_replay replay;

    (void)state;
    outbox_replay_init(&replay);
    add(&replay, OUTBOX_ACKED, 100, 0, TRUC_OK); /* 100 to 104 were acknowledged later */
    add(&replay, OUTBOX_RECORD, 105, 0, TRUC_OK);
    add(&replay, OUTBOX_ACKED, 105, 0, TRUC_OK);
    add(&replay, OUTBOX_RECORD, 107, 0, TRUC_DAMAGED);
    assert_int_equal(replay.topics->first_sequence, 105);
    assert_int_equal(replay.topics->count, 1);
    outbox_replay_fini(&replay);

    outbox_replay_init(&replay);
    add(&replay, OUTBOX_ACKED, 100, 0, TRUC_OK);
    add(&replay, OUTBOX_REFUSED, 100, 3, TRUC_OK);
    add(&replay, OUTBOX_RECORD, 99, 0, TRUC_DAMAGED);
    outbox_replay_fini(&replay);

    outbox_replay_init(&replay);
    add(&replay, OUTBOX_REFUSED, 20, 3, TRUC_OK);
    add(&replay, OUTBOX_RECORD, 20, 0, TRUC_OK);
    add(&replay, OUTBOX_RECORD, 21, 0, TRUC_OK);
    assert_int_equal(replay.topics->first_sequence, 20);
    outbox_replay_fini(&replay);
}

static void remove_directory(const char *path)
{
    DIR *stream = opendir(path);
    struct dirent *entry;
    char name[600];

    assert_non_null(stream);
    while ((entry = readdir(stream)) != NULL) {
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        (void)unlink(name);
    }
    (void)closedir(stream);
    assert_int_equal(rmdir(path), 0);
}

/* The program that is killed. */
static int produce(const char *url, const char *directory, uint64_t count)
{
    _Atomic uint64_t *taken = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, SHARED_FD, 0);
    truc_client *client = kit_client(url, NULL);
    truc_producer *producer = kit_producer(client, NULL, "name", "killed", "outbox", directory, "batch_records", "100", NULL);
    uint64_t next = 0;

    if (taken == MAP_FAILED || truc_producer_sequence(producer, topic, &next) != TRUC_OK)
        return 2;
    if (next < atomic_load(taken)) {
        (void)fprintf(stderr, "taken over %llu, known %llu\n", (unsigned long long)atomic_load(taken), (unsigned long long)next);
        return 3;
    }
    for (; next < count; next++) {
        truc_record record = TRUC_RECORD_INIT;

        record.data = &next;
        record.data_size = sizeof next;
        if (truc_publish(producer, topic, &record, NULL) != TRUC_OK)
            return 4;
        atomic_store(taken, next + 1);
        if (next % 100 == 0 && truc_flush(producer, WAIT_MS) != TRUC_OK) /* so that it lasts a while */
            return 5;
    }
    if (truc_flush(producer, WAIT_MS) != TRUC_OK || truc_producer_close(producer, 0) != TRUC_OK)
        return 5;
    truc_client_close(client);
    return 0;
}

static pid_t spawn(const char *url, const char *directory, int shared)
{
    char count[32];
    pid_t pid;

    (void)snprintf(count, sizeof count, "%d", RECORDS);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(shared, SHARED_FD);
        (void)execl("/proc/self/exe", "outbox_test", url, directory, count, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void outbox_killed_producer_loses_and_doubles_nothing(void **state)
{
    char directory[] = "/tmp/truc-outbox-XXXXXX";
    struct fake_broker *broker = fake_broker_start();
    int shared = memfd_create("taken", 0), status = 0;
    unsigned seed = (unsigned)getpid(), kills = 0, sudden_ends = 0;

    (void)state;
    assert_non_null(mkdtemp(directory));
    assert_true(shared >= 0 && ftruncate(shared, PAGE_BYTES) == 0);
    print_message("seed %u\n", seed);
    for (;;) {
        pid_t pid = spawn(broker->url, directory, shared);
        struct pollfd nothing = {.fd = -1};

        if (kills < KILLS) {
            (void)poll(&nothing, 1, (int)(rand_r(&seed) % 60)); /* a moment at random, not a wait for something */
            (void)kill(pid, SIGKILL);
            kills++;
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            if (kills >= KILLS)
                break;
        } else {
            assert_int_equal(WTERMSIG(status), SIGKILL);
            sudden_ends++;
        }
    }
    print_message("killed %u times\n", sudden_ends);
    kit_assert_stored(broker, topic, RECORDS);
    fake_broker_stop(broker);
    (void)close(shared);
    remove_directory(directory);
}

/* --- the rest -------------------------------------------------------------------------------------------------------------------
 */

static enum fake_deed refuse_publish(void *context, struct fake_broker *broker, const struct frame *frame)
{
    (void)broker;
    return frame->kind == FRAME_PUBLISH && *(_Atomic bool *)context ? FAKE_SILENT : FAKE_NORMAL;
}

static void outbox_keeps_what_was_not_acknowledged(void **state)
{
    char directory[] = "/tmp/truc-outbox-XXXXXX";
    struct fake_broker *broker = fake_broker_start();
    _Atomic bool silent = true;
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer;
    truc_options *options;
    uint64_t next = 0;

    (void)state;
    assert_non_null(mkdtemp(directory));
    fake_broker_lock(broker);
    broker->context = &silent;
    broker->deed = refuse_publish;
    fake_broker_unlock(broker);
    producer = kit_producer(client, NULL, "name", "kept", "outbox", directory, NULL);
    kit_publish(producer, topic, 0, 1000, 100, 0);
    options = kit_options("name", "kept", "outbox", directory, NULL);
    {
        truc_producer *second = NULL;

        assert_int_equal(truc_producer_open(client, options, NULL, NULL, &second, NULL), TRUC_LOCKED);
        truc_options_destroy(options);
        options = kit_options("outbox", directory, NULL);
        assert_int_equal(truc_producer_open(client, options, NULL, NULL, &second, NULL), TRUC_INVALID_ARGUMENT);
        truc_options_destroy(options);
    }
    assert_int_equal(truc_producer_close(producer, 20), TRUC_TIMED_OUT);
    options = kit_options("name", "other", "outbox", directory, NULL);
    assert_int_equal(truc_producer_open(client, options, NULL, NULL, &producer, NULL), TRUC_INVALID_ARGUMENT);
    truc_options_destroy(options);

    silent = false;
    producer = kit_producer(client, NULL, "name", "kept", "outbox", directory, NULL);
    assert_int_equal(truc_producer_sequence(producer, topic, &next), TRUC_OK);
    assert_int_equal(next, 1000);
    kit_publish(producer, topic, 1000, 1200, 100, 0);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    kit_assert_stored(broker, topic, 1200);
    truc_client_close(client);
    fake_broker_stop(broker);
    remove_directory(directory);
}

static truc_status judge_bad(void *context, const struct batch_view *batch)
{
    (void)context;
    return memmem(batch->stored.data, batch->stored.size, "the-bad-one", 11) != NULL ? TRUC_BAD_RECORD : TRUC_OK;
}

static void outbox_stays_small_and_forgets_the_refused(void **state)
{
    char directory[] = "/tmp/truc-outbox-XXXXXX", name[64];
    struct fake_broker *broker = fake_broker_start();
    struct ledger *ledger = ledger_create();
    truc_client *client = kit_client(broker->url, NULL);
    truc_producer *producer;
    struct stat status;
    uint64_t next = 0;

    (void)state;
    assert_non_null(mkdtemp(directory));
    broker->judge = judge_bad;
    producer = kit_producer(client, ledger, "name", "small", "outbox", directory, "queue_bytes", "9000000", NULL);
    for (uint64_t round = 0; round < 20; round++) /* 20 x 1.6 MB through segments of 4 MiB */
        kit_publish(producer, topic, round * 400, (round + 1) * 400, 4000, 500);
    assert_int_equal(truc_flush(producer, WAIT_MS), TRUC_OK);
    assert_int_equal(ledger_count(ledger, TRUC_BAD_RECORD), 16);
    assert_int_equal(kit_stored(broker, topic, NULL, 0), 7984);
    assert_int_equal(truc_producer_close(producer, 0), TRUC_OK);
    (void)snprintf(name, sizeof name, "%s/0000000000000001.out", directory);
    assert_int_equal(stat(name, &status), -1);

    producer = kit_producer(client, ledger, "name", "small", "outbox", directory, NULL);
    assert_int_equal(truc_producer_sequence(producer, topic, &next), TRUC_OK);
    assert_int_equal(next, 7984);
    truc_client_close(client);
    fake_broker_stop(broker);
    ledger_destroy(ledger);
    remove_directory(directory);
}

static void outbox_torn_end_is_cut_and_damage_is_told(void **state)
{
    char directory[] = "/tmp/truc-outbox-XXXXXX", why[256] = "";
    struct outbox_identity identity = {.generation = 1, .owner = "a/b/c", .record_bytes_max = 1000};
    struct outbox_segment *segment = NULL;
    struct outbox *outbox = NULL;
    struct outbox_item item = {.kind = OUTBOX_RECORD, .topic = bytes_of_text("t.t"), .body = bytes_of_text("0123456789")};
    uint8_t synced[8] = {0xff, 0xff, 0xff, 0xff, 0xff};
    uint32_t second = 0;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(directory));
    fd = open(directory, O_RDONLY | O_DIRECTORY);
    assert_int_equal(outbox_segment_create(fd, 1, 1 << 20, &identity, &segment), TRUC_OK);
    for (uint64_t i = 0; i < 3; i++) {
        item.sequence = i;
        second = i == 1 ? segment->used : second;
        outbox_segment_append(segment, &item);
    }
    segment->map[second + 30] ^= 1;
    outbox_segment_close(segment);
    assert_int_equal(outbox_open(directory, &identity, 1 << 24, &outbox, why, sizeof why), TRUC_OK);
    assert_int_equal(outbox_end(outbox), UINT64_C(1) << 32 | second);
    outbox_close(outbox);

    assert_int_equal(outbox_segment_open(fd, 1, &segment, &identity), TRUC_OK);
    segment->used = second;
    for (uint64_t i = 1; i < 3; i++) {
        item.sequence = i;
        outbox_segment_append(segment, &item);
    }
    item = (struct outbox_item){.kind = OUTBOX_ACKED, .sequence = 1, .topic = item.topic, .body = bytes_of(synced, 8)};
    outbox_segment_append(segment, &item);
    segment->map[second + 30] ^= 1; /* behind it stands that the disk had it */
    outbox_segment_close(segment);
    assert_int_equal(outbox_open(directory, &identity, 1 << 24, &outbox, why, sizeof why), TRUC_DAMAGED);
    assert_non_null(strstr(why, "damaged"));
    (void)close(fd);
    remove_directory(directory);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_items_add_up),
        cmocka_unit_test(replay_begins_in_the_middle),
        cmocka_unit_test(outbox_keeps_what_was_not_acknowledged),
        cmocka_unit_test(outbox_stays_small_and_forgets_the_refused),
        cmocka_unit_test(outbox_torn_end_is_cut_and_damage_is_told),
        cmocka_unit_test(outbox_killed_producer_loses_and_doubles_nothing),
    };

    if (argc == 4)
        return produce(argv[1], argv[2], strtoull(argv[3], NULL, 10));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
