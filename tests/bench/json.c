/*
 * The report as JSON; ntmm and host are the best rounds:
 *
 *   { rounds, processor, smoke, figures: [ {name, unit, ntmm, ntmm_median, ntmm_rounds: [..],
 *     host_name, host, host_median, host_rounds: [..], ratio, bar: {kind, value}, verdict, note} ]
 * }
 *
 * Members that a figure does not have are absent.
 */
#include "bench.h"

#include <jansson.h>
#include <stdio.h>

static json_t *rounds_of(const struct bench_samples *samples)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < samples->count; i++)
        json_array_append_new(array, json_real(samples->values[i]));
    return array;
}

static void put_side(json_t *object, const char *name, const struct bench_figure *figure,
                     const struct bench_samples *samples)
{
    char member[32];
    json_object_set_new(object, name, json_real(bench_best(figure, samples)));
    snprintf(member, sizeof member, "%s_median", name);
    json_object_set_new(object, member, json_real(bench_median(samples)));
    snprintf(member, sizeof member, "%s_rounds", name);
    json_object_set_new(object, member, rounds_of(samples));
}

static json_t *bar_of(const struct bench_figure *figure)
{
    static const char *const kinds[] = {
        [BAR_NONE] = "none",
        [BAR_RATIO_AT_MOST] = "ratio at most",
        [BAR_RATIO_AT_LEAST] = "ratio at least",
        [BAR_AT_MOST] = "at most",
        [BAR_AT_LEAST] = "at least",
    };
    return json_pack("{s:s, s:f}", "kind", kinds[figure->bar_kind], "value", figure->bar);
}

static json_t *figure_of(const struct bench_figure *figure)
{
    json_t *object = json_pack("{s:s, s:s}", "name", figure->name, "unit", figure->unit);
    if (figure->ours.count != 0)
        put_side(object, "ntmm", figure, &figure->ours);
    if (figure->host.count != 0) {
        json_object_set_new(object, "host_name", json_string(figure->host_name));
        put_side(object, "host", figure, &figure->host);
        json_object_set_new(object, "ratio", json_real(bench_ratio(figure)));
    }
    if (figure->bar_kind != BAR_NONE) {
        json_object_set_new(object, "bar", bar_of(figure));
        json_object_set_new(object, "verdict", json_string(bench_verdict(figure)));
    }
    if (figure->note[0] != '\0')
        json_object_set_new(object, "note", json_string(figure->note));
    return object;
}

bool bench_write_json(const struct bench *b, const char *path)
{
    json_t *figures = json_array();
    for (uint32_t i = 0; i < b->figure_count; i++)
        json_array_append_new(figures, figure_of(&b->figures[i]));
    json_t *report = json_pack("{s:i, s:i, s:b, s:o}", "rounds", (int)b->rounds, "processor",
                               b->processor, "smoke", b->is_smoke, "figures", figures);
    bool is_written = report && json_dump_file(report, path, JSON_INDENT(2)) == 0;
    json_decref(report);
    return is_written;
}
