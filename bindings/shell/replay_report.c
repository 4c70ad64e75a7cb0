/*
 * The report of a replay, as text.
 */
#include "replay.h"

#include <inttypes.h>
#include <string.h>

/* Widths of the columns behind the name. */
static const struct column {
    const char *title;
    int width;
} columns[] = {
    {"references", 14}, {"fetches", 13}, {"loads", 12}, {"stores", 12},
    {"modifies", 10},   {"faults", 9},   {"zeroed", 8}, {"dirtied", 8},
    {"pages", 8},       {"tables", 7},   {"commit", 8},
};

#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

struct row {
    uint64_t cells[COLUMN_COUNT];
};

static struct row row_of(const struct replay_program *program)
{
    const struct ntmm_process_information *end = &program->end;
    return (struct row){{
        program->reference_count,
        program->kind_count[TRACE_FETCH],
        program->kind_count[TRACE_LOAD],
        program->kind_count[TRACE_STORE],
        program->kind_count[TRACE_MODIFY],
        end->counters[NTMM_COUNTER_PAGE_FAULTS],
        end->counters[NTMM_COUNTER_DEMAND_ZERO_FAULTS],
        end->counters[NTMM_COUNTER_MAKE_DIRTY_FAULTS],
        end->working_set_pages,
        end->table_pages,
        end->commit_pages,
    }};
}

static void print_row(const char *name, int name_width, const struct row *row, FILE *out)
{
    struct shell_digits digits;
    fprintf(out, "%-*s", name_width, name);
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        fprintf(out, "%*s", columns[i].width, shell_group_digits(row->cells[i], &digits));
    fputc('\n', out);
}

const char *replay_short_name(const struct replay_program *program,
                              struct replay_program_name *name)
{
    const char *path = trace_name(program->trace);
    const char *slash = strrchr(path, '/');
    const char *last = slash != NULL && slash[1] != '\0' ? slash + 1 : path;
    if (program->copy != 0)
        snprintf(name->text, sizeof name->text, "%.50s #%" PRIu32, last, program->copy);
    else
        snprintf(name->text, sizeof name->text, "%.60s", last);
    return name->text;
}

int replay_name_width(const struct replay *replay)
{
    struct replay_program_name name;
    int width = 6;
    for (uint32_t i = 0; i < replay->program_count; i++) {
        int length = (int)strlen(replay_short_name(&replay->programs[i], &name));
        width = length > width ? length : width;
    }
    return width;
}

double replay_mean(uint64_t a, uint64_t b) { return b != 0 ? (double)a / (double)b : 0; }

static void print_programs(const struct replay *replay, FILE *out)
{
    struct row sum = {{0}};
    struct replay_program_name name;
    int width = replay_name_width(replay);
    fprintf(out, "%-*s", width, "trace");
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        fprintf(out, "%*s", columns[i].width, columns[i].title);
    fputc('\n', out);
    for (uint32_t i = 0; i < replay->program_count; i++) {
        struct row row = row_of(&replay->programs[i]);
        print_row(replay_short_name(&replay->programs[i], &name), width, &row, out);
        for (size_t j = 0; j < COLUMN_COUNT; j++)
            sum.cells[j] += row.cells[j];
    }
    print_row("all", width, &sum, out);
    fputs("faults of which zeroed: demand-zero, dirtied: make-dirty; pages: resident at the end\n",
          out);
}

static void print_pages(const char *name, uint64_t pages, uint64_t of_pages, FILE *out)
{
    struct shell_digits digits;
    fprintf(out, "  %-26s %12s pages %12.1f MiB", name, shell_group_digits(pages, &digits),
            (double)pages / 256);
    if (of_pages != 0)
        fprintf(out, " %7.2f %% of RAM", 100 * (double)pages / (double)of_pages);
    fputc('\n', out);
}

