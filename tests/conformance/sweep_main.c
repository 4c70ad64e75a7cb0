/*
 * Which cases a sweep runs, with which failures: options, files, samples, time.
 */
#include "conformance/sweep.h"

#include "base/prng.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CASE_LIMIT 2048u
#define FINDINGS_OF_CASE 4u /* after so many a case's other failures are left out */
#define SECONDS_OF_RUN 60u  /* of which a run takes thousandths */
#define SMALL_RAM 0x400000u /* enough for most cases, and quick to check */
#define MODES 2u

static const char *const KINDS[] = {"allocation", "platform", "io", "commit"};
static const char *const MODE_NAMES[MODES] = {"once", "onward"};

/* Lines of a file from "case" to the next one; they end with 0. */
struct case_text {
    const char *path;
    unsigned line; /* number of the first */
    char *text;
    char name[LINE_SIZE];
};

struct totals {
    uint64_t cases;
    uint64_t runs[SWEEP_KIND_COUNT][MODES];
    uint64_t given[SWEEP_KIND_COUNT][MODES]; /* of these, in which something failed */
};

struct plan {
    bool kinds[SWEEP_KIND_COUNT];
    bool modes[MODES];
    const char *only; /* name of a case, or NULL */
    const char *from; /* the same */
    uint64_t event;   /* 0: all */
    uint64_t seconds; /* 0: as long as it takes */
    uint64_t samples; /* 0: all */
    uint64_t seed;
    char files[SWEEP_COMMAND_SIZE / 2];
    struct case_text cases[CASE_LIMIT];
    unsigned count;
    time_t began;
    struct totals totals;
};

static struct runner runner;
static struct sweep sweep;
static struct plan plan;

/* --- files --- */

static _Noreturn void give_up(const char *what, const char *about)
{
    fprintf(stderr, "run_cases: %s: %s\n" SWEEP_USAGE, what, about);
    exit(2);
}

static void add_line(struct case_text *at, const char *line)
{
    size_t size = at->text ? strlen(at->text) : 0;

    at->text = realloc(at->text, size + strlen(line) + 1);
    if (!at->text) {
        abort();
    }
    strcpy(at->text + size, line);
}

static void read_file(const char *path)
{
    char line[LINE_SIZE];
    unsigned number = 0;
    struct case_text *at = NULL;
    FILE *file = fopen(path, "r");

    if (!file) {
        give_up(path, "cannot be read");
    }
    while (fgets(line, sizeof(line), file)) {
        number++;
        if (!strncmp(line, "case ", 5)) {
            if (plan.count == CASE_LIMIT) {
                give_up(path, "too many cases");
            }
            at = &plan.cases[plan.count++];
            at->path = path;
            at->line = number;
            snprintf(at->name, sizeof(at->name), "%.*s", (int)strcspn(line + 5, " \n"), line + 5);
        }
        if (at) {
            add_line(at, line);
        }
    }
    fclose(file);
}

/* --- one run --- */

static void run_lines(const struct case_text *about)
{
    char text[LINE_SIZE];
    char whole[LINE_SIZE];
    struct line line;

    runner.path = about->path;
    runner.line = about->line;
    for (const char *at = about->text; *at; at += strcspn(at, "\n") + 1, runner.line++) {
        snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, "\n"), at);
        strcpy(whole, text + strspn(text, " \t"));
        cut_line(&line, text);
        if (line.count) {
            run_line(&runner, &line, whole);
        }
        runner.setup.ram_bytes = sweep.ram_bytes;
    }
    end_case(&runner);
}

/* What runs a run again, for findings and for a run that does not end. */
static void tell_command(const struct case_text *about, enum sweep_kind kind, unsigned mode,
                         uint64_t event)
{
    snprintf(sweep.command, sizeof(sweep.command),
             "run_cases --sweep --kind %s --%s --case %s --event %" PRIu64 " %s %s\n", KINDS[kind],
             MODE_NAMES[mode], about->name, event, runner.subject->name, about->path);
}

static void begin_run(const struct case_text *about, enum sweep_kind kind, unsigned mode,
                      uint64_t event)
{
    memset(&sweep.events, 0, sizeof(sweep.events));
    sweep.events.kind = kind;
    sweep.events.is_onward = mode == 1;
    sweep.events.at = event;
    sweep.is_counting = event == 0;
    sweep.is_broken = false;
    sweep.steps = 0;
    tell_command(about, kind, mode, event);
    (void)alarm(SECONDS_OF_RUN);
}

