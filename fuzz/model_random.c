/*
 * A long random run against the page-array model: many operations of four processes, two of which
 * take turns with two others, on systems of every kind.
 *
 *     model_random OPERATIONS SEED
 *
 * What differs prints itself (services/compared.h). The run also fails when less than 60 % of the
 * operations succeed: refusals are easy, and say little of what memory holds.
 */
#include "services/compared.h"

#include "model/section_operation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define OPERATIONS_OF_SYSTEM 4000u
#define RAM_BYTES 0x800000u
#define PAGED_RAM_BYTES 0x180000u /* all of it is taken after each operation */
#define PAGED_EVERY 8u
#define SEAT_COUNT 2u
#define CHECK_EVERY_RECORDS 64u
#define CHANGE_EVERY_RECORDS 16u
#define LEAST_PERCENT 60u

struct totals {
    uint64_t operations;
    uint64_t succeeded;
    uint64_t checks;
    uint64_t systems;
};

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t value = *state += 0x9E3779B97F4A7C15ull;

    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
    return value ^ (value >> 31);
}

/* A place that is likely right for the verb: selectors of operation_decode. */
static uint8_t place_for(enum verb verb, uint64_t draw)
{
    static const uint8_t ACCESSES[] = {0, 1, 0, 1, 0, 1, 5, 2};
    static const uint8_t RANGES[] = {3, 3, 3, 3, 7, 2, 4, 0};
    static const uint8_t ALLOCATIONS[] = {0, 1, 0, 1, 0, 2, 3, 6};

    if (verb <= VERB_ALLOCATE_EX) {
        return ALLOCATIONS[draw % 8];
    }
    return verb >= VERB_READ ? ACCESSES[draw % 8] : RANGES[draw % 8];
}

/* A region with committed pages, if one is near the region drawn. */
static uint8_t region_for(const struct model_process *model, uint8_t drawn)
{
    for (uint8_t i = 0; i < 16 && model->region_count; i++) {
        uint8_t other = (uint8_t)(drawn + i);

        if (model->regions[other % model->region_count].page_count) {
            return other;
        }
    }
    return drawn;
}

/*
 * Half of the records are about sections. Of the others fifteen in sixteen ask for what is likely
 * to be granted: a living process, memory that is there, small sizes, a plain protection, and
 * accesses around the call in one of 32 only. What the bytes of a record mean: operation_decode.
 */
static void make_record(const struct compared *world, uint64_t *state,
                        uint8_t record[OPERATION_RECORD_SIZE])
{
    static const uint8_t TYPES[] = {4, 7, 8, 4, 7, 8, 4, 7, 8, 4, 3, 6, 2, 5, 0, 1};
    static const uint8_t PROTECTIONS[] = {6, 6, 6, 6, 6, 6, 6, 6, 4, 5, 3, 1, 46, 40, 48, 56};
    uint64_t draw = next_random(state);
    struct operation decoded = {0};

    for (unsigned i = 0; i < OPERATION_RECORD_SIZE; i++) {
        record[i] = (uint8_t)next_random(state);
    }
    if (draw % 16 == 0) {
        return;
    }
    if (draw >> 40 & 1) {
        record[0] = (uint8_t)(SECTION_OPERATION_FIRST + record[0] % SECTION_OPERATION_VERBS);
        record[1] &= 0x7F;
        record[9] &= (uint8_t)~(draw >> 24 & 31 ? 1u : 0u);
        return;
    }
    operation_decode(world->models, record, &decoded);
    record[1] &= 0x7F;
    record[2] = place_for(decoded.verb, draw >> 8);
    record[3] = region_for(&world->models[record[1] % WHO_LIVING], record[3]);
    record[5] %= 3;
    record[6] %= 4;
    record[7] = decoded.verb == VERB_ALLOCATE ? TYPES[draw >> 32 & 15] : record[7] % 0xF4;
    record[8] = PROTECTIONS[draw >> 16 & 15];
    record[9] = (uint8_t)(record[9] % 192 & ~(draw >> 24 & 31 ? 1u : 0u));
    record[10] %= 240;
}

/* Every combination of the header's bits, but paged seldom: that costs most. */
static uint8_t make_header(uint64_t *state)
{
    uint8_t header = (uint8_t)next_random(state);

    return next_random(state) % PAGED_EVERY ? header & (uint8_t)~HEADER_PAGED
                                            : header | HEADER_PAGED;
}

static void run_system(uint64_t *state, struct totals *totals)
{
    uint8_t header = make_header(state);
    struct compared world = {.limit = OPERATIONS_OF_SYSTEM,
                             .ram_bytes = header & HEADER_PAGED ? PAGED_RAM_BYTES : RAM_BYTES};
    struct compared_seat seats[SEAT_COUNT];
    struct operation operation = {0};
    uint8_t record[OPERATION_RECORD_SIZE];

    compared_begin(&world, header);
    for (unsigned i = 0; i < SEAT_COUNT; i++) {
        compared_make_seat(&world, &seats[i]);
    }
    for (unsigned records = 1; compared_has_room(&world); records++) {
        make_record(&world, state, record);
        compared_run_record(&world, record, &operation);
        if (records % CHECK_EVERY_RECORDS == 0) {
            compared_check(&world);
            totals->checks++;
        }
        if (records % CHANGE_EVERY_RECORDS == 0) {
            uint64_t which = next_random(state);

            compared_change_seats(&world, which & 1 ? WHO_LIVE : WHO_OTHER,
                                  &seats[(which >> 1) % SEAT_COUNT]);
        }
    }
    totals->operations += world.count;
    totals->succeeded += world.succeeded;
    totals->systems++;
    for (unsigned i = 0; i < SEAT_COUNT; i++) {
        compared_end_seat(&world, &seats[i]);
    }
    compared_end(&world);
}

int main(int count, char **arguments)
{
    uint64_t wanted = count == 3 ? strtoull(arguments[1], NULL, 0) : 0;
    uint64_t state = count == 3 ? strtoull(arguments[2], NULL, 0) : 0;
    struct totals totals = {0};

    if (wanted == 0) {
        fprintf(stderr, "usage: model_random OPERATIONS SEED\n");
        return 2;
    }
    while (totals.operations < wanted) {
        run_system(&state, &totals);
    }
    printf("%" PRIu64 " operations on %" PRIu64 " systems, %" PRIu64 " %% succeeded, %" PRIu64
           " whole comparisons\n",
           totals.operations, totals.systems, totals.succeeded * 100 / totals.operations,
           totals.checks);
    return totals.succeeded * 100 < totals.operations * LEAST_PERCENT;
}
