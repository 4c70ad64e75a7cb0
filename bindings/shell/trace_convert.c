/*
 * From any trace to a binary one: references go through the table of pages, then through folding if
 * asked, then to the writer.
 *
 *   trace -> [limit] -> pages, counts -> [fold] -> binary_writer
 *
 * A folded trace cannot be unfolded, nor cut: what it counts is lost.
 */
#include "trace_convert.h"

#include "trace_binary.h"
#include "trace_fold.h"
#include "trace_pages.h"

#include <stdlib.h>

#define BATCH 4096u

struct conversion {
    struct binary_writer *writer;
    struct trace_pages pages;
    struct trace_fold fold;
    struct trace_summary summary;
    struct trace_reference batch[BATCH];
    struct trace_reference kept[BATCH + 1];
};

static bool refuse_impossible(struct trace *from, const struct trace_conversion *how,
                              struct shell_error *error)
{
    const struct trace_summary *summary = trace_summary(from);
    if (summary == NULL || !summary->is_folded)
        return true;
    if (how->form == TRACE_FORM_EXACT)
        return shell_set_error(error, "%s: is folded; what was folded cannot be had back",
                               trace_name(from));
    return how->limit == UINT64_MAX ||
           shell_set_error(error, "%s: is folded; it cannot be limited", trace_name(from));
}

static size_t fold_batch(struct conversion *c, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        kept += trace_fold_add(&c->fold, &c->batch[i], &c->kept[kept]);
    return kept;
}

static bool take_batch(struct conversion *c, size_t count, struct shell_error *error)
{
    const struct trace_reference *records = c->batch;
    size_t record_count = count;
    for (size_t i = 0; i < count; i++) {
        if (!trace_pages_add(&c->pages, &c->batch[i], error))
            return false;
        c->summary.kind_count[c->batch[i].kind]++;
        c->summary.reference_count += 1 + (uint64_t)c->batch[i].folded;
    }
    if (c->summary.is_folded) {
        record_count = fold_batch(c, count);
        records = c->kept;
    }
    c->summary.record_count += record_count;
    return binary_add(c->writer, records, record_count, error);
}

static bool take_rest(struct conversion *c, struct shell_error *error)
{
    if (!c->summary.is_folded || !trace_fold_finish(&c->fold, &c->kept[0]))
        return true;
    c->summary.record_count++;
    return binary_add(c->writer, c->kept, 1, error);
}

static bool pump(struct conversion *c, struct trace *from, uint64_t limit,
                 struct shell_error *error)
{
    ptrdiff_t got = 1;
    while (limit != 0 && got != 0) {
        got = trace_read(from, c->batch, limit < BATCH ? (size_t)limit : BATCH, error);
        if (got < 0 || !take_batch(c, (size_t)got, error))
            return false;
        limit -= limit != UINT64_MAX ? (uint64_t)got : 0;
    }
    return take_rest(c, error);
}

static bool finish(struct conversion *c, struct trace *from, const char *to,
                   struct shell_error *error)
{
    const struct trace_summary *before = trace_summary(from);
    struct trace_summary *summary = &c->summary;
    if (before != NULL && before->is_folded) /* kinds of folded references are known only there */
        memcpy(summary->kind_count, before->kind_count, sizeof summary->kind_count);
    summary->page_count = c->pages.count;
    return trace_pages_runs(&c->pages, &summary->runs, &summary->run_count, error) &&
           binary_finish(c->writer, to, summary, error);
}

bool trace_convert(struct trace *from, const char *to, const struct trace_conversion *how,
                   struct trace_summary *summary, struct shell_error *error)
{
    const struct trace_summary *before = trace_summary(from);
    if (!refuse_impossible(from, how, error))
        return false;
    struct conversion *c = calloc(1, sizeof *c);
    if (c == NULL)
        return shell_set_error(error, "ntmm: no memory");
    c->summary.is_folded = how->form == TRACE_FORM_FOLDED || (before != NULL && before->is_folded);
    c->writer = binary_create(c->summary.is_folded, error);
    bool is_done =
        c->writer != NULL && pump(c, from, how->limit, error) && finish(c, from, to, error);
    *summary = c->summary;
    if (!is_done) {
        free(summary->runs);
        summary->runs = NULL;
    }
    binary_discard(c->writer);
    trace_pages_free(&c->pages);
    free(c);
    return is_done;
}
