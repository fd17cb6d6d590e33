/* fuzz_main.c: runs a fuzz target over files, or all files of folders, without libFuzzer: the kept corpus as a regression test. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz_check.h"

static size_t run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    long length = ftell(file);
    size_t size = length > 0 ? (size_t)length : 0;
    uint8_t *data = malloc(size == 0 ? 1 : size); /* exact, so that a sanitizer sees what is read beyond */
    rewind(file);
    if (data == NULL || fread(data, 1, size, file) != size) {
        perror(path);
        exit(1);
    }
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static size_t run(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    size_t count = 0;

    if (folder == NULL)
        return run_file(path);
    while ((entry = readdir(folder)) != NULL) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        count += run_file(name);
    }
    (void)closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++)
        count += run(argv[i]);
    printf("%zu inputs\n", count);
    return count == 0; /* an empty corpus tests nothing */
}
