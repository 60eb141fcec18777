/* tocsin version: what was built, and with what. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <yaml.h>

#include "../base/checkpoint.h"
#include "command.h"
#include "shared/names.h"

int command_version(int argc, char **argv)
{
    const char *config_path;
    int first, rc;

    rc = command_options(argc, argv, "Prints the version.", "", NULL, 0,
                         &config_path, &first);
    if (rc >= 0) {
        return rc;
    }
    printf("tocsin %s\n", TOCSIN_VERSION);
    printf("stream schema %d, checkpoint format %d\n", TOCSIN_SCHEMA_VERSION,
           CHECKPOINT_VERSION);
    printf("hiredis %d.%d.%d, libyaml %s\n", HIREDIS_MAJOR, HIREDIS_MINOR,
           HIREDIS_PATCH, yaml_get_version_string());
    return EXIT_WELL;
}
