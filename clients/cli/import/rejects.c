#include "clients/cli/import/rejects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/cli/import/bounds.h"

struct rejects {
    struct cli_context *context;
    struct progress *progress;
    const char *path, *input_path;
    struct out out; /* descriptor -1: there is no file */
    uint64_t count;
    bool started; /* the heading is written */
};

enum { BUFFER_BYTES = 256 * 1024 };

/* Opens without emptying first: it might be the file that is imported. */
static truc_status open_file(const char *path, const char *input_path, int *ret_descriptor, struct failure *failure)
{
    struct stat input, output;
    int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0 || fstat(descriptor, &output) != 0) {
        (void)failure_set(failure, TRUC_IO, "--rejects %s: %s", path, strerror(errno));
    } else if (stat(input_path, &input) == 0 && input.st_dev == output.st_dev && input.st_ino == output.st_ino) {
        (void)failure_set(failure, TRUC_USAGE, "--rejects %s is the file to be imported", path);
    } else if (S_ISREG(output.st_mode) && ftruncate(descriptor, 0) != 0) {
        (void)failure_set(failure, TRUC_IO, "--rejects %s: %s", path, strerror(errno));
    } else {
        *ret_descriptor = descriptor;
        return TRUC_OK;
    }
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
    return failure->status;
}

truc_status rejects_open(struct cli_context *context, struct progress *progress, const char *path, const char *input_path,
                         struct rejects **ret_rejects, struct failure *failure)
{
    struct rejects *rejects = calloc(1, sizeof *rejects);
    if (rejects == NULL) {
        return failure_set(failure, TRUC_NO_MEMORY, "while opening the rejects file");
    }
    int descriptor = -1;
    if (path != NULL && open_file(path, input_path, &descriptor, failure) != TRUC_OK) {
        free(rejects);
        return failure->status;
    }
    out_init(&rejects->out, descriptor);
    rejects->context = context;
    rejects->progress = progress;
    rejects->path = path;
    rejects->input_path = input_path;
    *ret_rejects = rejects;
    return TRUC_OK;
}

truc_status rejects_close(struct rejects *rejects, struct failure *failure)
{
    if (rejects == NULL) {
        return TRUC_OK;
    }
    truc_status status = TRUC_OK;
    if (rejects->out.descriptor >= 0) {
        status = out_flush(&rejects->out);
        if (status != TRUC_OK) {
            status = failure_set(failure, TRUC_IO, "--rejects %s: %s", rejects->path, strerror(rejects->out.error));
        }
        if (close(rejects->out.descriptor) != 0 && status == TRUC_OK) {
            status = failure_set(failure, TRUC_IO, "--rejects %s: %s", rejects->path, strerror(errno));
        }
    }
    out_fini(&rejects->out);
    free(rejects);
    return status;
}

static void write_raw(struct rejects *rejects, struct bytes raw)
{
    if (rejects->out.descriptor < 0) {
        return;
    }
    out_bytes(&rejects->out, raw.data, raw.size);
    if (rejects->out.size > BUFFER_BYTES) {
        (void)out_flush(&rejects->out); /* a failure sticks and is told at the end */
    }
}

void rejects_add(struct rejects *rejects, struct bytes heading, uint64_t line, const char *why, struct bytes raw)
{
    rejects->count++;
    if (rejects->count <= IMPORT_REJECTS_SHOWN) {
        progress_clear(rejects->progress);
        cli_note(rejects->context, "%s:%llu: %s", rejects->input_path, (unsigned long long)line, why);
    }
    if (!rejects->started) {
        rejects->started = true;
        write_raw(rejects, heading);
    }
    write_raw(rejects, raw);
    if (raw.size > 0 && raw.data[raw.size - 1] != '\n' && raw.size <= IMPORT_ROW_BYTES_MAX) { /* the file's last line */
        write_raw(rejects, bytes_of("\n", 1));
    }
}

void rejects_more(struct rejects *rejects, struct bytes raw)
{
    write_raw(rejects, raw);
}

uint64_t rejects_count(const struct rejects *rejects)
{
    return rejects->count;
}

void rejects_sum_up(struct rejects *rejects)
{
    if (rejects->count > IMPORT_REJECTS_SHOWN) {
        cli_note(rejects->context, "... and %llu more bad rows", (unsigned long long)(rejects->count - IMPORT_REJECTS_SHOWN));
    }
}
