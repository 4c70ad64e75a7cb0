/*
 * See storage.h. One thread, and no call in progress.
 */
#include "unit/storage.h"

#include "x64/formats.h"

uint64_t must_add_disk(struct machine *m, uint64_t size, uint64_t maximum, uint32_t flags)
{
    struct ntmm_emulated_disk_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = size,
        .maximum_bytes = maximum,
        .flags = flags,
    };
    uint64_t device = 0;
    assert_int_equal(ntmm_emulated_add_disk(m->emu, &config, &device), NTMM_STATUS_SUCCESS);
    return device;
}

ntmm_status try_create_file(struct machine *m, uint64_t device, uint64_t initial, uint64_t maximum,
                            uint32_t *number)
{
    struct ntmm_paging_file_config config = {
        .size = sizeof config,
        .version = NTMM_PAGING_FILE_VERSION,
        .device = device,
        .initial_bytes = initial,
        .maximum_bytes = maximum,
    };
    return ntmm_create_paging_file(m->system, &config, number);
}

uint32_t must_add_file(struct machine *m, uint64_t initial, uint64_t maximum, uint64_t *device)
{
    uint32_t number = UINT32_MAX;
    uint64_t disk = must_add_disk(m, initial, maximum, 0);
    assert_int_equal(try_create_file(m, disk, initial, maximum, &number), NTMM_STATUS_SUCCESS);
    if (device != NULL)
        *device = disk;
    return number;
}

struct ntmm_paging_file_information must_query_file(struct machine *m, uint32_t number)
{
    struct ntmm_paging_file_information information;
    assert_int_equal(ntmm_query_paging_file(m->system, number, &information), NTMM_STATUS_SUCCESS);
    return information;
}

void must_fail_disk(struct machine *m, uint64_t device, enum ntmm_io_operation operation,
                    uint64_t count, ntmm_status status, uint64_t base, uint64_t end)
{
    struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << operation,
        .count = count,
        .status = status,
        .base_bytes = base,
        .end_bytes = end,
    };
    assert_int_equal(ntmm_emulated_inject_disk(m->emu, device, count != 0 ? &errors : NULL),
                     NTMM_STATUS_SUCCESS);
}

static void pump(struct machine *m)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(m->emu);
    platform->pump(platform->context);
}

void must_finish_transfers(struct machine *m)
{
    struct call c = machine_call(m);
    for (uint32_t i = 0; i < 1000 && transfers_in_use(&c) != 0; i++)
        pump(m);
    assert_int_equal(transfers_in_use(&c), 0);
}

void must_wait(struct machine *m, uint64_t time_100ns)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(m->emu);
    uint64_t end = platform->now(platform->context) + time_100ns;
    while (platform->now(platform->context) < end)
        pump(m);
}

void must_trim(struct machine *m, uint64_t base, uint64_t size)
{
    uint32_t old = must_protect(m, base, size, NTMM_PAGE_NOACCESS);
    (void)must_protect(m, base, size, old);
}

uint64_t must_write_modified(struct machine *m, uint64_t budget)
{
    return ntmm_write_modified_pages(m->system, budget);
}

uint64_t machine_slot(struct machine *m, uint64_t va, uint32_t *file)
{
    uint64_t original = get64(&machine_row(m, machine_frame(m, va))->original_pte);
    if (file != NULL)
        *file = slot_file(original);
    return slot_of(original);
}

enum ntmm_frame_location machine_location(struct machine *m, uint64_t va)
{
    return pfn_location(machine_row(m, machine_frame(m, va)));
}
