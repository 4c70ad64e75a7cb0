/*
 * The table.
 */
#include "bench.h"

#include <stdio.h>

static void print_bar(const struct bench_figure *figure)
{
    char text[32] = "";
    switch (figure->bar_kind) {
    case BAR_NONE:
        break;
    case BAR_RATIO_AT_MOST:
        snprintf(text, sizeof text, "<= %g x", figure->bar);
        break;
    case BAR_RATIO_AT_LEAST:
        snprintf(text, sizeof text, ">= %g x", figure->bar);
        break;
    case BAR_AT_MOST:
        snprintf(text, sizeof text, "<= %g %s", figure->bar, figure->unit);
        break;
    case BAR_AT_LEAST:
        snprintf(text, sizeof text, ">= %g %s", figure->bar, figure->unit);
        break;
    }
    printf("  %-13s %-4s", text, bench_verdict(figure));
}

static void print_figure(const struct bench_figure *figure)
{
    printf("%-58s ", figure->name);
    if (figure->ours.count == 0) {
        printf("not measured: %s\n", figure->note);
        return;
    }
    printf("%10.2f %-5s +%3.0f%%", bench_best(figure, &figure->ours), figure->unit,
           100 * bench_spread(figure, &figure->ours));
    if (figure->host.count != 0) {
        printf("  %-16s %9.2f +%3.0f%%  %6.3f", figure->host_name,
               bench_best(figure, &figure->host), 100 * bench_spread(figure, &figure->host),
               bench_ratio(figure));
    } else {
        printf("  %-16s %9s        %6s", "", "", "");
    }
    print_bar(figure);
    printf("\n");
    if (figure->note[0] != '\0')
        printf("    %s\n", figure->note);
}

void bench_print(const struct bench *b)
{
    printf("processor time of the best of %u rounds or more, ours and the host's in turn, and how "
           "much\n"
           "more the median is; ",
           b->rounds);
    if (b->processor >= 0)
        printf("on processor %d\n\n", b->processor);
    else
        printf("not pinned to a processor\n\n");
    printf("%-58s %10s %11s  %-16s %9s %6s %6s  %s\n", "figure", "ntmm", "", "host", "", "",
           "ratio", "bar");
    for (uint32_t i = 0; i < b->figure_count; i++)
        print_figure(&b->figures[i]);
}
