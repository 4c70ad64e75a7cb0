/*
 * A run of a sweep: what each step may give. See sweep.h.
 */
#include "conformance/sweep.h"

#include "model/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BYTES_OF_ACCESS 64u /* at most */

/* What a step gave back. */
struct attempt {
    char actual[LINE_SIZE];
    uint32_t status;
    bool was_given; /* a failure in it */
    bool is_expected;
};

/* Names and handles that a step changes. */
struct memory {
    struct named_table names;
    struct slot slots[SLOT_LIMIT];
    unsigned slot_count;
};

static struct core_self *core_of(const struct runner *runner) { return runner->self; }

void sweep_report(struct runner *runner, const char *what, const char *expected, const char *actual)
{
    struct sweep *sweep = runner->sweep;

    if (sweep->is_broken) {
        return; /* the first finding of a run tells most */
    }
    sweep->is_broken = true;
    sweep->findings++;
    if (!sweep->is_quiet) {
        printf("FAILED %s:%u %s (%s)\n  %s\n  expected: %s\n  found:    %s\n  again: %s\n",
               runner->path, runner->line, runner->name, runner->subject->name, what, expected,
               actual, sweep->command);
        fflush(stdout);
    }
}

static void save(const struct runner *runner, struct memory *memory)
{
    memory->names = runner->names;
    memory->slot_count = runner->slot_count;
    memcpy(memory->slots, runner->slots, sizeof(memory->slots));
}

static void restore(struct runner *runner, const struct memory *memory)
{
    runner->names = memory->names;
    runner->slot_count = memory->slot_count;
    memcpy(runner->slots, memory->slots, sizeof(memory->slots));
}

static bool is_verb(const struct line *line, const char *verbs)
{
    char word[LINE_SIZE];

    snprintf(word, sizeof(word), " %s ", line->words[0]);
    return strstr(verbs, word) != NULL;
}

/* Several services in a row, each of which is swept by its own verb: nothing fails in them. */
static bool is_of_kernel32(const struct line *line)
{
    return is_verb(line, " virtual-free write-process-memory map-view-of-file error-of ");
}

static void make_attempt(struct runner *runner, const struct line *line, bool is_on,
                         struct attempt *attempt)
{
    struct sweep *sweep = runner->sweep;
    uint64_t given = sweep->events.given;

    attempt->actual[0] = 0;
    (void)sweep_events_switch(&sweep->events, is_on && !is_of_kernel32(line));
    run_call(runner, line, attempt->actual);
    (void)sweep_events_switch(&sweep->events, false);
    named_take(&runner->names, line->expected, attempt->actual, sizeof(attempt->actual));
    attempt->status = sweep_status_of(attempt->actual);
    attempt->was_given =
        sweep->events.given != given || (sweep->events.is_onward && sweep->events.given);
    attempt->is_expected = is_expected(attempt->actual, line->expected);
}

static void take_picture(struct runner *runner, struct sweep_picture *picture)
{
    sweep_picture_take(runner->subject, runner->self, picture);
    subject_core_after_call(runner->self); /* what queries brought in goes out */
}

static void expect_sound(struct runner *runner, const char *text)
{
    const char *wrong = runner->sweep->is_broken ? NULL : subject_core_check(runner->self);

    if (wrong) {
        sweep_report(runner, text, "every invariant", wrong);
    }
}

/* Whether regions may be others though a call failed: a guard page is consumed, a page is copied
 * that then could not be written. */
static bool may_change(const struct runner *runner, const struct line *line, uint32_t status)
{
    const struct sweep_picture *before = &runner->sweep->before;
    bool had_guards = strchr(before->regions[0], '!') || strchr(before->regions[1], '!');
    bool is_part = status == NTMM_STATUS_PARTIAL_COPY || status == SWEEP_FAILURE;

    return (had_guards && (status == NTMM_STATUS_GUARD_PAGE_VIOLATION || is_part)) ||
           (is_part && is_verb(line, " write-memory "));
}

/* A number, or 0 where there is none. */
static uint64_t number_if_any(const struct runner *runner, const struct line *line, unsigned at)
{
    return at < line->count && !has_null_at(line, at) ? number_at(runner, line, at) : 0;
}

/* Whether pages may have come into memory, and tables with them: those before the one that failed,
 * and that one unless frames or commit were short. */
