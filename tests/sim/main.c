/*
 * tests/sim: runs seeds, and makes what fails small.
 *
 *     sim [--seed N] [--seeds COUNT] [--steps M] [--minimise SECONDS] [--drop LIST]
 *         [--twice] [--verbose]
 *
 * Each seed runs in a process of its own, so that one which traps, or does not come to an end, is
 * reported, and made smaller by leaving records out. Exit status 0: all seeds passed; 1: one did
 * not; 2: the command line.
 */
#define _GNU_SOURCE 1
#include "sim/minimise.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define DEFAULT_STEPS 10000u
#define DEFAULT_MINIMISE_SECONDS 60u

static const char *const POINT_NAMES[POINT_COUNT] = {"acquire", "release", "relax", "exchange",
                                                     "completion"};

struct options {
    uint64_t seed;
    uint64_t seeds;
    uint64_t steps;
    uint64_t minimise_seconds;
    const char *drop;
    bool is_twice;
    bool is_verbose;
};

static void usage(FILE *file)
{
    fprintf(file,
            "usage: sim [--seed N] [--seeds COUNT] [--steps M] [--minimise SECONDS]\n"
            "           [--drop LIST] [--twice] [--verbose]\n"
            "\n"
            "  --seed N            the first seed; default 1\n"
            "  --seeds COUNT       how many; default 1\n"
            "  --steps M           public calls, door entries and completions of a seed, at\n"
            "                      least; default %u\n"
            "  --minimise SECONDS  how long to look for a smaller run that fails alike; 0: not\n"
            "                      at all; default %u\n"
            "  --drop LIST         leave records out, as a smaller run says: how many records\n"
            "                      there are, and ,PARTY:FIRST-LAST for those that do not count\n"
            "  --twice             each seed twice: the hashes must be equal\n"
            "  --verbose           the shape and the counts of each seed\n",
            DEFAULT_STEPS, DEFAULT_MINIMISE_SECONDS);
}

static bool parse_number(const char *text, uint64_t *number)
{
    char *end;
    *number = strtoull(text, &end, 0);
    return *text != 0 && *text != '-' && *end == 0;
}

static bool parse(int count, char **arguments, struct options *options)
{
    static const struct option LONG[] = {
        {"seed", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 'n'},
        {"steps", required_argument, NULL, 'm'},
        {"minimise", required_argument, NULL, 'i'},
        {"drop", required_argument, NULL, 'd'},
        {"twice", no_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    bool is_right = true;
    for (int c; (c = getopt_long(count, arguments, "", LONG, NULL)) != -1;) {
        switch (c) {
        case 's':
            is_right &= parse_number(optarg, &options->seed);
            break;
        case 'n':
            is_right &= parse_number(optarg, &options->seeds);
            break;
        case 'm':
            is_right &= parse_number(optarg, &options->steps) && options->steps != 0;
            break;
        case 'i':
            is_right &= parse_number(optarg, &options->minimise_seconds);
            break;
        case 'd':
            options->drop = optarg;
            break;
        case 't':
            options->is_twice = true;
            break;
        case 'v':
            options->is_verbose = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            return false;
        }
    }
    return is_right && optind == count;
}

static void print_points(const struct sim_result *result)
{
    for (uint32_t i = 0; i < POINT_COUNT; i++)
        printf(" %s %" PRIu64, POINT_NAMES[i], result->points[i]);
}

static void print_result(uint64_t seed, const struct sim_result *result)
{
    struct shape shape;
    shape_draw(seed, &shape);
    shape_print(&shape);
    printf("  %" PRIu64 " steps, %" PRIu64 " made again, %" PRIu64 " transfers failed, %" PRIu64
           " charges refused, %" PRIu64 " switches\n  points:",
           result->steps, result->again, result->errors, result->refused_charges, result->switches);
    print_points(result);
    printf("\n");
}

static void add(struct sim_result *sum, const struct sim_result *result)
{
    sum->steps += result->steps;
    sum->again += result->again;
    sum->errors += result->errors;
    sum->refused_charges += result->refused_charges;
    sum->switches += result->switches;
    sum->hash = (sum->hash ^ result->hash) * UINT64_C(0x100000001b3);
    for (uint32_t i = 0; i < POINT_COUNT; i++)
        sum->points[i] += result->points[i];
}

/* No kind of point may be missing: where none is, nothing was tested. */
static bool print_sum(const struct options *options, const struct sim_result *sum)
{
    bool is_whole = true;
    printf("%" PRIu64 " seeds, %" PRIu64 " steps, %" PRIu64 " made again after %" PRIu64
           " failed transfers and %" PRIu64 " refused charges, %" PRIu64
           " switches, hash %016" PRIX64 "\npoints:",
           options->seeds, sum->steps, sum->again, sum->errors, sum->refused_charges, sum->switches,
           sum->hash);
    print_points(sum);
    printf("\n");
    for (uint32_t i = 0; i < POINT_COUNT; i++) {
        if (sum->points[i] == 0) {
            printf("no point of the kind %s was met\n", POINT_NAMES[i]);
            is_whole = false;
        }
    }
    return is_whole;
}

/* The records to be left out of every run; NULL: none. */
static const struct keep *read_drop(const char *list, struct keep *keep)
{
    if (list == NULL)
        return NULL;
    if (!keep_parse(keep, list)) {
        fprintf(stderr, "sim: --drop: not a list of records: %s\n", list);
        exit(2);
    }
    return keep;
}

static bool is_repeated(const struct options *options, uint64_t seed, const struct keep *keep,
                        struct sim_result *result)
{
    uint64_t hash = result->hash;
    if (run_apart(seed, options->steps, keep, result, true) && result->hash == hash)
        return true;
    printf("seed %" PRIu64 ": hash %016" PRIX64 ", and %016" PRIX64 " the second time\n", seed,
           hash, result->hash);
    return false;
}

static bool run_seed(const struct options *options, uint64_t seed, const struct keep *keep,
                     struct sim_result *result)
{
    if (!run_apart(seed, options->steps, keep, result, true)) {
        printf("seed %" PRIu64 " fails; again: sim --seed %" PRIu64 " --steps %" PRIu64 "\n", seed,
               seed, options->steps);
        if (options->minimise_seconds != 0 && keep == NULL)
            minimise(seed, options->steps, result, options->minimise_seconds);
        return false;
    }
    if (options->is_verbose || options->seeds == 1) {
        printf("seed %" PRIu64 ": hash %016" PRIX64 "\n", seed, result->hash);
        print_result(seed, result);
    }
    return !options->is_twice || is_repeated(options, seed, keep, result);
}

int main(int count, char **arguments)
{
    struct options options = {.seed = 1,
                              .seeds = 1,
                              .steps = DEFAULT_STEPS,
                              .minimise_seconds = DEFAULT_MINIMISE_SECONDS};
    struct sim_result sum = {0};
    if (!parse(count, arguments, &options)) {
        usage(stderr);
        return 2;
    }
    struct keep drop;
    const struct keep *keep = read_drop(options.drop, &drop);
    struct sim_result *result =
        mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (result == MAP_FAILED) {
        perror("sim: mmap");
        return 2;
    }
    for (uint64_t i = 0; i < options.seeds; i++) {
        if (!run_seed(&options, options.seed + i, keep, result))
            return 1;
        add(&sum, result);
        fflush(stdout);
    }
    return print_sum(&options, &sum) ? 0 : 1;
}
