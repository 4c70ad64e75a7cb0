/*
 * `ntmm map`: its command line.
 */
#include "map.h"

#include <getopt.h>
#include <string.h>

void help_for_map(FILE *out)
{
    fputs(
        "usage: ntmm map [OPTION...] FILE\n"
        "\n"
        "Maps a file of the host, read-only, into a process of an emulated machine: as data and,\n"
        "when it is a PE file, as an image. Shows of each the subsections (which pages come from\n"
        "where in the file, which are zeros, what a write does), the regions that a query finds,\n"
        "and of an image what its headers say and where it went. Nothing is executed.\n"
        "\n"
        "  --pages       also each page: where it is, whose, its frame and prototype entry\n"
        "  --touch none|read|write\n"
        "                what happens to each page before: nothing, a read, or a read and a\n"
        "                write where the page allows one, which copies it; default read\n"
        "  --ram SIZE    memory of the machine, as 64M or 1G; default 64M\n"
        "  --seed N      of where images and views go; default 1\n"
        "  --json FILE   write the report as JSON too; - for standard output\n",
        out);
}

static bool parse_touch(const char *text, enum map_touch *touch)
{
    static const char *const names[] = {"none", "read", "write"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *touch = (enum map_touch)i;
            return true;
        }
    return false;
}

static int take_option(int option, const char *argument, struct map_options *options)
{
    switch (option) {
    case 'p':
        options->wants_pages = true;
        return SHELL_OK;
    case 't':
        return parse_touch(argument, &options->touch)
                   ? SHELL_OK
                   : shell_refuse("--touch %s: not none, read or write", argument);
    default:
        return image_take_option(option, argument, &options->common);
    }
}

static int run(const struct map_options *options)
{
    struct map map;
    struct shell_error error;
    bool is_mapped = map_begin(&map, options, &error);
    bool is_good = is_mapped && map_write_json(&map, &error);
    if (is_good)
        map_print(&map, image_text_output(options->common.json_path));
    int status = map_end(&map);
    return image_finish(is_good, status, &error);
}

int command_map(int argc, char **argv)
{
    static const struct option choices[] = {
        {"pages", no_argument, NULL, 'p'},
        {"touch", required_argument, NULL, 't'},
        {"ram", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},
        {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct map_options options = {.common = {.ram_bytes = 64u << 20, .seed = 1},
                                  .touch = MAP_TOUCH_READ};
    int option;
    while ((option = getopt_long(argc, argv, "", choices, NULL)) != -1) {
        if (option == 'h') {
            help_for_map(stdout);
            return shell_finish_output();
        }
        int status = take_option(option, optarg, &options);
        if (status != SHELL_OK)
            return status;
    }
    if (argc - optind != 1)
        return shell_refuse("map needs one FILE; see `ntmm help map`");
    options.common.path = argv[optind];
    return run(&options);
}
