/*
 * Records of random operations that mostly succeed.
 *
 * Half of them are about sections. Of the others fifteen in sixteen ask for what is likely to be
 * granted: a living process, memory that is there, small sizes, a plain protection, and accesses
 * around the call in one of 32 only. What the bytes of a record mean: operation_decode.
 */
#ifndef FUZZ_SERVICES_RECORDS_H
#define FUZZ_SERVICES_RECORDS_H

#include "services/compared.h"

/* splitmix64 */
uint64_t records_random(uint64_t *state);

/* The next record, drawn from the state and from what the world holds. */
void records_draw(const struct compared *world, uint64_t *state,
                  uint8_t record[OPERATION_RECORD_SIZE]);

#endif
