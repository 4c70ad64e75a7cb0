/*
 * Delta debugging over the records of all parties: chunks are left out, halves of the size each
 * time nothing more can go.
 */
#include "sim/minimise.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A run that takes longer does not come to an end. */
#define SECONDS_OF_RUN 120u

bool run_apart(uint64_t seed, uint64_t steps, const struct keep *keep, struct sim_result *result,
               bool is_printed)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) {
        perror("sim: fork");
        exit(2);
    }
    if (child == 0) {
        alarm(SECONDS_OF_RUN);
        if (!is_printed)
            (void)dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
        sim_run(seed, steps, keep, result);
        fflush(stdout);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child)
        return false;
    if (is_printed && WIFSIGNALED(status))
        printf("# ended by signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void drop(struct keep *keep, uint32_t party, uint32_t record, bool is_dropped)
{
    uint8_t bit = (uint8_t)(1u << record % 8);
    if (is_dropped)
        keep->dropped[party][record / 8] |= bit;
    else
        keep->dropped[party][record / 8] &= (uint8_t)~bit;
}

static bool is_dropped(const struct keep *keep, uint32_t party, uint32_t record)
{
    return keep->dropped[party][record / 8] >> record % 8 & 1;
}

static bool keep_make(struct keep *keep, uint32_t limit)
{
    keep->limit = limit;
    for (uint32_t party = 0; party < SIM_PARTIES; party++) {
        keep->dropped[party] = calloc(limit / 8 + 1, 1);
        if (keep->dropped[party] == NULL)
            return false;
    }
    return true;
}

static bool take_range(struct keep *keep, uint32_t party, uint32_t first, uint32_t last)
{
    if (party >= SIM_PARTIES || first > last || last >= keep->limit)
        return false;
    for (uint32_t i = first; i <= last; i++)
        drop(keep, party, i, true);
    return true;
}

bool keep_parse(struct keep *keep, const char *text)
{
    uint32_t limit, party, first, last;
    int used = 0;
    if (sscanf(text, "%" SCNu32 "%n", &limit, &used) != 1 || limit > 1u << 24 ||
        !keep_make(keep, limit))
        return false;
    for (text += used; *text == ','; text += used) {
        if (sscanf(text, ",%" SCNu32 ":%" SCNu32 "-%" SCNu32 "%n", &party, &first, &last, &used) !=
                3 ||
            !take_range(keep, party, first, last))
            return false;
    }
    return *text == 0;
}

/* "LIMIT,PARTY:FIRST-LAST,..." */
static void keep_print(const struct keep *keep)
{
    printf("%u", keep->limit);
    for (uint32_t party = 0; party < SIM_PARTIES; party++) {
        for (uint32_t i = 0; i < keep->limit; i++) {
            uint32_t first = i;
            while (i < keep->limit && is_dropped(keep, party, i))
                i++;
            if (i > first)
                printf(",%u:%u-%u", party, first, i - 1);
        }
    }
}

static uint32_t count_kept(const struct keep *keep, const struct sim_result *result)
{
    uint32_t count = 0;
    for (uint32_t party = 0; party < SIM_PARTIES; party++) {
        for (uint32_t i = 0; i < result->records[party]; i++)
            count += !is_dropped(keep, party, i);
    }
    return count;
}

struct hunt {
    uint64_t seed;
    uint64_t steps;
    const char *why; /* it must go on failing so */
    struct keep keep;
    struct sim_result *scratch;
    time_t deadline;
    uint32_t runs;
};

/* Leave [first, end) of a party out, if the run fails without it too. */
static bool try_without(struct hunt *hunt, uint32_t party, uint32_t first, uint32_t end)
{
    uint8_t *before = hunt->keep.dropped[party];
    uint32_t size = hunt->keep.limit / 8 + 1, changes = 0;
    uint8_t *after = malloc(size);
    if (after == NULL)
        return false;
    for (uint32_t i = 0; i < size; i++)
        after[i] = before[i];
    hunt->keep.dropped[party] = after;
    for (uint32_t i = first; i < end; i++) {
        changes += !is_dropped(&hunt->keep, party, i);
        drop(&hunt->keep, party, i, true);
    }
    bool fails = changes != 0 &&
                 !run_apart(hunt->seed, hunt->steps, &hunt->keep, hunt->scratch, false) &&
                 hunt->scratch->why == hunt->why;
    hunt->runs += changes != 0;
    if (!fails)
        hunt->keep.dropped[party] = before;
    free(fails ? before : after);
    return fails;
}

static void hunt_with_chunks(struct hunt *hunt, const uint32_t *records, uint32_t chunk)
{
    for (uint32_t party = 0; party < SIM_PARTIES; party++) {
        for (uint32_t end = records[party]; end > 0 && time(NULL) < hunt->deadline;) {
            uint32_t first = end > chunk ? end - chunk : 0;
            (void)try_without(hunt, party, first, end);
            end = first;
        }
    }
}

void minimise(uint64_t seed, uint64_t steps, struct sim_result *result, uint64_t seconds)
{
    struct sim_result failed = *result;
    struct hunt hunt = {.seed = seed,
                        .steps = steps,
                        .why = result->why,
                        .scratch = result,
                        .deadline = time(NULL) + (time_t)seconds};
    uint32_t limit = 0;
    for (uint32_t party = 0; party < SIM_PARTIES; party++)
        limit = failed.records[party] > limit ? failed.records[party] : limit;
    if (!keep_make(&hunt.keep, limit)) {
        printf("no memory to make it smaller\n");
        return;
    }
    uint32_t all = count_kept(&hunt.keep, &failed);
    for (uint32_t chunk = limit; chunk != 0 && time(NULL) < hunt.deadline; chunk /= 2)
        hunt_with_chunks(&hunt, failed.records, chunk);
    printf("smaller: %u of %u records, after %u runs; it says:\n", count_kept(&hunt.keep, &failed),
           all, hunt.runs);
    (void)run_apart(seed, steps, &hunt.keep, result, true);
    printf("again: sim --seed %" PRIu64 " --steps %" PRIu64 " --drop ", seed, steps);
    keep_print(&hunt.keep);
    printf("\n");
}
