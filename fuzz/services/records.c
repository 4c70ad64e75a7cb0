/*
 * See records.h.
 */
#include "services/records.h"

#include "model/section_operation.h"

uint64_t records_random(uint64_t *state)
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

void records_draw(const struct compared *world, uint64_t *state,
                  uint8_t record[OPERATION_RECORD_SIZE])
{
    static const uint8_t TYPES[] = {4, 7, 8, 4, 7, 8, 4, 7, 8, 4, 3, 6, 2, 5, 0, 1};
    static const uint8_t PROTECTIONS[] = {6, 6, 6, 6, 6, 6, 6, 6, 4, 5, 3, 1, 46, 40, 48, 56};
    uint64_t draw = records_random(state);
    struct operation decoded = {0};

    for (unsigned i = 0; i < OPERATION_RECORD_SIZE; i++) {
        record[i] = (uint8_t)records_random(state);
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
