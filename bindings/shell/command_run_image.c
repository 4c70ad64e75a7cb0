/*
 * `ntmm run-image`: its command line.
 */
#include "run_image.h"

#include <getopt.h>

void help_for_run_image(FILE *out)
{
    fputs(
        "usage: ntmm run-image [OPTION...] FILE.exe|FILE.dll\n"
        "\n"
        "Makes a process of an emulated machine, 64-bit or WoW64 as the file says, maps the file\n"
        "as an image and, recursively, the DLLs that it imports, and prints its address space:\n"
        "modules and what was not found, each region with its protection, type, commit, module\n"
        "and section, and totals. Nothing is executed: no entry point is called, no import is\n"
        "bound, and delay-loaded DLLs are not loaded.\n"
        "\n"
        "DLLs are looked for in the folder of FILE, then in each --dll-path; names are compared\n"
        "without case.\n"
        "\n"
        "  --dll-path DIR  another folder to look in; may be repeated\n"
        "  --ram SIZE      memory of the machine, as 64M or 1G; default 256M\n"
        "  --seed N        of where modules and the stack go; default 1\n"
        "  --json FILE     write the report as JSON too; - for standard output\n",
        out);
}

static int take_option(int option, const char *argument, struct run_options *options)
{
    switch (option) {
    case 'd':
        if (options->folder_count == RUN_FOLDERS_MAX)
            return shell_refuse("--dll-path %s: more than %u folders", argument, RUN_FOLDERS_MAX);
        options->folders[options->folder_count++] = argument;
        return SHELL_OK;
    default:
        return image_take_option(option, argument, &options->common);
    }
}

static int run(const struct run_options *options)
{
    struct run_image image;
    struct shell_error error;
    bool is_loaded = run_begin(&image, options, &error);
    bool is_good = is_loaded && run_write_json(&image, &error);
    if (is_good)
        run_print(&image, image_text_output(options->common.json_path));
    int status = run_end(&image);
    return image_finish(is_good, status, &error);
}

int command_run_image(int argc, char **argv)
{
    static const struct option choices[] = {
        {"dll-path", required_argument, NULL, 'd'}, {"ram", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},     {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    struct run_options options = {.common = {.ram_bytes = 256u << 20, .seed = 1}};
    int option;
    while ((option = getopt_long(argc, argv, "", choices, NULL)) != -1) {
        if (option == 'h') {
            help_for_run_image(stdout);
            return shell_finish_output();
        }
        int status = take_option(option, optarg, &options);
        if (status != SHELL_OK)
            return status;
    }
    if (argc - optind != 1)
        return shell_refuse("run-image needs one FILE; see `ntmm help run-image`");
    options.common.path = argv[optind];
    return run(&options);
}
