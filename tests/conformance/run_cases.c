/*
 * run_cases [--print] SUBJECT FILE...: runs files of cases against the model or the core and prints
 * what differs; with --print what was found instead, each case as a file of cases has it, for a
 * comparison line by line. Exit status 0 when every case holds, 1 when one does not, 2 when a file
 * cannot be read.
 *
 * run_cases --sweep [OPTION...] core|paged FILE...: the same cases again and again, each time with
 * another platform call, allocation or transfer that fails; sweep.h.
 *
 * docs/conformance.md has the format.
 */
#include "conformance/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_step(const struct line *line, const char *actual)
{
    char text[LINE_SIZE] = "";

    for (unsigned i = 0; i < line->count; i++) {
        append_word(text, line->words[i]);
    }
    printf("  %s%s%s\n", text, actual[0] ? " = " : "", actual);
}

static void set_caller(struct runner *runner, const struct line *line)
{
    static const char *const NAMES[] = {"live", "other", "null", "stale", "wrong-kind"};

    for (int who = 0; who < CALLER_COUNT; who++) {
        if (line->count > 1 && !strcmp(line->words[1], NAMES[who])) {
            runner->who = (enum caller)who;
            if (runner->is_printing) {
                print_step(line, "");
            }
            return;
        }
    }
    bad_line(runner, "nobody has this handle");
}

static const struct step *find_step(const struct step *steps, const char *verb)
{
    for (; steps->verb; steps++) {
        if (!strcmp(steps->verb, verb)) {
            return steps;
        }
    }
    return NULL;
}

/* Whether there is such a step. */
static bool run_verb(struct runner *runner, const struct line *line, char *actual)
{
    const struct step *step = find_step(memory_steps, line->words[0]);

    if (!step) {
        step = find_step(section_steps, line->words[0]);
    }
    if (!step) {
        step = find_step(win32_steps, line->words[0]);
    }
    if (step) {
        step->run(runner, line, actual);
    }
    return step != NULL;
}

static void print_map(const char *map)
{
    while (*map) {
        size_t length = strcspn(map, "\n");

        printf("map %.*s\n", (int)length, map);
        map += length + (map[length] == '\n');
    }
}

static void report(struct runner *runner, const char *what, const char *expected,
                   const char *actual)
{
    runner->has_failed = true;
    if (runner->sweep) {
        sweep_report(runner, what, expected, actual);
        return;
    }
    if (runner->is_printing) {
        return;
    }
    printf("FAILED %s:%u %s (%s, %s)\n  %s\n  expected: %s\n  found:    %s\n", runner->path,
           runner->line, runner->name, runner->subject->name, runner->source, what, expected,
           actual);
}

bool is_expected(const char *actual, const char *expected)
{
    size_t length = strlen(actual);

    for (const char *at = expected; at; at = strstr(at, " or ")) {
        at += strncmp(at, " or ", 4) ? 0 : 4;
        if (!strncmp(at, actual, length) && (!at[length] || !strncmp(at + length, " or ", 4))) {
            return true;
        }
    }
    return false;
}

/* What a case may need, by bit: the word for it, and what is said of cases that were skipped. */
static const char *const NEEDS[NEED_COUNT][2] = {
    {"images", "need sections of images"},
    {"based", "need addresses of SEC_BASED sections"},
    {"residency", "need that touched pages are valid"},
    {"locks", "need locks of bytes of files"},
    {"policies", "need policies of processes"},
    {"errors", "need devices that fail"},
};

static void add_need(struct runner *runner, const struct line *line)
{
    for (unsigned i = 0; i < NEED_COUNT; i++) {
        if (line->count > 1 && !strcmp(line->words[1], NEEDS[i][0])) {
            bool is_skipped = (runner->subject->lacks & runner->needs) != 0;

            runner->needs |= 1u << i;
            runner->skipped[i] += !is_skipped && (runner->subject->lacks & 1u << i);
            return;
        }
    }
    bad_line(runner, "nobody knows this need");
}

/* By bit. */
static const char *const POLICIES[POLICY_COUNT] = {"no-dynamic-code", "force-relocate-images",
                                                   "disallow-stripped-images"};

static void set_policy(struct runner *runner, const struct line *line)
{
    uint32_t policy = 0;

    for (unsigned i = 0; i < POLICY_COUNT; i++) {
        policy |= line->count == 2 && !strcmp(line->words[1], POLICIES[i]) ? 1u << i : 0;
    }
    if (!(runner->needs & NEED_POLICIES) || !policy) {
        bad_line(runner, "an unknown policy, or no line \"needs policies\"");
    }
    runner->setup.policies |= policy;
}

bool can_run(const struct runner *runner, const struct line *line)
{
    bool needs_library =
        !strcmp(line->words[0], "query-class") || !strcmp(line->words[0], "on-device");

    return !(runner->subject->lacks & runner->needs) &&
           (runner->subject->query_class || !needs_library);
}

/* Whether every name in the arguments has a value. */
static bool are_names_known(const struct runner *runner, const struct line *line)
{
    uint64_t value;

    for (unsigned i = 1; i < line->count; i++) {
        if (named_is(line->words[i]) && !named_value(&runner->names, line->words[i], &value)) {
            return false;
        }
    }
    return true;
}

void run_call(struct runner *runner, const struct line *line, char *actual)
{
    if (!are_names_known(runner, line)) {
        append_word(actual, "not run");
    } else if (!run_verb(runner, line, actual)) {
        bad_line(runner, "no such step");
    }
}

