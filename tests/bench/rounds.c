/*
 * Figures: measured in interleaved rounds, so that what changes on the machine changes both sides.
 */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MORE_ROUNDS_NS 500000000u

struct bench_figure *bench_add(struct bench *b, const char *unit, const char *format, ...)
{
    bench_must(b->figure_count < BENCH_FIGURES_MAX, "too many figures");
    struct bench_figure *figure = &b->figures[b->figure_count++];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(figure->name, sizeof figure->name, format, arguments);
    va_end(arguments);
    figure->unit = unit;
    return figure;
}

void bench_bar(struct bench_figure *figure, enum bench_bar_kind kind, double bar)
{
    figure->bar_kind = kind;
    figure->bar = bar;
}

void bench_note(struct bench_figure *figure, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(figure->note, sizeof figure->note, format, arguments);
    va_end(arguments);
}

static void keep(struct bench_samples *samples, double value)
{
    if (samples->count < BENCH_ROUNDS_MAX)
        samples->values[samples->count++] = value;
}

/* Short rounds are repeated as often as we can keep them. */
static bool is_worth_more(const struct bench *b, uint32_t done, uint64_t begin_ns)
{
    return !b->is_smoke && done < BENCH_ROUNDS_MAX && bench_clock_ns() - begin_ns < MORE_ROUNDS_NS;
}

void bench_run(struct bench *b, struct bench_figure *figure, bench_round ours,
               const char *host_name, bench_round host, void *context)
{
    fprintf(stderr, "%s\n", figure->name);
    snprintf(figure->host_name, sizeof figure->host_name, "%s", host_name ? host_name : "");
    ours(context);
    if (host)
        host(context);
    uint64_t begin = bench_clock_ns();
    for (uint32_t i = 0; i < b->rounds || is_worth_more(b, i, begin); i++) {
        if (host)
            keep(&figure->host, host(context));
        keep(&figure->ours, ours(context));
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which `part` of the samples lie. */
static double quantile(const struct bench_samples *samples, double part)
{
    double sorted[BENCH_ROUNDS_MAX];
    if (samples->count == 0)
        return 0;
    memcpy(sorted, samples->values, samples->count * sizeof *sorted);
    qsort(sorted, samples->count, sizeof *sorted, compare);
    double at = part * (samples->count - 1);
    uint32_t below = (uint32_t)at;
    uint32_t above = below + 1 < samples->count ? below + 1 : below;
    return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

double bench_median(const struct bench_samples *samples) { return quantile(samples, 0.5); }

double bench_best(const struct bench_figure *figure, const struct bench_samples *samples)
{
    bool is_speed = figure->bar_kind == BAR_AT_LEAST || figure->bar_kind == BAR_RATIO_AT_LEAST;
    return quantile(samples, is_speed ? 1 : 0);
}

double bench_spread(const struct bench_figure *figure, const struct bench_samples *samples)
{
    double best = bench_best(figure, samples);
    double distance = bench_median(samples) - best;
    return best > 0 ? (distance < 0 ? -distance : distance) / best : 0;
}

/* What slows the machine for a while slows both sides of a round. */
static double paired_ratio(const struct bench_figure *figure)
{
    struct bench_samples ratios = {.count = figure->ours.count};
    for (uint32_t i = 0; i < ratios.count; i++)
        ratios.values[i] = figure->ours.values[i] / figure->host.values[i];
    return bench_median(&ratios);
}

double bench_ratio(const struct bench_figure *figure)
{
    if (figure->is_paired)
        return paired_ratio(figure);
    double host = bench_best(figure, &figure->host);
    return host > 0 ? bench_best(figure, &figure->ours) / host : 0;
}

const char *bench_verdict(const struct bench_figure *figure)
{
    bool is_met = true;
    if (figure->bar_kind == BAR_NONE || figure->ours.count == 0)
        return "";
    switch (figure->bar_kind) {
    case BAR_NONE:
        break;
    case BAR_RATIO_AT_MOST:
        is_met = bench_ratio(figure) <= figure->bar;
        break;
    case BAR_RATIO_AT_LEAST:
        is_met = bench_ratio(figure) >= figure->bar;
        break;
    case BAR_AT_MOST:
        is_met = bench_best(figure, &figure->ours) <= figure->bar;
        break;
    case BAR_AT_LEAST:
        is_met = bench_best(figure, &figure->ours) >= figure->bar;
        break;
    }
    return is_met ? "PASS" : "MISS";
}
