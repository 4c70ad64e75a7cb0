/*
 * The report of a replay, as text: what paging did.
 *
 *   faults      page_faults = zeroed + soft + hard + dirtied + the rare kinds; joined ones waited
 *               for a page that another fault was reading, and are counted again when it is there
 *   transfers   reads of hard faults and of page tables, writes of the modified page writer
 */
#include "replay.h"

#include <inttypes.h>

static const struct column {
    const char *title;
    int width;
} columns[] = {
    {"faults", 10}, {"zeroed", 8}, {"soft", 9},     {"hard", 9},  {"joined", 7}, {"errors", 7},
    {"read", 9},    {"tables", 7}, {"trimmed", 10}, {"aged", 11}, {"set", 8},    {"peak", 8},
};

#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

struct row {
    uint64_t cells[COLUMN_COUNT];
};

static struct row row_of(const struct replay_program *program)
{
    const struct ntmm_process_information *end = &program->end;
    const uint64_t *counters = end->counters;
    return (struct row){{
        counters[NTMM_COUNTER_PAGE_FAULTS],
        counters[NTMM_COUNTER_DEMAND_ZERO_FAULTS],
        counters[NTMM_COUNTER_TRANSITION_FAULTS],
        counters[NTMM_COUNTER_HARD_FAULTS],
        counters[NTMM_COUNTER_COLLIDED_FAULTS],
        counters[NTMM_COUNTER_IN_PAGE_ERRORS],
        counters[NTMM_COUNTER_PAGES_READ],
        counters[NTMM_COUNTER_TABLE_READS],
        counters[NTMM_COUNTER_PAGES_TRIMMED],
        counters[NTMM_COUNTER_PAGES_AGED],
        end->working_set_pages,
        end->peak_working_set_pages,
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

static void print_programs(const struct replay *replay, FILE *out)
{
    struct row sum = {{0}};
    struct replay_program_name name;
    int width = replay_name_width(replay);
    fprintf(out, "\n%-*s", width, "paging");
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
    fputs("soft: transition; joined: met a page that was being read; read, tables: pages and page\n"
          "tables read for them; set, peak: working set at the end and at most\n",
          out);
}

/* "name   12,345 transfers of 4.31 pages" */
static void print_transfers(const char *name, uint64_t transfers, uint64_t pages, FILE *out)
{
    struct shell_digits many;
    struct shell_digits each;
    fprintf(out, "  %-8s %12s pages in %10s transfers, %6.2f pages each\n", name,
            shell_group_digits(pages, &many), shell_group_digits(transfers, &each),
            replay_mean(pages, transfers));
}

struct ntmm_paging_file_information replay_sum_files(const struct replay *replay)
{
    struct ntmm_paging_file_information sum = {0};
    for (uint32_t i = 0; i < replay->options.page_file_count; i++) {
        const struct ntmm_paging_file_information *file = &replay->page_files[i];
        sum.reads += file->reads;
        sum.pages_read += file->pages_read;
        sum.writes += file->writes;
        sum.pages_written += file->pages_written;
    }
    return sum;
}

static void print_count(uint64_t pages, const char *what, FILE *out)
{
    struct shell_digits digits;
    fprintf(out, "  %21s %s\n", shell_group_digits(pages, &digits), what);
}

static void print_transfers_of(const struct replay *replay, FILE *out)
{
    const uint64_t *counters = replay->counters;
    struct ntmm_paging_file_information sum = replay_sum_files(replay);
    fputs("\ntransfers\n", out);
    print_transfers("read", sum.reads, sum.pages_read, out);
    print_transfers("written", sum.writes, sum.pages_written, out);
    print_count(counters[NTMM_COUNTER_READ_AHEAD_PAGES], "pages read ahead", out);
    print_count(counters[NTMM_COUNTER_READ_AHEAD_HITS], "of them wanted while they were there",
                out);
    print_count(counters[NTMM_COUNTER_DUMMY_PAGES_READ],
                "resident neighbours, read into the dummy page", out);
    print_count(counters[NTMM_COUNTER_ZERO_PAGES_NOT_WRITTEN], "zero pages not written", out);
    print_count(counters[NTMM_COUNTER_PAGES_REPURPOSED], "standby pages taken", out);
}

static double mib_of(uint64_t pages) { return (double)pages / 256; }

static void print_files(const struct replay *replay, FILE *out)
{
    struct shell_digits read;
    struct shell_digits written;
    struct shell_digits bad;
    fprintf(out, "\n%-40s%10s%10s%10s%10s%8s%12s%12s\n", "page file", "size MiB", "at most", "used",
            "peak", "bad", "pages read", "written");
    for (uint32_t i = 0; i < replay->options.page_file_count; i++) {
        const struct ntmm_paging_file_information *file = &replay->page_files[i];
        const char *path = replay->options.page_files[i].path;
        fprintf(out, "%-40s%10.1f%10.1f%10.1f%10.1f%8s%12s%12s\n", path != NULL ? path : "memory",
                mib_of(file->size_pages), mib_of(file->maximum_pages), mib_of(file->used_pages),
                mib_of(file->peak_pages), shell_group_digits(file->bad_pages, &bad),
                shell_group_digits(file->pages_read, &read),
                shell_group_digits(file->pages_written, &written));
    }
}

void replay_print_paging(const struct replay *replay, FILE *out)
{
    print_programs(replay, out);
    print_transfers_of(replay, out);
    print_files(replay, out);
}
