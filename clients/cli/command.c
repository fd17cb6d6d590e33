#include "clients/cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { VARIABLES = 8, VARIABLE_BYTES = 320, SIGNAL_EXIT = 128 };

/* The environment with the record's variables in front, where they are found first. */
struct surroundings {
    char texts[VARIABLES][VARIABLE_BYTES];
    char **pointers;
};

static truc_status surround(struct surroundings *surroundings, const truc_job *job)
{
    const truc_message *message = job->message;
    const truc_record *record = &message->record;
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    surroundings->pointers = calloc(count + VARIABLES + 1, sizeof *surroundings->pointers);
    if (surroundings->pointers == NULL) {
        return TRUC_NO_MEMORY;
    }
    snprintf(surroundings->texts[0], VARIABLE_BYTES, "TRUC_TOPIC=%s", message->topic);
    snprintf(surroundings->texts[1], VARIABLE_BYTES, "TRUC_POSITION=%" PRIu64, message->position);
    snprintf(surroundings->texts[2], VARIABLE_BYTES, "TRUC_OFFSET=%" PRIu64, message->offset);
    snprintf(surroundings->texts[3], VARIABLE_BYTES, "TRUC_ATTEMPT=%" PRIu32, job->attempt);
    snprintf(surroundings->texts[4], VARIABLE_BYTES, "TRUC_KEY=%.*s", (int)record->key.size,
             record->key.size > 0 ? record->key.data : "");
    snprintf(surroundings->texts[5], VARIABLE_BYTES, "TRUC_TYPE=%.*s", (int)record->type.size,
             record->type.size > 0 ? record->type.data : "");
    snprintf(surroundings->texts[6], VARIABLE_BYTES, "TRUC_RECORD_SOURCE=%s/%s", message->source, message->system);
    snprintf(surroundings->texts[7], VARIABLE_BYTES, "TRUC_RECALLED=%d", job->recalled ? 1 : 0);
    for (size_t i = 0; i < VARIABLES; i++) {
        surroundings->pointers[i] = surroundings->texts[i];
    }
    memcpy(surroundings->pointers + VARIABLES, environ, count * sizeof *environ);
    return TRUC_OK;
}

/* Starts the shell with `input` as its standard input. */
static int start(const char *command, int input, char **environment, pid_t *ret_pid)
{
    char shell[] = "/bin/sh", dash_c[] = "-c";
    char *argv[] = {shell, dash_c, (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t ignored; /* by us, and not by it */
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        return error;
    }
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    error = error != 0 ? error : posix_spawnattr_setsigdefault(&attributes, &ignored);
    error = error != 0 ? error : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    error = error != 0 ? error : posix_spawn(ret_pid, shell, &actions, &attributes, argv, environment);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Feeds what is left of the payload. Closes the pipe when that was all, or when nobody wants it. */
static void feed(int *output, const uint8_t **data, size_t *size)
{
    ssize_t written = *size > 0 ? write(*output, *data, *size) : 0;
    if (written > 0) {
        *data += written;
        *size -= (size_t)written;
    }
    if (*size == 0 || (written < 0 && errno != EAGAIN && errno != EINTR)) {
        (void)close(*output);
        *output = -1;
    }
}

/* Feeds it and waits for its end, with the beat. 0 or an errno. */
static int attend(int ended, int *output, const truc_job *job, const struct command_beat *beat)
{
    const uint8_t *data = job->message->record.data;
    size_t size = job->message->record.data_size;
    for (;;) {
        struct pollfd fds[2] = {{.fd = ended, .events = POLLIN}, {.fd = *output, .events = POLLOUT}};
        int ready = poll(fds, 2, beat->interval_ms > 0 ? beat->interval_ms : -1);
        if (ready < 0 && errno != EINTR) {
            return errno;
        }
        if (ready == 0) {
            beat->beat(beat->context);
        }
        if (ready > 0 && fds[0].revents != 0) {
            return 0;
        }
        if (ready > 0 && fds[1].revents != 0) {
            feed(output, &data, &size);
        }
    }
}

static int wait_for(pid_t pid, int *ret_exit)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    *ret_exit = WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_EXIT + WTERMSIG(status);
    return 0;
}

truc_status command_run(const char *command, const truc_job *job, const struct command_beat *beat, int *ret_exit)
{
    struct surroundings surroundings = {.pointers = NULL};
    int ends[2] = {-1, -1}, ended = -1, error = 0;
    pid_t pid = -1;
    truc_status status = surround(&surroundings, job);
    if (status != TRUC_OK) {
        return status;
    }
    if (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) {
        error = errno;
        goto done;
    }
    error = start(command, ends[0], surroundings.pointers, &pid);
    (void)close(ends[0]);
    ends[0] = -1;
    if (error != 0) {
        goto done;
    }
    ended = pidfd_open(pid, 0);
    error = ended < 0 ? errno : attend(ended, &ends[1], job, beat);
    if (ends[1] >= 0) {
        (void)close(ends[1]);
        ends[1] = -1;
    }
    int waited = wait_for(pid, ret_exit);
    error = error != 0 ? error : waited;
done:
    for (size_t i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            (void)close(ends[i]);
        }
    }
    if (ended >= 0) {
        (void)close(ended);
    }
    free(surroundings.pointers);
    errno = error;
    return error == 0 ? TRUC_OK : TRUC_IO;
}