/* Whether nothing was found. */
static bool run_once(const struct case_text *about, enum sweep_kind kind, unsigned mode,
                     uint64_t event)
{
    begin_run(about, kind, mode, event);
    run_lines(about);
    if (event) {
        plan.totals.runs[kind][mode]++;
        plan.totals.given[kind][mode] += sweep.events.given != 0;
    }
    return !sweep.is_broken;
}

/* Count the events of a case, in little memory if that is enough for it. How many failures there
 * are to try. */
static uint64_t count_events(const struct case_text *about, enum sweep_kind kind, unsigned mode)
{
    sweep.is_quiet = true;
    sweep.ram_bytes = SMALL_RAM;
    if (!run_once(about, kind, mode, 0)) {
        sweep.findings--;
        sweep.is_quiet = false;
        sweep.ram_bytes = 0;
        if (!run_once(about, kind, mode, 0)) {
            return 0;
        }
    }
    sweep.is_quiet = false;
    if (kind == SWEEP_COMMIT) {
        return mode == 1 ? sweep.steps : sweep.steps != 0;
    }
    return sweep.events.seen;
}

static bool is_time_up(void)
{
    return plan.seconds && (uint64_t)(time(NULL) - plan.began) >= plan.seconds;
}

/* Reads that the case makes fail itself cannot be told from those of the sweep. */
static bool can_be_swept(const struct case_text *about, enum sweep_kind kind)
{
    return kind != SWEEP_IO || !strstr(about->text, "needs errors");
}

/* --- all of them, and samples --- */

static void sweep_kind_of(const struct case_text *about, enum sweep_kind kind, unsigned mode)
{
    uint64_t count = count_events(about, kind, mode);
    uint64_t findings = sweep.findings;

    for (uint64_t event = plan.event ? plan.event : 1; event <= count && !is_time_up(); event++) {
        (void)run_once(about, kind, mode, event);
        if (plan.event || sweep.findings - findings >= FINDINGS_OF_CASE) {
            return;
        }
    }
}

static void sweep_case(const struct case_text *about)
{
    for (unsigned kind = 0; kind < SWEEP_KIND_COUNT; kind++) {
        for (unsigned mode = 0; mode < MODES; mode++) {
            if (plan.kinds[kind] && plan.modes[mode] && can_be_swept(about, kind)) {
                sweep_kind_of(about, kind, mode);
            }
        }
    }
    plan.totals.cases++;
}

static void sweep_all(void)
{
    bool is_reached = plan.from == NULL;

    for (unsigned i = 0; i < plan.count; i++) {
        const struct case_text *about = &plan.cases[i];

        is_reached |= plan.from && !strcmp(plan.from, about->name);
        if (!is_reached || (plan.only && strcmp(plan.only, about->name))) {
            continue;
        }
        if (is_time_up()) {
            printf("%s: time is up; go on with --from %s\n", runner.subject->name, about->name);
            return;
        }
        sweep_case(about);
    }
}

/* A case, a kind, a mode and an event of it by the seed, so often. */
static void sweep_samples(void)
{
    struct prng prng;

    prng_seed(&prng, plan.seed);
    for (uint64_t done = 0; done < plan.samples && !is_time_up();) {
        const struct case_text *about = &plan.cases[prng_below(&prng, plan.count)];
        unsigned kind = (unsigned)prng_below(&prng, SWEEP_KIND_COUNT);
        unsigned mode = (unsigned)prng_below(&prng, MODES);
        uint64_t count;

        if (!plan.kinds[kind] || !plan.modes[mode] || !can_be_swept(about, kind)) {
            continue;
        }
        count = count_events(about, kind, mode);
        if (count) {
            (void)run_once(about, kind, mode, 1 + prng_below(&prng, count));
            done++;
        }
    }
}

/* --- the program --- */

static void tell_and_end(int signal)
{
    static const char WHY[] = "\nFAILED: this run crashed, or did not end\n  again: ";

    (void)signal;
    (void)!write(STDOUT_FILENO, WHY, sizeof(WHY) - 1);
    (void)!write(STDOUT_FILENO, sweep.command, strlen(sweep.command));
    _exit(1);
}

