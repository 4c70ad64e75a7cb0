/*
 * ntmm-bench: arguments, and the subjects in order.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct subject {
    const char *name;
    void (*run)(struct bench *b);
};

static const struct subject subjects[] = {
    {"tlb", bench_tlb},           {"faults", bench_faults},
    {"regions", bench_regions},   {"pages", bench_single_pages},
    {"sections", bench_sections}, {"paging", bench_paging},
    {"replay", bench_replay},     {"metadata", bench_metadata},
    {"snapshot", bench_snapshot}, {"scaling", bench_scaling},
    {"wine", bench_wine},
};

static const char usage[] =
    "usage: ntmm-bench [OPTION...] [SUBJECT...]\n"
    "\n"
    "  --json FILE    the report as JSON too\n"
    "  --rounds N     rounds of each figure, 1..31 (9)\n"
    "  --ntmm FILE    the ntmm command (the one beside this program)\n"
    "  --traces DIR   folder of the binary traces (the repository's)\n"
    "  --disk DIR     folder of the files that pages are written to (this program's)\n"
    "  --wine FILE    Wine, to compare with (none)\n"
    "  --smoke        as little as shows that it runs; the figures mean nothing\n"
    "\n"
    "Subjects: tlb faults regions pages sections paging replay metadata snapshot scaling\n"
    "wine; all by default. A bar that is missed is reported and is no error.\n";

static int refuse(const char *argument)
{
    fprintf(stderr, "ntmm-bench: %s: not understood\n%s", argument, usage);
    return 2;
}

/* FILE in the folder of this program. */
static char *beside(const char *program, const char *file)
{
    const char *slash = strrchr(program, '/');
    size_t folder = slash ? (size_t)(slash - program) + 1 : 0;
    char *path = bench_allocate(folder + strlen(file) + 1, 1);
    memcpy(path, program, folder);
    memcpy(path + folder, file, strlen(file) + 1);
    return path;
}

static const struct subject *subject_named(const char *name)
{
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        if (strcmp(subjects[i].name, name) == 0)
            return &subjects[i];
    }
    return NULL;
}

/* Takes the option at arguments[i]; returns how many arguments it was, 0: not understood. */
static int take_option(struct bench *b, const char **json_path, char **arguments, int i)
{
    const char *value = arguments[i + 1];
    if (strcmp(arguments[i], "--smoke") == 0) {
        b->is_smoke = true;
        b->rounds = 1;
        return 1;
    }
    if (value == NULL)
        return 0;
    if (strcmp(arguments[i], "--json") == 0) {
        *json_path = value;
    } else if (strcmp(arguments[i], "--ntmm") == 0) {
        b->ntmm_path = value;
    } else if (strcmp(arguments[i], "--traces") == 0) {
        b->trace_path = value;
    } else if (strcmp(arguments[i], "--disk") == 0) {
        b->disk_path = value;
    } else if (strcmp(arguments[i], "--wine") == 0) {
        b->wine_path = value;
    } else if (strcmp(arguments[i], "--rounds") == 0) {
        b->rounds = (uint32_t)strtoul(value, NULL, 10);
        return b->rounds >= 1 && b->rounds <= BENCH_ROUNDS_MAX ? 2 : 0;
    } else {
        return 0;
    }
    return 2;
}

int main(int count, char **arguments)
{
    struct bench *b = bench_allocate(1, sizeof *b);
    char *command = beside(arguments[0], "ntmm");
    char *folder = beside(arguments[0], ".");
    char *program = beside(arguments[0], "operations.exe");
    const char *json_path = NULL;
    bool is_wanted[sizeof subjects / sizeof *subjects] = {false};
    bool is_any = false;

    b->rounds = 9;
    b->ntmm_path = command;
    b->trace_path = BENCH_TRACES;
    b->disk_path = folder;
    b->operations_path = program;
    for (int i = 1, taken; i < count; i += taken) {
        const struct subject *subject = subject_named(arguments[i]);
        if (strcmp(arguments[i], "-h") == 0 || strcmp(arguments[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        taken = subject ? 1 : take_option(b, &json_path, arguments, i);
        if (taken == 0)
            return refuse(arguments[i]);
        if (subject)
            is_any = is_wanted[subject - subjects] = true;
    }
    bench_pin(b);
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        if (!is_any || is_wanted[i])
            subjects[i].run(b);
    }
    bench_print(b);
    bool is_written = json_path == NULL || bench_write_json(b, json_path);
    if (!is_written)
        fprintf(stderr, "ntmm-bench: %s: cannot write\n", json_path);
    free(command);
    free(folder);
    free(program);
    free(b);
    return is_written ? 0 : 1;
}
