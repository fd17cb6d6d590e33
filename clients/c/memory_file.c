#include "clients/c/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 256 };

static bool parse_hex(const char *text, uint8_t ret_id[16])
{
    for (size_t i = 0; i < 16; i++) {
        unsigned byte;
        int taken = 0;

        if (sscanf(text + 2 * i, "%2x%n", &byte, &taken) != 1 || taken != 2)
            return false;
        ret_id[i] = (uint8_t)byte;
    }
    return true;
}

truc_status memory_file_read(const char *path, truc_log_place *ret_place, bool *ret_found)
{
    truc_log_place place = {0};
    char line[LINE_BYTES_MAX + 1], hex[33];
    size_t size;
    int end = 0;
    bool failed;
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        if (errno != ENOENT)
            return TRUC_IO;
        *ret_found = false;
        return TRUC_OK;
    }
    size = fread(line, 1, LINE_BYTES_MAX, file);
    failed = ferror(file) != 0;
    (void)fclose(file);
    if (failed)
        return TRUC_IO;
    line[size] = '\0';
    if (sscanf(line, "truc-memory-v1 log_id=%32[0-9a-f] generation=%" SCNu64 " position=%" SCNu64 " index=%" SCNu32 "%n", hex,
               &place.generation, &place.position, &place.index, &end) != 4 ||
        strlen(hex) != 32 || line[end] != '\n' || !parse_hex(hex, place.log_id))
        return TRUC_INVALID_ARGUMENT;
    *ret_place = place;
    *ret_found = true;
    return TRUC_OK;
}

/* Makes a rename last: the directory that holds path is flushed. */
static bool flush_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash == NULL ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    int fd = directory == NULL ? -1 : open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        (void)close(fd);
    free(directory);
    return done;
}

truc_status memory_file_write(const char *path, const truc_log_place *place)
{
    truc_status status = TRUC_IO;
    size_t size = strlen(path) + 8;
    char *fresh = malloc(size);
    char line[LINE_BYTES_MAX], hex[33];
    int length;
    int fd = -1;

    if (fresh == NULL)
        return TRUC_NO_MEMORY;
    (void)snprintf(fresh, size, "%s.new", path);
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", place->log_id[i]);
    length = snprintf(line, sizeof line, "truc-memory-v1 log_id=%s generation=%" PRIu64 " position=%" PRIu64 " index=%" PRIu32 "\n",
                      hex, place->generation, place->position, place->index);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, (size_t)length) != length || fdatasync(fd) != 0)
        goto done;
    if (rename(fresh, path) == 0 && flush_directory(path))
        status = TRUC_OK;
done:
    if (fd >= 0)
        (void)close(fd);
    free(fresh);
    return status;
}
