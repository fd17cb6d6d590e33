#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void line_read(const char *line, struct ledger_past *past)
{
    char kind, topic[256];
    uint64_t first, second, offset;
    if (sscanf(line, "%c %255s %" SCNu64, &kind, topic, &first) == 3 && (kind == 'Q' || kind == 'A' || kind == 'D')) {
        size_t at = ledger_topic_index(topic);
        if (at < TOPIC_COUNT) {
            uint64_t *highest = kind == 'Q' ? &past->accepted[at] : &past->acknowledged[at];
            *highest = first + 1 > *highest ? first + 1 : *highest;
        }
    } else if (sscanf(line, "S %" SCNu64 " %" SCNu64 " %255s %" SCNu64, &first, &second, topic, &offset) == 4) {
        past->seen = true;
        past->seen_position = first;
    }
}

int ledger_open(const char *path, struct ledger_past *ret_past)
{
    *ret_past = (struct ledger_past){0};
    FILE *file = fopen(path, "re");
    char line[512];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strchr(line, '\n') != NULL) /* else a kill cut it short */
            line_read(line, ret_past);
    }
    if (file != NULL)
        fclose(file);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        fprintf(stderr, "ledger: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    static const char start[] = "\n# start\n";
    ledger_write(fd, start, sizeof start - 1, false);
    return fd;
}

void ledger_write(int fd, const char *text, size_t size, bool durable)
{
    if (write(fd, text, size) != (ssize_t)size || (durable && fdatasync(fd) != 0)) {
        fprintf(stderr, "ledger: cannot write: %s\n", strerror(errno));
        _exit(2);
    }
}

void ledger_error(int fd, const char *format, ...)
{
    char text[700], line[720];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int size = snprintf(line, sizeof line, "E %s\n", text);
    fputs(line, stderr);
    ledger_write(fd, line, (size_t)size, true);
}
