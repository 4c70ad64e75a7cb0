/*
 * `ntmm trace convert`, `ntmm trace info`, `ntmm trace print`.
 */
#include "trace_convert.h"

#include "trace_binary.h"
#include "trace_pages.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>

void help_for_trace(FILE *out)
{
    fputs("usage: ntmm trace convert [--exact | --fold] [--limit N] IN OUT\n"
          "       ntmm trace info [--runs] FILE\n"
          "       ntmm trace print FILE\n"
          "\n"
          "convert  writes a trace in the compact binary form (.ntt). IN is valgrind's lackey\n"
          "         text or a binary trace, plain or zstd-compressed, or - for standard input.\n"
          "  --exact    keep every reference (the default, unless IN is folded)\n"
          "  --fold     keep only the references that can fault and count the others with them\n"
          "  --limit N  stop after N references\n"
          "info     prints what a trace holds.\n"
          "  --runs     also each run of touched pages with equal rights\n"
          "print    writes a trace as lackey text; what was folded is a line \"==fold== N\"\n"
          "         behind the reference that it is counted with.\n",
          out);
}

static void print_count(const char *name, uint64_t value)
{
    struct shell_digits digits;
    printf("  %-12s %15s\n", name, shell_group_digits(value, &digits));
}

static void print_summary(const char *name, const struct trace_summary *summary)
{
    printf("%s: %s\n", name, summary->is_folded ? "folded" : "exact");
    print_count("references", summary->reference_count);
    print_count("records", summary->record_count);
    print_count("fetches", summary->kind_count[TRACE_FETCH]);
    print_count("loads", summary->kind_count[TRACE_LOAD]);
    print_count("stores", summary->kind_count[TRACE_STORE]);
    print_count("modifies", summary->kind_count[TRACE_MODIFY]);
    print_count("pages", summary->page_count);
    print_count("KiB", summary->page_count * (TRACE_PAGE_SIZE / 1024));
}

static void print_runs(const struct trace_summary *summary)
{
    for (uint32_t i = 0; i < summary->run_count; i++) {
        const struct trace_run *run = &summary->runs[i];
        printf("  %016" PRIx64 " %8" PRIu32 " pages %c%c%c%s\n",
               run->first_page << TRACE_PAGE_SHIFT, run->page_count,
               run->rights & TRACE_READ ? 'r' : '-', run->rights & TRACE_WRITE ? 'w' : '-',
               run->rights & TRACE_EXECUTE ? 'x' : '-', run->rights & TRACE_STACK ? " stack" : "");
    }
}

static int convert(int argc, char **argv)
{
    static const struct option options[] = {
        {"exact", no_argument, NULL, 'e'},
        {"fold", no_argument, NULL, 'f'},
        {"limit", required_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    struct trace_conversion how = {TRACE_FORM_AS_READ, UINT64_MAX};
    struct trace_summary summary;
    struct shell_error error;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'l' && !shell_parse_number(optarg, &how.limit))
            return shell_refuse("--limit %s: not a number of references", optarg);
        if (option == 'e' || option == 'f')
            how.form = option == 'e' ? TRACE_FORM_EXACT : TRACE_FORM_FOLDED;
        if (option == '?')
            return SHELL_USAGE;
    }
    if (argc - optind != 2)
        return shell_refuse("trace convert needs IN and OUT; see `ntmm help trace`");
    struct trace *trace = trace_open(argv[optind], &error);
    bool is_done = trace != NULL && trace_convert(trace, argv[optind + 1], &how, &summary, &error);
    trace_close(trace);
    if (!is_done)
        return shell_report(&error);
    free(summary.runs);
    return shell_finish_output();
}

/* Reads to the end: a damaged block shows, and a text is counted. */
static bool examine(struct trace *trace, struct trace_summary *summary, struct shell_error *error)
{
    struct trace_reference batch[1024];
    struct trace_pages pages = {0};
    ptrdiff_t got;
    bool is_good = true;
    while ((got = trace_read(trace, batch, 1024, error)) > 0 && is_good) {
        for (ptrdiff_t i = 0; i < got && is_good; i++) {
            is_good = trace_pages_add(&pages, &batch[i], error);
            summary->kind_count[batch[i].kind]++;
            summary->reference_count += 1 + (uint64_t)batch[i].folded;
            summary->record_count++;
        }
    }
    summary->page_count = pages.count;
    is_good =
        is_good && got == 0 && trace_pages_runs(&pages, &summary->runs, &summary->run_count, error);
    trace_pages_free(&pages);
    return is_good;
}

/* B3: what the blocks hold against what the summary promises. */
static bool compare(const struct trace *trace, struct trace_summary *counted,
                    struct shell_error *error)
{
    const struct trace_summary *promised = trace_summary(trace);
    if (promised == NULL)
        return true;
    bool is_equal = counted->run_count == promised->run_count;
    for (uint32_t i = 0; is_equal && i < counted->run_count; i++)
        is_equal = counted->runs[i].first_page == promised->runs[i].first_page &&
                   counted->runs[i].page_count == promised->runs[i].page_count &&
                   counted->runs[i].rights == promised->runs[i].rights;
    counted->is_folded = promised->is_folded;
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++) {
        is_equal = is_equal &&
                   (promised->is_folded || counted->kind_count[kind] == promised->kind_count[kind]);
        counted->kind_count[kind] = promised->kind_count[kind];
    }
    return is_equal || shell_set_error(error,
                                       "%s: offset %u: damaged: the summary is not that of "
                                       "the references",
                                       trace_name(trace), TRACE_HEAD_BYTES);
}

static int info(int argc, char **argv)
{
    static const struct option options[] = {{"runs", no_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
    struct trace_summary summary = {0};
    struct shell_error error;
    bool wants_runs = false;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return SHELL_USAGE;
        wants_runs = true;
    }
    if (argc - optind != 1)
        return shell_refuse("trace info needs one FILE; see `ntmm help trace`");
    struct trace *trace = trace_open(argv[optind], &error);
    bool is_good =
        trace != NULL && examine(trace, &summary, &error) && compare(trace, &summary, &error);
    if (is_good) {
        print_summary(argv[optind], &summary);
        if (wants_runs)
            print_runs(&summary);
    }
    trace_close(trace);
    free(summary.runs);
    return is_good ? shell_finish_output() : shell_report(&error);
}

static int print(int argc, char **argv)
{
    static const char *const kinds[TRACE_KINDS] = {"I ", " L", " S", " M"};
    struct trace_reference batch[1024];
    struct shell_error error;
    ptrdiff_t got = -1;
    if (argc != 2)
        return shell_refuse("trace print needs one FILE; see `ntmm help trace`");
    struct trace *trace = trace_open(argv[1], &error);
    while (trace != NULL && (got = trace_read(trace, batch, 1024, &error)) > 0) {
        for (ptrdiff_t i = 0; i < got; i++) {
            printf("%s %08" PRIx64 ",%u\n", kinds[batch[i].kind], batch[i].address,
                   batch[i].size_bytes);
            if (batch[i].folded != 0)
                printf("==fold== %" PRIu32 "\n", batch[i].folded);
        }
    }
    trace_close(trace);
    int finished = shell_finish_output();
    return got == 0 ? finished : shell_report(&error);
}

int command_trace(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "convert") == 0)
        return convert(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "info") == 0)
        return info(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "print") == 0)
        return print(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        help_for_trace(stdout);
        return shell_finish_output();
    }
    return shell_refuse("trace needs `convert`, `info` or `print`; see `ntmm help trace`");
}
