#include "clients/cli/import/progress.h"

#include <stdio.h>
#include <time.h>

enum { BAR_WIDTH = 30, ROWS_PER_LOOK = 64 };

int64_t monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void progress_init(struct progress *progress, struct cli_context *context)
{
    *progress = (struct progress){.context = context, .active = context->talking && !context->globals.quiet};
}

void progress_show(struct progress *progress, const char *what, double done, uint64_t rows)
{
    if (!progress->active || ++progress->skipped < ROWS_PER_LOOK) {
        return;
    }
    progress->skipped = 0;
    int64_t now = monotonic_ns();
    if (now < progress->next_ns) {
        return;
    }
    progress->next_ns = now + 100000000;
    char bar[BAR_WIDTH + 1];
    int filled = (int)(done * BAR_WIDTH);
    for (int i = 0; i < BAR_WIDTH; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[BAR_WIDTH] = '\0';
    (void)fprintf(stderr, "\r%-8s [%s] %3d%%  %llu rows ", what, bar, (int)(done * 100), (unsigned long long)rows);
    progress->drawn = true;
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn) {
        (void)fprintf(stderr, "\r\033[K");
        progress->drawn = false;
    }
}
