/*
 * tests/sim: runs seeds, and makes what fails small.
 *
 *     sim [--seed N] [--seeds COUNT] [--steps M] [--minimise SECONDS] [--drop LIST]
 *         [--progress SECONDS] [--frames FILE] [--crowd] [--twice] [--verbose]
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
#include <time.h>

#define DEFAULT_STEPS 10000u
#define DEFAULT_MINIMISE_SECONDS 60u

static const char *const POINT_NAMES[POINT_COUNT] = {"acquire", "release", "relax", "exchange",
                                                     "completion"};

struct options {
    uint64_t seed;
    uint64_t seeds;
    uint64_t steps;
    uint64_t minimise_seconds;
    uint64_t progress_seconds; /* 0: none is told */
    const char *drop;
    bool is_twice;
    bool is_verbose;
};

static void usage(FILE *file)
{
    fprintf(file,
            "usage: sim [--seed N] [--seeds COUNT] [--steps M] [--minimise SECONDS]\n"
            "           [--drop LIST] [--progress SECONDS] [--frames FILE] [--crowd] [--twice]\n"
            "           [--verbose]\n"
            "\n"
            "  --seed N            the first seed; default 1; --first-seed N is the same\n"
            "  --seeds COUNT       how many; default 1\n"
            "  --steps M           public calls, door entries and completions of a seed, at\n"
            "                      least; default %u\n"
            "  --minimise SECONDS  how long to look for a smaller run that fails alike; 0: not\n"
            "                      at all; default %u\n"
            "  --drop LIST         leave records out, as a smaller run says: how many records\n"
            "                      there are, and ,PARTY:FIRST-LAST for those that do not count\n"
            "  --progress SECONDS  so often: seeds, steps, steps a second, and with which seed to\n"
            "                      go on if it is stopped\n"
            "  --frames FILE       what becomes of frames, for tests/models/trace.py\n"
            "  --crowd             many fault on few pages that are out, instead of much else\n"
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

static void open_frames(const char *path)
{
    if (!frames_open(path)) {
        perror(path);
        exit(2);
    }
}

static bool parse(int count, char **arguments, struct options *options)
{
    static const struct option LONG[] = {
        {"seed", required_argument, NULL, 's'},
        {"first-seed", required_argument, NULL, 's'},
        {"progress", required_argument, NULL, 'p'},
        {"seeds", required_argument, NULL, 'n'},
        {"steps", required_argument, NULL, 'm'},
        {"minimise", required_argument, NULL, 'i'},
        {"drop", required_argument, NULL, 'd'},
        {"frames", required_argument, NULL, 'f'},
        {"twice", no_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'},
        {"crowd", no_argument, NULL, 'c'},
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
        case 'p':
            is_right &= parse_number(optarg, &options->progress_seconds);
            break;
        case 'd':
            options->drop = optarg;
            break;
        case 'f':
            open_frames(optarg);
            break;
        case 'c':
            shape_want_crowd();
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

static const char *const SERVICE_NAMES[SERVICE_COUNT] = {
    "watch",
    "reset-watch",
    "probe",
    "secure",
    "unsecure",
    "job",
    "clone",
    "of-clone",
    "large-pages",
    "large-section",
    "large-view",
    "physical-pages",
    "map-physical",
    "map-scattered",
    "image",
    "image-elsewhere",
    "image-write",
    "stack",
    "stack-growth",
    "code",
    "call-target",
    "copied-pages",
    "copy",
    "file-lock",
    "remove-frames",
    "trim-prototypes",
    "free-prototypes",
};

/* So many seeds meet services of every kind. */
#define SEEDS_OF_ALL_SERVICES 25u

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
           " charges refused, %" PRIu64 " switches,\n  %" PRIu64 " power cuts, %" PRIu64
           " turns of snapshots\n  points:",
           result->steps, result->again, result->errors, result->refused_charges, result->switches,
           result->boots, result->turns);
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
    sum->boots += result->boots;
    sum->turns += result->turns;
    sum->hash = (sum->hash ^ result->hash) * UINT64_C(0x100000001b3);
    for (uint32_t i = 0; i < POINT_COUNT; i++)
        sum->points[i] += result->points[i];
    for (uint32_t i = 0; i < SERVICE_COUNT; i++)
        sum->services[i] += result->services[i];
}

static bool print_services(const struct options *options, const struct sim_result *sum)
{
    bool is_whole = true;
    printf("services:");
    for (uint32_t i = 0; i < SERVICE_COUNT; i++) {
        printf(" %s %" PRIu64, SERVICE_NAMES[i], sum->services[i]);
        is_whole &= sum->services[i] != 0 || options->seeds < SEEDS_OF_ALL_SERVICES;
    }
    printf("%s\n", is_whole ? "" : "\na service was never met");
    return is_whole;
}

/* No kind of point may be missing: where none is, nothing was tested. */
static bool print_sum(const struct options *options, const struct sim_result *sum)
{
    bool is_whole = true;
    printf("%" PRIu64 " seeds, %" PRIu64 " steps, %" PRIu64 " made again after %" PRIu64
           " failed transfers and %" PRIu64 " refused charges, %" PRIu64 " switches, %" PRIu64
           " power cuts, %" PRIu64 " turns of snapshots, hash %016" PRIX64 "\npoints:",
           options->seeds, sum->steps, sum->again, sum->errors, sum->refused_charges, sum->switches,
           sum->boots, sum->turns, sum->hash);
    print_points(sum);
    printf("\n");
    is_whole &= print_services(options, sum);
    for (uint32_t i = 0; i < POINT_COUNT; i++) {
        if (sum->points[i] == 0) {
            printf("no point of the kind %s was met\n", POINT_NAMES[i]);
            is_whole = false;
        }
    }
    return is_whole;
}

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
}

static void print_speed(uint64_t seeds, uint64_t steps, double seconds)
{
    printf("%" PRIu64 " seeds, %" PRIu64 " steps in %.0f s: %.0f steps/s", seeds, steps, seconds,
           seconds > 0 ? (double)steps / seconds : 0);
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

static bool run_seeds(const struct options *options, const struct keep *keep,
                      struct sim_result *result)
{
    struct sim_result sum = {0};
    struct timespec begin;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    double told = 0;
    for (uint64_t i = 0; i < options->seeds; i++) {
        if (!run_seed(options, options->seed + i, keep, result))
            return false;
        add(&sum, result);
        double seconds = seconds_since(&begin);
        if (options->progress_seconds != 0 && seconds - told >= (double)options->progress_seconds) {
            told = seconds;
            print_speed(i + 1, sum.steps, seconds);
            printf("; next: --first-seed %" PRIu64 "\n", options->seed + i + 1);
        }
        fflush(stdout);
    }
    if (options->progress_seconds != 0) {
        print_speed(options->seeds, sum.steps, seconds_since(&begin));
        printf("\n");
    }
    return print_sum(options, &sum);
}

int main(int count, char **arguments)
{
    struct options options = {.seed = 1,
                              .seeds = 1,
                              .steps = DEFAULT_STEPS,
                              .minimise_seconds = DEFAULT_MINIMISE_SECONDS};
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
    return run_seeds(&options, keep, result) ? 0 : 1;
}
