#include "broker/net/task_threads.h"

#include <dirent.h>
#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELD_MAX = 256 };

struct task_threads {
    pthread_mutex_t mutex;
    pthread_cond_t released;
    bool release;
    unsigned count;
    nng_aio *aios[HELD_MAX];
};

/* Two owners would hold each other's last threads. */
static atomic_bool owned;

/* How many threads of this process run NNG's tasks, by their names; 0 when that cannot be told. */
static unsigned count_task_threads(void)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    if (tasks == NULL) {
        return 0;
    }
    while ((entry = readdir(tasks)) != NULL) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *comm = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (comm != NULL) {
            count += fgets(name, sizeof name, comm) != NULL && strcmp(name, "nng:task\n") == 0;
            fclose(comm);
        }
    }
    closedir(tasks);
    return count;
}

static void hold(void *context)
{
    struct task_threads *threads = context;
    pthread_mutex_lock(&threads->mutex);
    while (!threads->release) {
        pthread_cond_wait(&threads->released, &threads->mutex);
    }
    pthread_mutex_unlock(&threads->mutex);
}

struct task_threads *task_threads_hold(unsigned kept)
{
    unsigned running = count_task_threads();
    struct task_threads *threads = running > kept && kept > 0 ? calloc(1, sizeof *threads) : NULL;
    if (threads == NULL) {
        return NULL;
    }
    if (atomic_exchange(&owned, true)) {
        free(threads);
        return NULL;
    }
    pthread_mutex_init(&threads->mutex, NULL);
    pthread_cond_init(&threads->released, NULL);
    while (threads->count < running - kept && threads->count < HELD_MAX &&
           nng_aio_alloc(&threads->aios[threads->count], hold, threads) == 0) {
        nng_sleep_aio(0, threads->aios[threads->count++]); /* its end is what calls hold, on a task thread of its own */
    }
    return threads;
}

void task_threads_release(struct task_threads *threads)
{
    if (threads == NULL) {
        return;
    }
    pthread_mutex_lock(&threads->mutex);
    threads->release = true;
    pthread_cond_broadcast(&threads->released);
    pthread_mutex_unlock(&threads->mutex);
    for (unsigned i = 0; i < threads->count; i++) {
        nng_aio_free(threads->aios[i]); /* waits for the callback */
    }
    pthread_cond_destroy(&threads->released);
    pthread_mutex_destroy(&threads->mutex);
    free(threads);
    atomic_store(&owned, false);
}