static void print_memory(const struct ntmm_memory_information *memory, FILE *out)
{
    uint64_t total = memory->total_pages;
    uint64_t standby = 0;
    for (unsigned i = 0; i < sizeof memory->standby_pages / sizeof memory->standby_pages[0]; i++)
        standby += memory->standby_pages[i];
    fprintf(out, "\nmemory after the last reference\n");
    print_pages("RAM", total, 0, out);
    print_pages("metadata", memory->metadata_pages, total, out);
    print_pages("slabs and processes", memory->slab_pages + memory->process_pages, total, out);
    print_pages("page file maps", memory->paging_pages, total, out);
    print_pages("page tables", memory->table_pages, total, out);
    print_pages("active", memory->active_pages, total, out);
    print_pages("standby", standby, total, out);
    print_pages("modified", memory->modified_pages, total, out);
    print_pages("zeroed and free", memory->zeroed_pages + memory->free_pages, total, out);
    print_pages("user pages, at most", memory->user_peak_pages, total, out);
    print_pages("commit charge", memory->commit_pages, 0, out);
    print_pages("commit peak", memory->commit_peak_pages, 0, out);
    print_pages("commit limit", memory->commit_limit_pages, 0, out);
}

static void print_counters(const struct replay *replay, FILE *out)
{
    struct shell_digits digits;
    fprintf(out, "\ncounters of the system\n");
    for (uint32_t i = 0; i < NTMM_COUNTER_COUNT; i++) {
        const struct ntmm_counter_description *row = ntmm_describe_counter(i);
        fprintf(out, "  %-26s %12s %s\n", row->name,
                shell_group_digits(replay->counters[i], &digits), row->unit);
    }
}

static void print_verdicts(const struct replay *replay, FILE *out)
{
    const struct ntmm_check_report *check = &replay->check;
    const struct ntmm_teardown *teardown = &replay->teardown;
    fputc('\n', out);
    if (check->invariant[0] == '\0')
        fputs("check      every invariant holds\n", out);
    else
        fprintf(out,
                "check      %s is broken: object 0x%" PRIx64 ", expected %" PRIu64
                ", found %" PRIu64 "\n",
                check->invariant, check->object, check->expected, check->found);
    if ((teardown->lost_pages | teardown->outstanding_commit | teardown->live_objects |
         teardown->processes_ended | teardown->waiters | teardown->transfers) == 0)
        fputs("tear-down  every frame and every charge came back\n", out);
    else
        fprintf(out,
                "tear-down  lost: %" PRIu64 " frames, %" PRIu64 " pages of commit, %" PRIu64
                " objects, %" PRIu64 " processes, %" PRIu64 " waiters, %" PRIu64 " transfers\n",
                teardown->lost_pages, teardown->outstanding_commit, teardown->live_objects,
                teardown->processes_ended, teardown->waiters, teardown->transfers);
}

static uint64_t rate_of(uint64_t references, uint64_t ns)
{
    return ns != 0 ? (uint64_t)((double)references * 1e9 / (double)ns) : 0;
}

static void print_speed(const struct replay *replay, FILE *out)
{
    struct shell_digits references;
    struct shell_digits rate;
    struct shell_digits processor_rate;
    uint64_t count = replay->reference_count;
    fprintf(out,
            "%s references of %" PRIu32 " %s%s in %.2f s: %s references/s (%s a second of one "
            "processor)\n\n",
            shell_group_digits(count, &references), replay->program_count,
            replay->program_count == 1 ? "program" : "programs",
            replay->options.is_verified ? ", every byte checked," : "",
            (double)replay->elapsed_ns / 1e9,
            shell_group_digits(rate_of(count, replay->elapsed_ns), &rate),
            shell_group_digits(rate_of(count, replay->processor_ns), &processor_rate));
}

void replay_print_report(const struct replay *replay, FILE *out)
{
    print_speed(replay, out);
    print_programs(replay, out);
    if (replay->options.page_file_count != 0)
        replay_print_paging(replay, out);
    replay_print_chart(replay, out);
    print_memory(&replay->memory, out);
    print_counters(replay, out);
    print_verdicts(replay, out);
}