static bool may_have_touched(const struct runner *runner, const struct line *line, uint32_t status)
{
    bool is_shortage = status == NTMM_STATUS_NO_MEMORY || status == NTMM_STATUS_COMMITMENT_LIMIT;
    bool is_access = is_verb(line, " read write execute read-number fault ");
    bool is_range = is_verb(line, " lock probe read-memory write-memory ");
    uint64_t end = 0;

    if (is_access || is_range) {
        end = number_if_any(runner, line, 1) % MODEL_PAGE_SIZE +
              (is_range ? number_if_any(runner, line, 2) : BYTES_OF_ACCESS);
    }
    return (is_access || is_range) && (!is_shortage || end > MODEL_PAGE_SIZE);
}

/* Rule 2. */
static void expect_unchanged(struct runner *runner, const struct line *line, const char *text,
                             const struct attempt *attempt)
{
    struct sweep *sweep = runner->sweep;
    static struct sweep_picture after;
    const char *difference;

    if (sweep->is_broken) {
        return;
    }
    if (strstr(attempt->actual, " and the ")) {
        sweep_report(runner, text, "nothing is written", attempt->actual);
        return;
    }
    take_picture(runner, &after);
    if (may_change(runner, line, attempt->status)) {
        memcpy(after.regions, sweep->before.regions, sizeof(after.regions));
    }
    difference = sweep_picture_difference(&sweep->before, &after,
                                          may_have_touched(runner, line, attempt->status));
    if (difference) {
        char what[2 * LINE_SIZE + 32];

        snprintf(what, sizeof(what), "%s gave %s", text, attempt->actual);
        sweep_report(runner, what, "nothing is changed", difference);
    }
}

/* Rules 1 to 3 for a step that did not give what the case expects. */
static void judge_failure(struct runner *runner, const struct line *line, const char *text,
                          const struct attempt *attempt)
{
    struct sweep *sweep = runner->sweep;
    char status[LINE_SIZE];

    snprintf(status, sizeof(status), "%.*s", (int)strcspn(attempt->actual, " "), attempt->actual);
    if (!sweep->has_diverged && !sweep_statuses_allow(&sweep->statuses, line->words[0], status)) {
        sweep_report(runner, text, "what the case says, or a listed shortage", attempt->actual);
        return;
    }
    if (!is_success(attempt->status)) {
        expect_unchanged(runner, line, text, attempt);
    }
    expect_sound(runner, text);
}

/* Whether pages that are valid, and nothing else, may be others than the case expects. */
static bool is_about_residency(const struct runner *runner, const struct line *line)
{
    return (runner->needs & NEED_RESIDENCY) && is_verb(line, " query-class ");
}

/* Rule 4. */
static void try_again(struct runner *runner, const struct line *line, const char *text,
                      const struct memory *memory, struct attempt *attempt)
{
    struct sweep *sweep = runner->sweep;
    char what[2 * LINE_SIZE + 64];

    if (sweep->is_broken) {
        return;
    }
    if (is_verb(line, " close-file ")) {
        sweep->has_diverged = true; /* it is closed */
        return;
    }
    restore(runner, memory);
    snprintf(what, sizeof(what), "%s, again after %s", text, attempt->actual);
    make_attempt(runner, line, false, attempt);
    if (!attempt->is_expected && !is_about_residency(runner, line)) {
        sweep_report(runner, what, line->expected, attempt->actual);
    }
}

static void judge(struct runner *runner, const struct line *line, const char *text,
                  const struct memory *memory, struct attempt *attempt)
{
    struct sweep *sweep = runner->sweep;

    if (attempt->is_expected || (is_about_residency(runner, line) && is_success(attempt->status))) {
        expect_sound(runner, text);
    } else if (sweep->events.is_onward || sweep->has_diverged) {
        judge_failure(runner, line, text, attempt);
        sweep->has_diverged = true;
    } else if (attempt->was_given) {
        judge_failure(runner, line, text, attempt);
        try_again(runner, line, text, memory, attempt);
    } else {
        sweep_report(runner, text, line->expected, attempt->actual);
    }
}

/* Whether event `at`, or one behind it, can come in the step that is next. */
static bool can_be_met(const struct sweep *sweep)
{
    uint64_t before = sweep->steps ? sweep->seen_after[sweep->steps - 1] : 0;
    uint64_t at = sweep->events.at;

    if (sweep->events.kind == SWEEP_COMMIT || sweep->has_diverged || sweep->events.given) {
        return sweep->events.is_onward || sweep->has_diverged;
    }
    return at > before && at <= sweep->seen_after[sweep->steps] + 1;
}

