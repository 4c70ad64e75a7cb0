/*
 * The bar on a terminal, ten times a second:  [#######.............]  35 %   24.1 M references/s
 */
#include "replay.h"

#include <time.h>
#include <unistd.h>

#define BAR_WIDTH 40
#define DRAW_NS 100000000u

static uint64_t read_clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t replay_now_ns(void) { return read_clock_ns(CLOCK_MONOTONIC); }

uint64_t replay_processor_ns(void) { return read_clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

uint64_t replay_expected_references(const struct replay *replay)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < replay->program_count; i++) {
        const struct trace_summary *summary = trace_summary(replay->programs[i].trace);
        if (summary == NULL)
            return 0;
        sum += summary->reference_count;
    }
    return sum;
}

void replay_progress_begin(struct replay_progress *progress)
{
    progress->is_shown = isatty(STDERR_FILENO) != 0;
    progress->begun_ns = replay_now_ns();
    progress->drawn_ns = progress->begun_ns;
}

static void draw_bar(double share)
{
    char bar[BAR_WIDTH + 1];
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < (int)(share * BAR_WIDTH) ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %3.0f %%", bar, share * 100);
}

void replay_progress_draw(struct replay_progress *progress, const struct replay *replay)
{
    if (!progress->is_shown)
        return;
    uint64_t now = replay_now_ns();
    if (now - progress->drawn_ns < DRAW_NS)
        return;
    progress->drawn_ns = now;
    uint64_t expected = replay_expected_references(replay);
    double count = (double)replay->reference_count;
    if (expected != 0)
        draw_bar(count / (double)expected);
    else
        fprintf(stderr, "\r%14.0f references", count);
    fprintf(stderr, "  %6.1f M references/s ", count * 1e3 / (double)(now - progress->begun_ns));
}

void replay_progress_end(struct replay_progress *progress)
{
    if (progress->is_shown)
        fputs("\r\033[K", stderr);
}
