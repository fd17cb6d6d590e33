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

#include "clients/cli/cli.h"
#include "proto/limits.h"

extern char **environ;

enum { VARIABLES = 9, VARIABLE_BYTES = 320, SIGNAL_EXIT = 128, READ_BYTES = 64 * 1024 };

/* The environment with the record's variables in front, where they are found first. */
struct surroundings {
    char texts[VARIABLES][VARIABLE_BYTES];
    char **pointers;
};

static truc_status id_variable(char text[VARIABLE_BYTES], truc_text id)
{
    struct out printed;
    out_init(&printed, -1);
    cli_id_print(&printed, bytes_of(id.data, id.size));
    truc_status status = printed.status;
    if (status == TRUC_OK) {
        snprintf(text, VARIABLE_BYTES, "TRUC_ID=%.*s", (int)printed.size, printed.size > 0 ? printed.data : "");
    }
    out_fini(&printed);
    return status;
}

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
    return id_variable(surroundings->texts[8], record->id);
}

/* What is connected to the command: its end as a descriptor, and our ends of the pipes to its standard streams; -1: none. */
struct running {
    pid_t pid;
    int ended, input, output;
    const truc_job *job;
    const uint8_t *data; /* what is left of the payload */
    size_t size;
    const struct command_beat *beat; /* NULL: none */
    struct out *collected;           /* NULL: its output is ours */
    bool too_much;
};

/* Starts the shell with these standard streams; output -1: ours. 0 or an errno. */
static int start(const char *command, int input, int output, char **environment, pid_t *ret_pid)
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
    error = error != 0 || output < 0 ? error : posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    error = error != 0 ? error : posix_spawnattr_setsigdefault(&attributes, &ignored);
    error = error != 0 ? error : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    error = error != 0 ? error : posix_spawn(ret_pid, shell, &actions, &attributes, argv, environment);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void close_one(int *descriptor)
{
    if (*descriptor >= 0) {
        (void)close(*descriptor);
    }
    *descriptor = -1;
}

/* Feeds what is left of the payload. Closes the pipe when that was all, or when nobody wants it. */
static void feed(struct running *running)
{
    ssize_t written = running->size > 0 ? write(running->input, running->data, running->size) : 0;
    if (written > 0) {
        running->data += written;
        running->size -= (size_t)written;
    }
    if (running->size == 0 || (written < 0 && errno != EAGAIN && errno != EINTR)) {
        close_one(&running->input);
    }
}

/* Takes what the pipe holds. Closes it at its end, and when it is too much. False: there is nothing more for now. */
static bool collect(struct running *running)
{
    char *room = out_room(running->collected, READ_BYTES);
    ssize_t count = room == NULL ? 0 : read(running->output, room, READ_BYTES);
    if (count > 0) {
        running->collected->size += (size_t)count;
        running->too_much = running->collected->size > RECORD_BYTES_MAX;
    }
    if (count == 0 || running->too_much || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        close_one(&running->output);
    }
    return count > 0 && !running->too_much;
}

/* Feeds it, takes its output and waits for its end, with the beat. 0 or an errno. */
static int attend(struct running *running)
{
    int interval_ms = running->beat != NULL && running->beat->interval_ms > 0 ? running->beat->interval_ms : -1;
    for (;;) {
        struct pollfd fds[3] = {{.fd = running->ended, .events = POLLIN},
                                {.fd = running->input, .events = POLLOUT},
                                {.fd = running->output, .events = POLLIN}};
        int ready = poll(fds, 3, interval_ms);
        if (ready < 0 && errno != EINTR) {
            return errno;
        }
        if (ready == 0) {
            running->beat->beat(running->beat->context);
        }
        if (ready > 0 && fds[0].revents != 0) {
            break;
        }
        if (ready > 0 && fds[1].revents != 0) {
            feed(running);
        }
        if (ready > 0 && fds[2].revents != 0) {
            (void)collect(running);
        }
    }
    while (running->output >= 0 && collect(running)) { /* a process that it left behind may hold the pipe: not to its end */
    }
    return 0;
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

/* A pipe whose end `ours` (0 or 1) does not block. 0 or an errno. */
static int open_pipe(int ends[2], int ours)
{
    return pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[ours], F_SETFL, O_NONBLOCK) != 0 ? errno : 0;
}

/* 0 or an errno. */
static int run(const char *command, struct running *running, char **environment, int *ret_exit)
{
    int input[2] = {-1, -1}, output[2] = {-1, -1};
    int error = open_pipe(input, 1);
    if (error == 0 && running->collected != NULL) {
        error = open_pipe(output, 0);
    }
    if (error == 0) {
        error = start(command, input[0], output[1], environment, &running->pid);
    }
    close_one(&input[0]);
    close_one(&output[1]);
    running->input = input[1];
    running->output = output[0];
    if (error == 0) {
        running->ended = pidfd_open(running->pid, 0);
        error = running->ended < 0 ? errno : attend(running);
    }
    close_one(&running->input); /* before it is waited for: nothing must keep it from its end */
    close_one(&running->output);
    if (running->pid > 0) {
        int waited = wait_for(running->pid, ret_exit);
        error = error != 0 ? error : waited;
    }
    close_one(&running->ended);
    return error;
}

static truc_status run_record(const char *command, struct running *running, int *ret_exit)
{
    struct surroundings surroundings = {.pointers = NULL};
    truc_status status = surround(&surroundings, running->job);
    int error = 0;
    if (status == TRUC_OK) {
        running->pid = running->ended = running->input = running->output = -1;
        running->data = running->job->message->record.data;
        running->size = running->job->message->record.data_size;
        error = run(command, running, surroundings.pointers, ret_exit);
        status = error == 0 ? TRUC_OK : TRUC_IO;
    }
    free(surroundings.pointers);
    errno = error;
    return status;
}

truc_status command_run(const char *command, const truc_job *job, const struct command_beat *beat, int *ret_exit)
{
    struct running running = {.job = job, .beat = beat};
    return run_record(command, &running, ret_exit);
}

truc_status command_reply(const char *command, const truc_job *job, struct out *output, int *ret_exit)
{
    struct running running = {.job = job, .collected = output};
    truc_status status = run_record(command, &running, ret_exit);
    if (status == TRUC_OK && running.too_much) {
        return TRUC_RECORD_TOO_LARGE;
    }
    return status == TRUC_OK ? output->status : status;
}
