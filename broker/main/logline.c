#include "broker/main/logline.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *name, *level, *text;
} table[LOGLINE_EVENTS] = {
#define LOGLINE_EVENT(name, level, text) {#name, #level, text},
#include "broker/main/logline.def"
#undef LOGLINE_EVENT
};

static struct {
    int64_t second;
    unsigned count;
    uint64_t suppressed;
} rates[LOGLINE_EVENTS];
static pthread_mutex_t rates_mutex = PTHREAD_MUTEX_INITIALIZER;

const char *logline_event_name(enum logline_event event)
{
    return table[event].name;
}
const char *logline_event_level(enum logline_event event)
{
    return table[event].level;
}
const char *logline_event_text(enum logline_event event)
{
    return table[event].text;
}

static void put(struct logline *line, const char *text, size_t size)
{
    size_t room = LOGLINE_BYTES_MAX - 1 - line->size; /* one byte is the newline's */
    size = size < room ? size : room;
    memcpy(line->text + line->size, text, size);
    line->size += size;
}

static void put_text(struct logline *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Whether the event may be written now; *ret_suppressed: how many were not since the last one that was. */
static bool admit(enum logline_event event, int64_t second, uint64_t *ret_suppressed)
{
    bool admitted = true;
    pthread_mutex_lock(&rates_mutex);
    if (rates[event].second != second) {
        rates[event].second = second;
        rates[event].count = 0;
    }
    *ret_suppressed = 0;
    if (++rates[event].count > LOGLINE_PER_SECOND_MAX) {
        rates[event].suppressed++;
        admitted = false;
    } else {
        *ret_suppressed = rates[event].suppressed;
        rates[event].suppressed = 0;
    }
    pthread_mutex_unlock(&rates_mutex);
    return admitted;
}

void logline_begin(struct logline *line, enum logline_event event)
{
    struct timespec now;
    struct tm utc;
    char stamp[64];
    uint64_t suppressed;
    clock_gettime(CLOCK_REALTIME, &now);
    line->size = 0;
    line->muted = !admit(event, now.tv_sec, &suppressed);
    gmtime_r(&now.tv_sec, &utc);
    size_t size = strftime(stamp, sizeof stamp, "ts=%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp + size, sizeof stamp - size, ".%03ldZ", now.tv_nsec / 1000000);
    put_text(line, stamp);
    put_text(line, " level=");
    put_text(line, table[event].level);
    put_text(line, " event=");
    put_text(line, table[event].name);
    if (suppressed > 0) {
        logline_number(line, "suppressed", suppressed);
    }
}

static void put_key(struct logline *line, const char *key)
{
    put_text(line, " ");
    put_text(line, key);
    put_text(line, "=");
}

static bool is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("._:/+-[]@%", c) != NULL);
}

static void put_escaped(struct logline *line, unsigned char c)
{
    char escaped[8];
    if (c == '"' || c == '\\') {
        snprintf(escaped, sizeof escaped, "\\%c", c);
    } else if (c == '\n') {
        snprintf(escaped, sizeof escaped, "\\n");
    } else if (c < 0x20 || c == 0x7f) {
        snprintf(escaped, sizeof escaped, "\\x%02x", c);
    } else { /* UTF-8 passes */
        put(line, (const char *)&c, 1);
        return;
    }
    put_text(line, escaped);
}

void logline_bytes(struct logline *line, const char *key, const void *value, size_t size)
{
    const unsigned char *bytes = value;
    bool plain = size > 0;
    for (size_t i = 0; i < size && plain; i++) {
        plain = is_plain(bytes[i]);
    }
    put_key(line, key);
    if (plain) {
        put(line, value, size);
        return;
    }
    put_text(line, "\"");
    /* A long value is cut so that its closing quote still fits. */
    for (size_t i = 0; i < size && line->size < LOGLINE_BYTES_MAX - 16; i++) {
        put_escaped(line, bytes[i]);
    }
    put_text(line, "\"");
}

void logline_text(struct logline *line, const char *key, const char *value)
{
    logline_bytes(line, key, value, strlen(value));
}

void logline_hex(struct logline *line, const char *key, const uint8_t *value, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    put_key(line, key);
    for (size_t i = 0; i < size; i++) {
        char pair[2] = {digits[value[i] >> 4], digits[value[i] & 15]};
        put(line, pair, 2);
    }
}

void logline_number(struct logline *line, const char *key, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    put_key(line, key);
    put_text(line, digits);
}

void logline_end(struct logline *line)
{
    if (line->muted) {
        return;
    }
    line->text[line->size++] = '\n';
    /* If nobody can read the log, there is nobody to tell. */
    ssize_t written = write(STDERR_FILENO, line->text, line->size);
    (void)written;
}
