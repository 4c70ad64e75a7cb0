/*
 * `ntmm replay`: its command line.
 */
#include "command_replay.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

void help_for_replay(FILE *out)
{
    fputs("usage: ntmm replay [OPTION...] TRACE...\n"
          "\n"
          "Runs the memory references of programs through the memory manager on an emulated\n"
          "x86-64 processor, each trace in a process of its own, all in one system, and reports.\n"
          "TRACE is a binary trace (.ntt) or valgrind's lackey text, plain or zstd-compressed;\n"
          "- is standard input.\n"
          "\n"
          "  --ram SIZE    memory of the machine, as 64M or 1G; default: what the traces need\n"
          "  --seed N      order in which the programs take turns; default 1\n"
          "  --verify      check every byte read against a record kept outside\n"
          "  --json FILE   write the report as JSON too; - for standard output\n"
          "  --explain [INDEX:]VA\n"
          "                print everything known of address VA (hex) of trace INDEX (0, 1, ...)\n"
          "                at the end: region, page-table entries, frame, list, owner; may be\n"
          "                repeated\n"
          "  --corrupt-reference N\n"
          "                a test of --verify: flip a bit in RAM after N references; the replay\n"
          "                must then end with status 1\n",
          out);
}

FILE *replay_text_output(const struct replay_options *options)
{
    bool is_taken = options->json_path != NULL && strcmp(options->json_path, "-") == 0;
    return is_taken ? stderr : stdout;
}

static int parse_ram(const char *text, uint64_t *bytes)
{
    if (!shell_parse_size(text, bytes))
        return shell_refuse("--ram %s: not a size such as 64M or 1G", text);
    if (*bytes == 0 || *bytes % NTMM_PAGE_SIZE != 0)
        return shell_refuse("--ram %s: not a positive multiple of 4 KiB", text);
    return SHELL_OK;
}

static int parse_explain(const char *text, struct replay_options *options)
{
    if (options->explain_count == REPLAY_EXPLAIN_MAX)
        return shell_refuse("--explain %s: more than %u addresses", text, REPLAY_EXPLAIN_MAX);
    struct replay_address *what = &options->explain[options->explain_count++];
    const char *colon = strchr(text, ':');
    const char *digits = colon != NULL ? colon + 1 : text;
    char *end;
    unsigned long index = colon != NULL ? strtoul(text, &end, 10) : 0;
    bool is_good = colon == NULL || (end == colon && end != text && index < UINT32_MAX);
    what->program = (uint32_t)index;
    what->address = strtoull(digits, &end, 16);
    is_good = is_good && *digits != '\0' && *digits != '-' && *end == '\0';
    return is_good ? SHELL_OK
                   : shell_refuse("--explain %s: not a hexadecimal address, with INDEX: or without",
                                  text);
}

static int check_options(const struct replay_options *options, char **names, int count)
{
    int inputs = 0;
    for (int i = 0; i < count; i++)
        inputs += strcmp(names[i], "-") == 0;
    if (count == 0)
        return shell_refuse("replay needs a TRACE; see `ntmm help replay`");
    if (inputs > 1)
        return shell_refuse("-: standard input can be only one of the traces");
    if (options->corrupt_reference != UINT64_MAX && !options->is_verified)
        return shell_refuse("--corrupt-reference makes sense only with --verify");
    for (uint32_t i = 0; i < options->explain_count; i++)
        if (options->explain[i].program >= (uint32_t)count)
            return shell_refuse("--explain %u:...: there are only %d traces",
                                options->explain[i].program, count);
    return SHELL_OK;
}

static int take_option(int option, const char *argument, struct replay_options *options)
{
    switch (option) {
    case 'r':
        return parse_ram(argument, &options->ram_bytes);
    case 's':
        return shell_parse_number(argument, &options->seed)
                   ? SHELL_OK
                   : shell_refuse("--seed %s: not a number", argument);
    case 'v':
        options->is_verified = true;
        return SHELL_OK;
    case 'j':
        options->json_path = argument;
        return SHELL_OK;
    case 'e':
        return parse_explain(argument, options);
    case 'c':
        return shell_parse_number(argument, &options->corrupt_reference)
                   ? SHELL_OK
                   : shell_refuse("--corrupt-reference %s: not a number", argument);
    default:
        return SHELL_USAGE;
    }
}

int command_replay(int argc, char **argv)
{
    static const struct option choices[] = {
        {"ram", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},
        {"verify", no_argument, NULL, 'v'},
        {"json", required_argument, NULL, 'j'},
        {"explain", required_argument, NULL, 'e'},
        {"corrupt-reference", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct replay_options options = {.seed = 1, .corrupt_reference = UINT64_MAX};
    int option;
    while ((option = getopt_long(argc, argv, "", choices, NULL)) != -1) {
        if (option == 'h') {
            help_for_replay(stdout);
            return shell_finish_output();
        }
        int status = take_option(option, optarg, &options);
        if (status != SHELL_OK)
            return status;
    }
    int status = check_options(&options, argv + optind, argc - optind);
    return status == SHELL_OK ? replay_traces(&options, argv + optind, (uint32_t)(argc - optind))
                              : status;
}
