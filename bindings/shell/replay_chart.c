/*
 * Working sets over time: a row a program, time to the right, eight levels.
 *
 *   samples    64..128 of each program, one an interval of references
 *   full       neighbours become their mean, the interval doubles
 *   columns    the mean of the samples that fall into one; all rows have one scale
 *
 * Looking at a process may wait for its lock, so the numbers of all are taken first and entered
 * then, by whoever comes first when two processors do it at once.
 */
#include "replay.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>

#define FIRST_INTERVAL 4096u
#define COLUMNS 60u
#define LEVELS 8u

void replay_chart_begin(struct replay *replay)
{
    replay->chart = (struct replay_chart){FIRST_INTERVAL, FIRST_INTERVAL, 0};
}

static void halve(struct replay *replay)
{
    replay->chart.count /= 2;
    replay->chart.interval *= 2;
    for (uint32_t i = 0; i < replay->program_count; i++) {
        uint64_t *samples = replay->programs[i].samples;
        for (uint32_t j = 0; j < replay->chart.count; j++)
            samples[j] = (samples[2 * j] + samples[2 * j + 1]) / 2;
    }
}

/* Enters what was seen; a slice may be longer than an interval, and then counts for several. */
static void enter(struct replay *replay)
{
    struct replay_chart *chart = &replay->chart;
    while (replay->reference_count >= chart->next_at) {
        if (chart->count == REPLAY_SAMPLES)
            halve(replay);
        for (uint32_t i = 0; i < replay->program_count; i++)
            replay->programs[i].samples[chart->count] = replay->programs[i].working_set_now;
        chart->count++;
        chart->next_at += chart->interval;
    }
}

void replay_chart_sample(struct replay *replay)
{
    struct ntmm_process_information information;
    if (replay->reference_count < replay->chart.next_at)
        return;
    for (uint32_t i = 0; i < replay->program_count; i++) {
        struct replay_program *program = &replay->programs[i];
        if (NTMM_SUCCEEDED(ntmm_query_process(replay->system, program->process, &information)))
            program->working_set_now = information.working_set_pages;
    }
    enter(replay);
}

/* --- drawing --- */

static bool is_utf8(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    bool is_it = locale != (locale_t)0 && strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
    if (locale != (locale_t)0)
        freelocale(locale);
    return is_it;
}

static uint64_t column_of(const struct replay_program *program, uint32_t count, uint32_t column)
{
    uint32_t first = column * count / COLUMNS;
    uint32_t end = (column + 1) * count / COLUMNS;
    uint64_t sum = 0;
    if (end <= first)
        end = first + 1;
    for (uint32_t i = first; i < end; i++)
        sum += program->samples[i];
    return sum / (end - first);
}

static uint64_t highest_of(const struct replay *replay)
{
    uint64_t highest = 1;
    for (uint32_t i = 0; i < replay->program_count; i++)
        for (uint32_t j = 0; j < replay->chart.count; j++)
            if (replay->programs[i].samples[j] > highest)
                highest = replay->programs[i].samples[j];
    return highest;
}

/* 0: nothing; 1..LEVELS, rounded up so that one page shows. */
static uint32_t level_of(uint64_t pages, uint64_t highest)
{
    uint64_t level = (pages * LEVELS + highest - 1) / highest;
    return level < LEVELS ? (uint32_t)level : LEVELS;
}

void replay_print_chart(const struct replay *replay, FILE *out)
{
    static const char *const blocks[LEVELS + 1] = {" ",
                                                   "\xe2\x96\x81",
                                                   "\xe2\x96\x82",
                                                   "\xe2\x96\x83",
                                                   "\xe2\x96\x84",
                                                   "\xe2\x96\x85",
                                                   "\xe2\x96\x86",
                                                   "\xe2\x96\x87",
                                                   "\xe2\x96\x88"};
    static const char *const plain[LEVELS + 1] = {" ", ".", ":", "-", "=", "+", "*", "%", "#"};
    const char *const *levels = is_utf8() ? blocks : plain;
    uint64_t highest = highest_of(replay);
    int width = replay_name_width(replay);
    struct shell_digits digits;
    struct replay_program_name name;
    if (replay->chart.count < 2)
        return;
    fprintf(out, "\nworking sets over time, full height %s pages\n",
            shell_group_digits(highest, &digits));
    for (uint32_t i = 0; i < replay->program_count; i++) {
        const struct replay_program *program = &replay->programs[i];
        fprintf(out, "%-*s |", width, replay_short_name(program, &name));
        for (uint32_t column = 0; column < COLUMNS; column++)
            fputs(levels[level_of(column_of(program, replay->chart.count, column), highest)], out);
        fprintf(out, "| peak %s\n",
                shell_group_digits(program->end.peak_working_set_pages, &digits));
    }
}
