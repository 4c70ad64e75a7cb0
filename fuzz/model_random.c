/*
 * A long random run against the page-array model: many operations of four processes, two of which
 * take turns with two others, on systems of every kind.
 *
 *     model_random OPERATIONS SEED
 *
 * What differs prints itself (services/compared.h). The run also fails when less than 60 % of the
 * operations succeed: refusals are easy, and say little of what memory holds.
 */
#include "services/records.h"

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

/* Every combination of the header's bits, but paged seldom: that costs most. */
static uint8_t make_header(uint64_t *state)
{
    uint8_t header = (uint8_t)records_random(state);

    return records_random(state) % PAGED_EVERY ? header & (uint8_t)~HEADER_PAGED
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
        records_draw(&world, state, record);
        compared_run_record(&world, record, &operation);
        if (records % CHECK_EVERY_RECORDS == 0) {
            compared_check(&world);
            totals->checks++;
        }
        if (records % CHANGE_EVERY_RECORDS == 0) {
            uint64_t which = records_random(state);

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
