/*
 * Judges paging: how often LRU and Belady's MIN miss on the page references of traces. See
 * page_policies.h for the terms. It shares no code with ntmm; traces and turns are read as
 * docs/traces.md describes them.
 *
 * A reference uses its pages in rising order. Using the page that was used last changes neither
 * policy's memory and misses in neither, so it is left out of what both of them see.
 */
#include "page_policies.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURN_RECORDS_MAX 32767u
#define SIZES_MAX 64u

static const char usage[] =
    "usage: page_policies [OPTION...] TRACE...\n"
    "\n"
    "Prints how often exact LRU and Belady's MIN miss on the references of the traces to pages of\n"
    "4 KiB. Several traces take turns as in `ntmm replay`. TRACE is a binary trace (.ntt) or\n"
    "lackey's text.\n"
    "\n"
    "  --frames LIST  sizes of memory, as 100,200 in frames or 1/2,1/4 of the distinct pages\n"
    "  --seed N       order of turns; default 1\n"
    "  --data         loads, stores and modifies only\n"
    "  --json         one JSON object\n"
    "  --turns        only the turns, one a line: references of all traces before it, index of\n"
    "                 its trace, references of that trace before it, references in it\n";

struct program {
    const char *name;
    struct trace_records *trace;
    bool is_finished;
    uint64_t reference_count;
    uint32_t page_count;
};

/* A size of memory: so many frames, or the distinct pages divided by so many. */
struct size {
    uint64_t number;
    bool is_divisor;
};

struct study {
    uint64_t seed;
    bool wants_data_only;
    bool wants_json;
    bool wants_turns;
    unsigned size_count;
    struct size sizes[SIZES_MAX];
    uint32_t program_count;
    struct program *programs;
    struct page_numbers *numbers;
    uint32_t last_page;
    uint64_t reference_count;
    struct lru *lru;
    struct distances uses;       /* stack distances of pages used */
    struct distances references; /* the largest one of each reference */
    struct page_order order;
};

static uint64_t parse_number(const char *text, char **end)
{
    if (*text < '0' || *text > '9')
        die("not a number");
    return strtoull(text, end, 10);
}

static void parse_sizes(struct study *study, const char *text)
{
    for (char *end;; text = end + 1) {
        struct size *size = &study->sizes[study->size_count++];
        size->is_divisor = strncmp(text, "1/", 2) == 0;
        size->number = parse_number(size->is_divisor ? text + 2 : text, &end);
        if (size->number == 0 || (*end != '\0' && *end != ','))
            die("--frames: not a list such as 100,200 or 1/2,1/4");
        if (*end == '\0')
            return;
        if (study->size_count == SIZES_MAX)
            die("--frames: too many sizes");
    }
}

