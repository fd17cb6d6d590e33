/* ministry_mirror.c: an ordered subscription kept as a file: every record once, in order, whatever crashes.
 *
 *     ministry_mirror URL SUBSCRIPTION PATTERN FILE RECORDS
 *
 * FILE holds a line per record. Its first line names the record that was taken last, and both are replaced together, by a rename:
 * so the mirror knows by itself what it has, and a record that comes again after a crash is passed over. The broker's place is only
 * moved behind what is safely here. A database does the same with a row for the place in the transaction of the data. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <truc.h>

enum { RECORDS_AT_ONCE = 500 }; /* of one replacement */

struct mirror {
    const char *path;
    char *lines; /* the data, without the first line */
    size_t size, capacity;
    bool any;
    unsigned long long position, index; /* of the last record in it */
    unsigned long taken;                /* by this run */
};

static int fail(const char *what, truc_status status, const char *why)
{
    (void)fprintf(stderr, "ministry_mirror: %s: %s; %s\n", what, why != NULL && why[0] != '\0' ? why : truc_status_text(status),
                  truc_status_next(status));
    return (int)status;
}

static bool append(struct mirror *mirror, const void *data, size_t size)
{
    if (mirror->size + size > mirror->capacity) {
        size_t capacity = 2 * (mirror->size + size);
        char *lines = realloc(mirror->lines, capacity);

        if (lines == NULL)
            return false;
        mirror->lines = lines;
        mirror->capacity = capacity;
    }
    if (size > 0)
        memcpy(mirror->lines + mirror->size, data, size);
    mirror->size += size;
    return true;
}

static bool load(struct mirror *mirror)
{
    FILE *file = fopen(mirror->path, "r");
    char chunk[65536];
    size_t size;
    bool good;

    if (file == NULL)
        return errno == ENOENT; /* the first time */
    good = fgets(chunk, sizeof chunk, file) != NULL && sscanf(chunk, "taken %llu.%llu", &mirror->position, &mirror->index) == 2;
    mirror->any = good;
    while (good && (size = fread(chunk, 1, sizeof chunk, file)) > 0)
        good = append(mirror, chunk, size);
    good = good && ferror(file) == 0;
    (void)fclose(file);
    return good;
}

/* The old file or the new one, never a part: written beside it, flushed, renamed. */
static bool save(const struct mirror *mirror)
{
    char path[4096];
    FILE *file;
    bool good;

    if (snprintf(path, sizeof path, "%s.new", mirror->path) >= (int)sizeof path)
        return false;
    file = fopen(path, "w");
    if (file == NULL)
        return false;
    good = fprintf(file, "taken %llu.%llu\n", mirror->position, mirror->index) > 0 &&
           fwrite(mirror->lines, 1, mirror->size, file) == mirror->size && fflush(file) == 0 && fsync(fileno(file)) == 0;
    good = fclose(file) == 0 && good;
    return good && rename(path, mirror->path) == 0;
}

/* False: no memory. A record that is here already is passed over. */
static bool take(struct mirror *mirror, const truc_message *message)
{
    if (mirror->any &&
        (message->position < mirror->position || (message->position == mirror->position && message->index <= mirror->index)))
        return true;
    if (!append(mirror, message->record.data, message->record.data_size) || !append(mirror, "\n", 1))
        return false;
    mirror->any = true;
    mirror->position = message->position;
    mirror->index = message->index;
    mirror->taken++;
    return true;
}

/* Takes what comes until it took `target` records, saves now and then, and acknowledges only what was saved. */
static truc_status follow(struct mirror *mirror, truc_worker *worker, unsigned long target)
{
    const truc_job *job = NULL;
    unsigned long unsaved = 0;
    uint64_t last = 0;
    truc_status status = TRUC_OK;

    while (mirror->taken < target || unsaved > 0) {
        status = mirror->taken < target ? truc_worker_pull(worker, 1000, &job) : TRUC_TIMED_OUT;
        if (status == TRUC_OK) {
            if (!take(mirror, job->message))
                return TRUC_NO_MEMORY;
            last = job->lease;
            unsaved++;
        } else if (status != TRUC_TIMED_OUT) {
            return status;
        }
        if (unsaved > 0 && (unsaved == RECORDS_AT_ONCE || status == TRUC_TIMED_OUT)) {
            if (!save(mirror))
                return TRUC_IO;
            /* This record and all before it. Lost with a connection it only means that they come again. */
            (void)truc_ack(worker, last);
            unsaved = 0;
        }
    }
    return TRUC_OK;
}

static truc_status create(truc_client *client, const char *name, const char *pattern)
{
    truc_options *options = NULL;
    char *why = NULL;
    truc_status status = truc_options_create(&options);

    if (status == TRUC_OK)
        status = truc_options_set(options, "pattern", pattern);
    if (status == TRUC_OK)
        status = truc_options_set(options, "mode", "ordered");
    if (status == TRUC_OK)
        status = truc_options_set(options, "start", "start");
    if (status == TRUC_OK)
        status = truc_subscription_create(client, name, options, &why);
    if (status != TRUC_OK)
        (void)fail("subscription", status, why != NULL ? why : truc_options_error(options));
    truc_free(why);
    truc_options_destroy(options);
    return status;
}

int main(int argc, char **argv)
{
    struct mirror mirror = {0};
    truc_options *options = NULL;
    truc_client *client = NULL;
    truc_worker *worker = NULL;
    char *why = NULL;
    truc_status status;

    if (argc != 6) {
        (void)fprintf(stderr, "usage: ministry_mirror URL SUBSCRIPTION PATTERN FILE RECORDS\n");
        return TRUC_USAGE;
    }
    mirror.path = argv[4];
    if (!load(&mirror))
        return fail(argv[4], TRUC_IO, "it cannot be read as a mirror");
    status = truc_options_create(&options);
    if (status == TRUC_OK)
        status = truc_options_set(options, "url", argv[1]);
    if (status != TRUC_OK)
        return fail("options", status, truc_options_error(options));
    status = truc_client_open(options, &client, &why);
    if (status != TRUC_OK)
        return fail("connect", status, why);
    status = create(client, argv[2], argv[3]);
    if (status == TRUC_OK && (status = truc_worker_open(client, argv[2], NULL, NULL, NULL, NULL, NULL, &worker, &why)) != TRUC_OK)
        (void)fail("worker", status, why);
    if (status == TRUC_OK && (status = follow(&mirror, worker, strtoul(argv[5], NULL, 10))) != TRUC_OK)
        (void)fail("mirror", status, NULL);
    (void)truc_worker_close(worker, 10000);
    (void)fprintf(stderr, "taken up to %llu.%llu\n", mirror.position, mirror.index);
    truc_free(why);
    truc_client_close(client);
    truc_options_destroy(options);
    free(mirror.lines);
    return (int)status;
}
