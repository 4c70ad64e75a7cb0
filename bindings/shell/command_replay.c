/*
 * `ntmm replay`: its command line.
 */
#include "command_replay.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define RAM_PARTS_MAX 1000000u
#define WORKING_SET_MAX (1u << 30)
#define LATENCY_MAX 1000000u

void help_for_replay(FILE *out)
{
    fputs(
        "usage: ntmm replay [OPTION...] TRACE...\n"
        "\n"
        "Runs the memory references of programs through the memory manager on an emulated\n"
        "x86-64 machine, each trace in a process of its own, all in one system, and reports.\n"
        "TRACE is a binary trace (.ntt) or valgrind's lackey text, plain or zstd-compressed;\n"
        "- is standard input.\n"
        "\n"
        "  --ram SIZE    memory of the machine, as 64M or 1G; default: what the traces need.\n"
        "                A part such as 1/4: so much of the pages that the traces touch and\n"
        "                of their page tables, beside what the memory manager keeps for itself\n"
        "  --pagefile PATH:INITIAL[:MAX]\n"
        "                a page file on the host, created or overwritten, as\n"
        "                swap:64M or swap:16M:64M; memory:SIZE is one in memory; may be\n"
        "                repeated, up to 16 times\n"
        "  --read-ahead N|off\n"
        "                most pages that a hard fault reads, 1 to 16; off is 1; default 8\n"
        "  --zeros-need-no-slot\n"
        "                pages that hold only zeros are not written\n"
        "  --latency MIN[:MAX]\n"
        "                moments between the start of a transfer and its end, drawn from the\n"
        "                seed; default 1:8\n"
        "  --minimum N, --maximum N\n"
        "                working set of each process, pages\n"
        "  --processes N run each trace in N processes at once; default 1\n"
        "  --cpus N      processors that run programs at the same time, in an interleaving\n"
        "                drawn from the seed; default: one, that is switched between slices\n"
        "  --seed N      order in which the programs take turns; default 1\n"
        "  --verify      check every byte read against a record kept outside\n"
        "  --json FILE   write the report as JSON too; - for standard output\n"
        "  --explain [INDEX:]VA\n"
        "                print everything known of address VA (hex) of process INDEX (0, 1, ...:\n"
        "                the processes of the first trace, then those of the next) at the end:\n"
        "                region, page-table entries, frame, list, owner; may be repeated\n"
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

/* A part such as 1/4. */
static bool parse_part(const char *text, const char *slash, struct replay_ram *ram)
{
    char parts[24];
    size_t length = (size_t)(slash - text);
    if (length >= sizeof parts)
        return false;
    memcpy(parts, text, length);
    parts[length] = '\0';
    return shell_parse_number(parts, &ram->parts) &&
           shell_parse_number(slash + 1, &ram->of_parts) && ram->parts != 0 && ram->of_parts != 0 &&
           ram->parts <= RAM_PARTS_MAX && ram->of_parts <= RAM_PARTS_MAX;
}

static int parse_ram(const char *text, struct replay_ram *ram)
{
    const char *slash = strchr(text, '/');
    *ram = (struct replay_ram){0};
    if (slash != NULL)
        return parse_part(text, slash, ram)
                   ? SHELL_OK
                   : shell_refuse("--ram %s: not a part such as 1/4, of numbers up to %u", text,
                                  RAM_PARTS_MAX);
    if (!shell_parse_size(text, &ram->bytes))
        return shell_refuse("--ram %s: not a size such as 64M or 1G", text);
    if (ram->bytes == 0 || ram->bytes % NTMM_PAGE_SIZE != 0)
        return shell_refuse("--ram %s: not a positive multiple of 4 KiB", text);
    return SHELL_OK;
}

/* Cuts "...:SIZE" off the end of a text. */
static bool cut_size(char *text, uint64_t *bytes)
{
    char *colon = strrchr(text, ':');
    if (colon == NULL || !shell_parse_size(colon + 1, bytes))
        return false;
    *colon = '\0';
    return true;
}

static int check_page_file(const struct replay_page_file *file, const char *whole)
{
    if ((file->initial_bytes | file->maximum_bytes) % NTMM_PAGE_SIZE != 0)
        return shell_refuse("--pagefile %s: not a multiple of 4 KiB", whole);
    if (file->initial_bytes < NTMM_PAGING_FILE_MINIMUM_BYTES)
        return shell_refuse("--pagefile %s: a page file has at least 1M", whole);
    if (file->maximum_bytes < file->initial_bytes)
        return shell_refuse("--pagefile %s: the maximum is below the initial size", whole);
    if (file->maximum_bytes / NTMM_PAGE_SIZE > NTMM_PAGING_FILE_MAXIMUM_PAGES)
        return shell_refuse("--pagefile %s: a page file has at most 16T", whole);
    return SHELL_OK;
}

/* The path stays in the argument, which is cut at its end. */
static int parse_page_file(char *text, struct replay_options *options)
{
    char whole[256];
    uint64_t first;
    uint64_t last;
    if (options->page_file_count == NTMM_PAGING_FILES_MAXIMUM)
        return shell_refuse("--pagefile %s: more than %u page files", text,
                            NTMM_PAGING_FILES_MAXIMUM);
    struct replay_page_file *file = &options->page_files[options->page_file_count++];
    snprintf(whole, sizeof whole, "%s", text);
    bool has_size = cut_size(text, &last);
    if (!has_size || text[0] == '\0')
        return shell_refuse("--pagefile %s: not PATH:INITIAL[:MAX] with sizes such as 64M", whole);
    bool has_both = cut_size(text, &first);
    if (text[0] == '\0')
        return shell_refuse("--pagefile %s: no path before the sizes", whole);
    file->path = strcmp(text, "memory") != 0 ? text : NULL;
    file->initial_bytes = has_both ? first : last;
    file->maximum_bytes = last;
    return check_page_file(file, whole);
}

/* MIN or MIN:MAX */
static int parse_latency(const char *text, struct replay_options *options)
{
    char copy[48];
    uint64_t minimum;
    uint64_t maximum;
    snprintf(copy, sizeof copy, "%s", text);
    char *colon = strchr(copy, ':');
    if (colon != NULL)
        *colon = '\0';
    bool is_good = shell_parse_number(copy, &minimum) &&
                   shell_parse_number(colon != NULL ? colon + 1 : copy, &maximum) && minimum >= 1 &&
                   minimum <= maximum && maximum <= LATENCY_MAX;
    if (!is_good)
        return shell_refuse("--latency %s: not MIN or MIN:MAX with 1 <= MIN <= MAX <= %u", text,
                            LATENCY_MAX);
    options->minimum_latency_pumps = (uint32_t)minimum;
    options->maximum_latency_pumps = (uint32_t)maximum;
    return SHELL_OK;
}

/* A number of lowest..highest. */
static int parse_count(const char *option, const char *text, uint64_t lowest, uint64_t highest,
                       uint64_t *number)
{
    if (shell_parse_number(text, number) && *number >= lowest && *number <= highest)
        return SHELL_OK;
    return shell_refuse("--%s %s: not a number from %llu to %llu", option, text,
                        (unsigned long long)lowest, (unsigned long long)highest);
}

static int parse_small(const char *option, const char *text, uint32_t highest, uint32_t *number)
{
    uint64_t wide = 0;
    int status = parse_count(option, text, 1, highest, &wide);
    *number = (uint32_t)wide;
    return status;
}

static int parse_read_ahead(const char *text, struct replay_options *options)
{
    return parse_small("read-ahead", strcmp(text, "off") == 0 ? "1" : text,
                       NTMM_READ_CLUSTER_MAXIMUM, &options->read_cluster_pages);
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
    uint32_t inputs = 0;
    for (int i = 0; i < count; i++)
        inputs += strcmp(names[i], "-") == 0;
    if (count == 0)
        return shell_refuse("replay needs a TRACE; see `ntmm help replay`");
    if (inputs * options->process_count > 1)
        return shell_refuse("-: standard input can be only one of the traces, of one process");
    if (options->corrupt_reference != UINT64_MAX && !options->is_verified)
        return shell_refuse("--corrupt-reference makes sense only with --verify");
    if (options->working_set_maximum_pages != 0 &&
        options->working_set_maximum_pages < options->working_set_minimum_pages)
        return shell_refuse("--maximum is below --minimum");
    uint64_t programs = (uint64_t)count * options->process_count;
    for (uint32_t i = 0; i < options->explain_count; i++)
        if (options->explain[i].program >= programs)
            return shell_refuse("--explain %u:...: there are only %llu processes",
                                options->explain[i].program, (unsigned long long)programs);
    return SHELL_OK;
}

/* Options of the machine and of paging; SHELL_USAGE for another one. */
static int take_machine_option(int option, char *argument, struct replay_options *options)
{
    switch (option) {
    case 'r':
        return parse_ram(argument, &options->ram);
    case 'f':
        return parse_page_file(argument, options);
    case 'a':
        return parse_read_ahead(argument, options);
    case 'z':
        options->paging_flags |= NTMM_PAGING_ZEROS_NEED_NO_SLOT;
        return SHELL_OK;
    case 'l':
        return parse_latency(argument, options);
    case 'm':
        return parse_count("minimum", argument, 1, WORKING_SET_MAX,
                           &options->working_set_minimum_pages);
    case 'x':
        return parse_count("maximum", argument, 1, WORKING_SET_MAX,
                           &options->working_set_maximum_pages);
    case 'p':
        return parse_small("processes", argument, REPLAY_PROCESSES_MAX, &options->process_count);
    case 'n':
        return parse_small("cpus", argument, REPLAY_CPUS_MAX, &options->cpu_count);
    default:
        return SHELL_USAGE;
    }
}

static int take_option(int option, char *argument, struct replay_options *options)
{
    switch (option) {
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
        return take_machine_option(option, argument, options);
    }
}

int command_replay(int argc, char **argv)
{
    static const struct option choices[] = {
        {"ram", required_argument, NULL, 'r'},
        {"pagefile", required_argument, NULL, 'f'},
        {"read-ahead", required_argument, NULL, 'a'},
        {"zeros-need-no-slot", no_argument, NULL, 'z'},
        {"latency", required_argument, NULL, 'l'},
        {"minimum", required_argument, NULL, 'm'},
        {"maximum", required_argument, NULL, 'x'},
        {"processes", required_argument, NULL, 'p'},
        {"cpus", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},
        {"verify", no_argument, NULL, 'v'},
        {"json", required_argument, NULL, 'j'},
        {"explain", required_argument, NULL, 'e'},
        {"corrupt-reference", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct replay_options options = {
        .seed = 1, .corrupt_reference = UINT64_MAX, .process_count = 1};
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