static void parse(struct study *study, int argc, char **argv)
{
    static const struct option options[] = {
        {"frames", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 's'},
        {"data", no_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},
        {"turns", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    char *end = NULL;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (option == '?')
            exit(2);
        if (option == 'f') {
            study->size_count = 0;
            parse_sizes(study, optarg);
        }
        if (option == 's') {
            study->seed = parse_number(optarg, &end);
            if (*end != '\0')
                die("--seed: not a number");
        }
        study->wants_data_only |= option == 'd';
        study->wants_json |= option == 'j';
        study->wants_turns |= option == 't';
    }
    if (optind == argc)
        die("page_policies needs a TRACE; see --help");
    study->program_count = (uint32_t)(argc - optind);
    study->programs = allocate(study->program_count, sizeof *study->programs);
    for (uint32_t i = 0; i < study->program_count; i++) {
        study->programs[i].name = argv[optind + (int)i];
        study->programs[i].trace = trace_records_open(study->programs[i].name);
    }
}

/* Returns the stack distance. */
static uint32_t use_page(struct study *study, uint32_t program, uint64_t address_page)
{
    uint32_t page = page_number_of(study->numbers, program, address_page);
    if (page == study->last_page)
        return 1;
    study->last_page = page;
    uint32_t distance = lru_use(study->lru, page);
    distances_add(&study->uses, distance);
    study->programs[program].page_count += distance == DISTANCE_NEVER;
    if (study->size_count != 0)
        page_order_add(&study->order, page);
    return distance;
}

static void refer(struct study *study, uint32_t program, const struct trace_record *record)
{
    uint64_t page = record->address / PAGE_BYTES;
    uint64_t last = (record->address + record->size_bytes - 1) / PAGE_BYTES;
    uint32_t largest = 1;
    if (study->wants_data_only && record->kind == RECORD_FETCH)
        return;
    if (study->wants_data_only && record->folded != 0)
        die("--data needs exact traces: a folded one counts references of all kinds together");
    study->programs[program].reference_count += 1 + (uint64_t)record->folded;
    study->reference_count += 1 + (uint64_t)record->folded;
    for (; page <= last && !study->wants_turns; page++) {
        uint32_t distance = use_page(study, program, page);
        if (distance > largest)
            largest = distance;
    }
    if (largest > 1)
        distances_add(&study->references, largest);
}

/* SplitMix64. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators". */
static uint64_t draw(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15u;
    uint64_t mixed = (*state ^ *state >> 30) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBu;
    return mixed ^ mixed >> 31;
}

static void take_turn(struct study *study, uint32_t index, uint64_t records)
{
    struct program *program = &study->programs[index];
    struct trace_record record;
    uint64_t all_before = study->reference_count;
    uint64_t before = program->reference_count;
    while (records-- != 0) {
        program->is_finished = !trace_records_next(program->trace, &record);
        if (program->is_finished)
            break;
        refer(study, index, &record);
    }
    if (study->wants_turns)
        printf("%" PRIu64 " %" PRIu32 " %" PRIu64 " %" PRIu64 "\n", all_before, index, before,
               program->reference_count - before);
}

/* Which program is the n-th of those not finished. */
static uint32_t find_unfinished(const struct study *study, uint64_t n)
{
    uint32_t index = 0;
    while (study->programs[index].is_finished || n-- != 0)
        index++;
    return index;
}

static void take_turns(struct study *study)
{
    uint64_t state = study->seed;
    uint32_t unfinished = study->program_count;
    while (unfinished != 0) {
        uint32_t index = find_unfinished(study, draw(&state) % unfinished);
        take_turn(study, index, 1 + draw(&state) % TURN_RECORDS_MAX);
        unfinished -= study->programs[index].is_finished;
    }
}

static uint64_t frames_of(const struct study *study, const struct size *size)
{
    uint64_t frames = size->number;
    if (size->is_divisor)
        frames = page_numbers_count(study->numbers) / size->number;
    return frames != 0 ? frames : 1;
}

struct outcome {
    uint64_t frames;
    uint64_t lru;
    uint64_t lru_references; /* references of which a page misses */
    uint64_t min;
};

static struct outcome judge(const struct study *study, const struct size *size)
{
    uint64_t frames = frames_of(study, size);
    return (struct outcome){
        .frames = frames,
        .lru = distances_misses(&study->uses, frames),
        .lru_references = distances_misses(&study->references, frames),
        .min = min_misses(&study->order, frames),
    };
}

static void print_text(const struct study *study)
{
    for (uint32_t i = 0; i < study->program_count; i++)
        printf("%s: %" PRIu64 " references, %" PRIu32 " pages\n", study->programs[i].name,
               study->programs[i].reference_count, study->programs[i].page_count);
    printf("pages %" PRIu32 ", references %" PRIu64 ", uses but repeats %zu\n",
           page_numbers_count(study->numbers), study->reference_count, study->order.count);
    printf("%12s %14s %14s %14s\n", "frames", "LRU misses", "in references", "MIN misses");
    for (unsigned i = 0; i < study->size_count; i++) {
        struct outcome outcome = judge(study, &study->sizes[i]);
        printf("%12" PRIu64 " %14" PRIu64 " %14" PRIu64 " %14" PRIu64 "\n", outcome.frames,
               outcome.lru, outcome.lru_references, outcome.min);
    }
}

/* A file's name as a JSON string; what is not plain ASCII becomes a question mark. */
static void print_name(const char *name)
{
    putchar('"');
    for (; *name != '\0'; name++)
        putchar(*name >= ' ' && *name <= '~' && *name != '"' && *name != '\\' ? *name : '?');
    putchar('"');
}

static void print_json(const struct study *study)
{
    printf("{\"seed\": %" PRIu64 ", \"pages\": %" PRIu32 ", \"references\": %" PRIu64
           ",\n \"traces\": [",
           study->seed, page_numbers_count(study->numbers), study->reference_count);
    for (uint32_t i = 0; i < study->program_count; i++) {
        fputs(i != 0 ? ",\n  {\"name\": " : "\n  {\"name\": ", stdout);
        print_name(study->programs[i].name);
        printf(", \"references\": %" PRIu64 ", \"pages\": %" PRIu32 "}",
               study->programs[i].reference_count, study->programs[i].page_count);
    }
    fputs("],\n \"sizes\": [", stdout);
    for (unsigned i = 0; i < study->size_count; i++) {
        struct outcome outcome = judge(study, &study->sizes[i]);
        printf("%s\n  {\"frames\": %" PRIu64 ", \"lru_misses\": %" PRIu64
               ", \"lru_missing_references\": %" PRIu64 ", \"min_misses\": %" PRIu64 "}",
               i != 0 ? "," : "", outcome.frames, outcome.lru, outcome.lru_references, outcome.min);
    }
    fputs("]}\n", stdout);
}

static void release(struct study *study)
{
    for (uint32_t i = 0; i < study->program_count; i++)
        trace_records_close(study->programs[i].trace);
    free(study->programs);
    page_numbers_destroy(study->numbers);
    lru_destroy(study->lru);
    free(study->uses.count);
    free(study->references.count);
    free(study->order.page);
    free(study->order.next);
}

int main(int argc, char **argv)
{
    struct study study = {.seed = 1, .last_page = UINT32_MAX};
    parse(&study, argc, argv);
    study.numbers = page_numbers_create();
    study.lru = lru_create();
    take_turns(&study);
    page_order_find_next(&study.order);
    if (!study.wants_turns)
        (study.wants_json ? print_json : print_text)(&study);
    release(&study);
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 2;
}