static void run_step(struct runner *runner, const struct line *line, const char *text)
{
    struct sweep *sweep = runner->sweep;
    struct memory memory;
    struct attempt attempt;
    bool is_met = !sweep->is_counting && can_be_met(sweep);

    if (is_met) {
        take_picture(runner, &sweep->before);
    }
    if (sweep->events.kind == SWEEP_COMMIT && !sweep->is_counting &&
        sweep->steps + 1 >= sweep->events.at) {
        sweep->events.room = 0;
    }
    save(runner, &memory);
    make_attempt(runner, line, true, &attempt);
    if (is_met) {
        judge(runner, line, text, &memory, &attempt);
    } else if (!attempt.is_expected && !is_about_residency(runner, line)) {
        sweep_report(runner, text, line->expected, attempt.actual);
    }
}

/* The same step with 0, 1, 2, 4 ... pages of commit, until they are enough. */
static void run_step_with_rooms(struct runner *runner, const struct line *line, const char *text)
{
    struct sweep *sweep = runner->sweep;
    struct memory memory;
    struct attempt attempt;

    save(runner, &memory);
    for (uint64_t room = 0;; room = room ? 2 * room : 1) {
        bool is_last = room > SUBJECT_COMMIT_PAGES;

        take_picture(runner, &sweep->before);
        restore(runner, &memory);
        sweep->events.room = is_last ? SWEEP_ROOM_AMPLE : room;
        make_attempt(runner, line, true, &attempt);
        if (attempt.is_expected || is_last) {
            break;
        }
        judge_failure(runner, line, text, &attempt);
        if (sweep->is_broken) {
            return;
        }
    }
    if (!attempt.is_expected) {
        sweep_report(runner, text, line->expected, attempt.actual);
    }
    expect_sound(runner, text);
}

void sweep_step(struct runner *runner, const struct line *line, const char *text)
{
    struct sweep *sweep = runner->sweep;

    if (sweep->is_broken) {
        return;
    }
    if (sweep->steps + 1 >= SWEEP_STEPS) {
        bad_line(runner, "more steps than a sweep counts");
    }
    if (sweep->events.kind == SWEEP_COMMIT && !sweep->events.is_onward && !sweep->is_counting) {
        run_step_with_rooms(runner, line, text);
    } else {
        run_step(runner, line, text);
    }
    if (sweep->is_counting) {
        sweep->seen_after[sweep->steps] = sweep->events.seen;
    }
    sweep->steps++;
}

void sweep_begin_case(struct runner *runner)
{
    struct sweep *sweep = runner->sweep;

    if (!sweep) {
        return;
    }
    sweep->has_diverged = false;
    sweep->is_broken = false;
    sweep->steps = 0;
    sweep_events_begin(&sweep->events, runner->self);
}

void sweep_before_map(struct runner *runner)
{
    if (runner->sweep) {
        core_of(runner)->is_paged = false;
        runner->has_map &= !runner->sweep->has_diverged && !runner->sweep->is_broken;
    }
}

/* Rule 5: what fails for a table that is out succeeds when nothing fails. */
static void end_process(struct runner *runner, enum caller who)
{
    struct core_self *core = core_of(runner);
    char word[WORD_SIZE];
    ntmm_status status = ntmm_end_process(core->system, core->handles[who]);

    if (status == NTMM_STATUS_SUCCESS) {
        return;
    }
    if (status != NTMM_STATUS_NO_MEMORY && status != SWEEP_FAILURE) {
        sweep_report(runner, "a process ends", "SUCCESS, or a table could not be read",
                     words_of_status(word, status));
    }
    (void)sweep_events_switch(&runner->sweep->events, false);
    status = ntmm_end_process(core->system, core->handles[who]);
    if (status != NTMM_STATUS_SUCCESS) {
        sweep_report(runner, "a process ends when nothing fails", "SUCCESS",
                     words_of_status(word, status));
    }
    (void)sweep_events_switch(&runner->sweep->events, true);
}

void sweep_before_close(struct runner *runner)
{
    struct sweep *sweep = runner->sweep;

    if (!sweep) {
        return;
    }
    if (sweep->events.is_onward && !sweep->is_counting && !sweep->is_broken) {
        (void)sweep_events_switch(&sweep->events, true);
        end_process(runner, CALLER_LIVE);
        end_process(runner, CALLER_OTHER);
    }
    (void)sweep_events_switch(&sweep->events, false);
    core_of(runner)->events = NULL;
}
