/* replay FILE|DIRECTORY...: runs one fuzz target over inputs that are kept. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned inputs;

static void replay_file(const char *path)
{
    FILE *from = fopen(path, "rb");
    struct stat info;
    char *data;
    size_t len;

    if (from == NULL || fstat(fileno(from), &info) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    data = malloc((size_t)info.st_size + 1);
    MUST(data != NULL);
    len = fread(data, 1, (size_t)info.st_size, from);
    fclose(from);
    MUST(len == (size_t)info.st_size);
    /* of exactly that size: the heap's guards are right behind it */
    {
        char *exact = fuzz_copy(tocsin_span_of(data, len));

        free(data);
        LLVMFuzzerTestOneInput((const uint8_t *)exact, len);
        free(exact);
    }
    inputs++;
}

static void replay_directory(const char *path, DIR *directory)
{
    struct dirent *entry;
    char name[4096];

    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        replay_file(name);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);

        if (directory == NULL) {
            replay_file(argv[i]);
        } else {
            replay_directory(argv[i], directory);
            closedir(directory);
        }
    }
    if (inputs == 0) {
        fprintf(stderr, "%s: no inputs\n", argv[0]);
        return 1;
    }
    printf("%s: %u inputs\n", argv[0], inputs);
    return 0;
}
