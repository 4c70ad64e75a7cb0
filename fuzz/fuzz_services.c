/*
 * Random service calls and accesses of two processes of one system, against the page-array model.
 *
 * An input is a header byte and records of 12 bytes; each decodes to one operation, biased to what
 * lies near existing regions and near the edges of the address space. After each operation status,
 * in/out values, exception parameters and bytes read must be the model's; every few operations the
 * whole map of both processes and the invariants are compared (services/compared.h).
 */
#include "services/compared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OPERATION_LIMIT 300u
#define RAM_BYTES 0x200000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct compared world = {.limit = OPERATION_LIMIT, .ram_bytes = RAM_BYTES};
    struct operation operation = {0};
    unsigned records = 0;

    if (size == 0) {
        return 0;
    }
    compared_begin(&world, data[0]);
    for (size_t at = 1; at + OPERATION_RECORD_SIZE <= size && compared_has_room(&world);
         at += OPERATION_RECORD_SIZE) {
        compared_run_record(&world, data + at, &operation);
        if (++records % (1 + (data[0] & CHECK_EVERY_MASK)) == 0) {
            compared_check(&world);
        }
    }
    compared_end(&world);
    return 0;
}