static void run_step(struct runner *runner, const struct line *line, const char *text)
{
    char before[STRIP_SIZE];
    char after[STRIP_SIZE];
    char actual[LINE_SIZE] = "";

    if (!can_run(runner, line)) {
        return;
    }
    if (!runner->self) {
        runner->self = runner->subject->open(&runner->setup);
        sweep_begin_case(runner);
    }
    if (runner->sweep) {
        sweep_step(runner, line, text);
        return;
    }
    strip_draw(runner->subject, runner->self, CALLER_LIVE, before);
    run_call(runner, line, actual);
    named_take(&runner->names, line->expected, actual, sizeof(actual));
    if (runner->is_printing) {
        print_step(line, actual);
        runner->has_failed |= !is_expected(actual, line->expected);
    } else if (!is_expected(actual, line->expected)) {
        strip_draw(runner->subject, runner->self, CALLER_LIVE, after);
        report(runner, text, line->expected, actual);
        printf("  before:\n%s\n  after:\n%s\n", before, after);
    }
}

void end_case(struct runner *runner)
{
    char map[STRIP_SIZE];
    const char *wrong;

    if (!runner->self) {
        return;
    }
    sweep_before_map(runner);
    strip_draw(runner->subject, runner->self, CALLER_LIVE, map);
    named_replace(&runner->names, map, sizeof(map));
    if (runner->has_map && runner->is_printing) {
        print_map(map);
    }
    if (runner->has_map && strcmp(map, runner->map)) {
        report(runner, "regions at the end", runner->map, map);
    }
    sweep_before_close(runner);
    wrong = runner->subject->close(runner->self);
    if (wrong) {
        report(runner, "closing", "nothing left, every invariant", wrong);
    }
    runner->self = NULL;
    runner->cases++;
    runner->failures += runner->has_failed;
}

static void begin_case(struct runner *runner, const struct line *line)
{
    end_case(runner);
    strcpy(runner->name, line->count > 1 ? line->words[1] : "");
    if (runner->is_printing) {
        printf("case %s\n", runner->name);
    }
    runner->source[0] = 0;
    memset(&runner->setup, 0, sizeof(runner->setup));
    runner->who = CALLER_LIVE;
    runner->slot_count = 0;
    runner->names.count = 0;
    runner->needs = 0;
    runner->has_failed = false;
    runner->has_map = false;
    runner->map[0] = 0;
}

static void add_map(struct runner *runner, const struct line *line)
{
    char text[LINE_SIZE] = "";

    for (unsigned i = 1; i < line->count; i++) {
        append_word(text, line->words[i]);
    }
    if (strlen(runner->map) + strlen(text) + 2 > STRIP_SIZE) {
        bad_line(runner, "the map is too long");
    }
    strcat(strcat(runner->map, runner->has_map ? "\n" : ""), text);
    runner->has_map = true;
}

void run_line(struct runner *runner, const struct line *line, const char *text)
{
    const char *verb = line->words[0];

    if (!strcmp(verb, "case")) {
        begin_case(runner, line);
    } else if (!strcmp(verb, "source")) {
        for (unsigned i = 1; i < line->count; i++) {
            append_word(runner->source, line->words[i]);
        }
    } else if (!strcmp(verb, "covers")) {
        return; /* rows.py reads it */
    } else if (!strcmp(verb, "commit-limit")) {
        runner->setup.commit_limit_pages = number_at(runner, line, 1);
    } else if (!strcmp(verb, "build")) {
        runner->setup.windows_build = (uint32_t)number_at(runner, line, 1);
    } else if (!strcmp(verb, "policy")) {
        set_policy(runner, line);
    } else if (!strcmp(verb, "needs")) {
        add_need(runner, line);
    } else if (!strcmp(verb, "as")) {
        set_caller(runner, line);
    } else if (!strcmp(verb, "map")) {
        add_map(runner, line);
    } else {
        run_step(runner, line, text);
    }
}

void run_file(struct runner *runner, const char *path)
{
    char text[LINE_SIZE];
    char whole[LINE_SIZE];
    struct line line;
    FILE *file = fopen(path, "r");

    runner->path = path;
    runner->line = 0;
    if (!file) {
        perror(path);
        exit(2);
    }
    while (fgets(text, sizeof(text), file)) {
        runner->line++;
        strcpy(whole, text + strspn(text, " \t"));
        whole[strcspn(whole, "\n")] = 0;
        cut_line(&line, text);
        if (line.count) {
            run_line(runner, &line, whole);
        }
    }
    fclose(file);
    end_case(runner);
}

static void print_summary(const struct runner *runner)
{
    FILE *out = runner->is_printing ? stderr : stdout;

    fprintf(out, "%s: %u cases, %u failed\n", runner->subject->name, runner->cases,
            runner->failures);
    for (unsigned i = 0; i < NEED_COUNT; i++) {
        if (runner->skipped[i]) {
            fprintf(out, "%s: %u cases skipped: they %s\n", runner->subject->name,
                    runner->skipped[i], NEEDS[i][1]);
        }
    }
}

int main(int count, char **arguments)
{
    static const struct subject *const subjects[] = {&subject_model, &subject_core, &subject_paged};
    static struct runner runner;

    if (count > 1 && !strcmp(arguments[1], "--sweep")) {
        return sweep_main(count - 2, arguments + 2);
    }
    if (count > 1 && !strcmp(arguments[1], "--print")) {
        runner.is_printing = true;
        count--;
        arguments++;
    }
    for (unsigned i = 0; count > 1 && i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        if (!strcmp(arguments[1], subjects[i]->name)) {
            runner.subject = subjects[i];
        }
    }
    if (count < 3 || !runner.subject) {
        fprintf(stderr, "usage: run_cases [--print] model|core|paged FILE...\n" SWEEP_USAGE);
        return 2;
    }
    for (int i = 2; i < count; i++) {
        run_file(&runner, arguments[i]);
    }
    print_summary(&runner);
    return runner.failures ? 1 : 0;
}
