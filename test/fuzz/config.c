/*
 * tocsin.yaml. A file is taken or refused with a place and words; what was
 * taken is taken again to the same.
 */
#include "sidecar/config/config.h"
#include "fuzz.h"

static void differs(void *ctx, const char *path)
{
    (void)ctx;
    fprintf(stderr, "%s differs\n", path);
    abort();
}

/* The text that they are read from is always the same: once is enough. */
static const struct config *defaults(void)
{
    static struct config one, two;
    struct err err = {0};

    if (one.series_max == 0) {
        memset(&one, 0x11, sizeof(one));
        memset(&two, 0xee, sizeof(two));
        MUST(config_load(NULL, &one, &err) == 0);
        MUST(config_load(NULL, &two, &err) == 0);
        config_compare(&one, &two, differs, NULL);
    }
    return &one;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config one, two;
    struct err err = {0};

    one = *defaults();
    if (config_parse_over("fuzz", (const char *)data, size, &one, &err) != 0) {
        MUST(err.code != ERR_NONE && err.message[0] != '\0');
        return 0;
    }
    two = *defaults();
    MUST(config_parse_over("fuzz", (const char *)data, size, &two, &err) == 0);
    config_compare(&one, &two, differs, NULL);
    return 0;
}