static void print_totals(void)
{
    for (unsigned kind = 0; kind < SWEEP_KIND_COUNT; kind++) {
        for (unsigned mode = 0; mode < MODES; mode++) {
            if (plan.totals.runs[kind][mode]) {
                printf("%s: %s %s: %" PRIu64 " runs, failures in %" PRIu64 "\n",
                       runner.subject->name, KINDS[kind], MODE_NAMES[mode],
                       plan.totals.runs[kind][mode], plan.totals.given[kind][mode]);
            }
        }
    }
    printf("%s: %" PRIu64 " cases swept, %" PRIu64 " findings, %u s\n", runner.subject->name,
           plan.totals.cases, sweep.findings, (unsigned)(time(NULL) - plan.began));
}

static uint64_t number_of(const char *option, const char *text)
{
    char *end;
    uint64_t value = text ? strtoull(text, &end, 0) : 0;

    if (!text || end == text || *end) {
        give_up(option, "a number is missing");
    }
    return value;
}

static void take_kind(const char *name)
{
    for (unsigned kind = 0; kind < SWEEP_KIND_COUNT; kind++) {
        if (name && !strcmp(KINDS[kind], name)) {
            plan.kinds[kind] = true;
            return;
        }
    }
    give_up("--kind", "there is no such kind");
}

/* How many words an option takes. */
static int take_option(char **arguments)
{
    const char *option = arguments[0] + 2;
    const char *value = arguments[1];

    for (unsigned mode = 0; mode < MODES; mode++) {
        if (!strcmp(option, MODE_NAMES[mode])) {
            plan.modes[mode] = true;
            return 1;
        }
    }
    if (!strcmp(option, "kind")) {
        take_kind(value);
    } else if (!strcmp(option, "case")) {
        plan.only = value;
    } else if (!strcmp(option, "from")) {
        plan.from = value;
    } else if (!strcmp(option, "event")) {
        plan.event = number_of(option, value);
    } else if (!strcmp(option, "seconds")) {
        plan.seconds = number_of(option, value);
    } else if (!strcmp(option, "sample")) {
        plan.samples = number_of(option, value);
    } else if (!strcmp(option, "seed")) {
        plan.seed = number_of(option, value);
    } else {
        give_up(arguments[0], "there is no such option");
    }
    return 2;
}

/* Of what no option chose, all. */
static void choose_all(bool *chosen, unsigned count)
{
    bool is_any = false;

    for (unsigned i = 0; i < count; i++) {
        is_any |= chosen[i];
    }
    for (unsigned i = 0; i < count; i++) {
        chosen[i] |= !is_any;
    }
}

static void take_arguments(int count, char **arguments)
{
    int at = 0;

    while (at < count && !strncmp(arguments[at], "--", 2)) {
        at += take_option(&arguments[at]);
    }
    choose_all(plan.kinds, SWEEP_KIND_COUNT);
    choose_all(plan.modes, MODES);
    if (at + 1 >= count) {
        give_up("arguments", "a subject or a file is missing");
    }
    runner.subject = !strcmp(arguments[at], subject_core.name)    ? &subject_core
                     : !strcmp(arguments[at], subject_paged.name) ? &subject_paged
                                                                  : NULL;
    if (!runner.subject) {
        give_up(arguments[at], "is not swept");
    }
    while (++at < count) {
        read_file(arguments[at]);
    }
    if (!plan.count) {
        give_up("files", "there is no case");
    }
}

int sweep_main(int count, char **arguments)
{
    take_arguments(count, arguments);
    if (!sweep_statuses_read(&sweep.statuses, NTMM_SWEEP_STATUSES)) {
        give_up(NTMM_SWEEP_STATUSES, "cannot be read");
    }
    runner.sweep = &sweep;
    (void)signal(SIGABRT, tell_and_end);
    (void)signal(SIGILL, tell_and_end); /* a broken assertion */
    (void)signal(SIGTRAP, tell_and_end);
    (void)signal(SIGSEGV, tell_and_end);
    (void)signal(SIGALRM, tell_and_end);
    plan.began = time(NULL);
    if (plan.samples) {
        sweep_samples();
    } else {
        sweep_all();
    }
    print_totals();
    return sweep.findings ? 1 : 0;
}
