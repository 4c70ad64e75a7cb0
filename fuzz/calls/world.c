/*
 * The machine of fuzz_calls: little RAM, perhaps page files, a commit limit that is reached; and
 * the judgement of what the calls return.
 */
#include "calls/world.h"

#include "paging/page_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bits of the first byte of an input. */
#define HEADER_FILE 0x01u
#define HEADER_SECOND_FILE 0x02u
#define HEADER_OLD_BUILD 0x04u
#define HEADER_LITTLE_COMMIT 0x08u
#define HEADER_RANDOM_LAYOUT 0x10u
#define HEADER_DIRTY_RAM 0x20u
#define HEADER_OLDEST_BUILD 0x40u
#define HEADER_CHECK_LEVEL 0x80u

#define LEAST_FRAMES 128u
#define HOLE_FRAMES 16ull
#define DISK_BYTES 0x400000u
#define FILE_BYTES 0x100000u
/* What is asked for is never that long; a teardown that loops is found. */
#define PUMP_LIMIT 10000u

_Noreturn void world_fail(const struct world *w, const char *why)
{
    printf("# byte %zu of %zu: %s\n", w->at, w->size, why);
    fflush(stdout);
    __builtin_trap();
}

void must(const struct world *w, bool holds, const char *why)
{
    if (!holds) {
        world_fail(w, why);
    }
}

void add_handle(struct world *w, ntmm_handle handle)
{
    w->handles[w->next_handle++ % HANDLE_COUNT] = handle;
}

void add_range(struct world *w, uint64_t base, uint64_t size)
{
    w->ranges[w->next_range++ % RANGE_COUNT] = (struct range){.base = base, .size = size};
}

bool is_waiting(const struct world *w)
{
    bool is_one = false;

    for (unsigned i = 0; i < WAIT_COUNT; i++) {
        is_one |= w->pending[i].is_pending;
    }
    return is_one;
}

/* Frames that the system lacks for a while */

void take_frames(struct world *w, uint64_t left, unsigned calls)
{
    struct call c = call_begin(w->system);
    struct ntmm_memory_information memory;
    uint64_t frame;

    give_frames(w);
    ntmm_query_memory(w->system, &memory);
    while (memory.zeroed_pages + memory.free_pages > left &&
           frame_allocate(&c, NTMM_USE_FREE, &frame)) {
        chain_add(&c, &w->hog, frame);
        ntmm_query_memory(w->system, &memory);
    }
    w->hog_calls = calls;
}

void give_frames(struct world *w)
{
    struct call c = call_begin(w->system);

    if (w->hog.count) {
        chain_free(&c, &w->hog);
    }
    w->hog = chain_empty();
    w->hog_calls = 0;
}

/* Judgement */

static void account_of(struct world *w, unsigned i, struct account *account)
{
    struct ntmm_process_information found;

    memset(account, 0, sizeof(*account));
    if (!ntmm_query_process(w->system, w->processes[i], &found)) {
        account->regions = found.region_count;
        account->size_bytes = found.virtual_size_bytes;
        account->commit_pages = found.commit_pages;
    }
}

/* In the place of one that has ended, if there is any. */
void add_process(struct world *w, ntmm_handle handle)
{
    struct ntmm_process_information found;
    unsigned place = w->next_process % PROCESS_COUNT;

    for (unsigned i = 0; i < PROCESS_COUNT; i++) {
        if (ntmm_query_process(w->system, w->processes[i], &found)) {
            place = i;
        }
    }
    w->next_process++;
    w->processes[place] = handle;
    account_of(w, place, &w->accounts[place]);
}

static bool is_of_platform(const struct world *w, ntmm_status status)
{
    if (status == NTMM_STATUS_INVALID_PARAMETER) {
        /* what is no memory has no contents; a device may have gone with a snapshot */
        return w->is_lending || w->device_count != 0;
    }
    if (status == NTMM_STATUS_ACCESS_DENIED || status == NTMM_STATUS_END_OF_FILE) {
        return w->device_count != 0; /* of a file that cannot be written, or is too short */
    }
    return status == NTMM_STATUS_DEVICE_DATA_ERROR || status == NTMM_STATUS_HARDWARE_MEMORY_ERROR ||
           status == NTMM_STATUS_VOLUME_DISMOUNTED || status == NTMM_STATUS_DISK_FULL;
}

/* A process is ended, a stack given up, as far as the tables can be read; physical pages are freed
 * up to a stranger; the rest of a stack that overflows is committed. */
static bool may_be_partial(const struct world *w, enum documented_call call, ntmm_status status)
{
    if (call == CALL_free_user_physical_pages) {
        return status == NTMM_STATUS_INVALID_PARAMETER_3;
    }
    if (call == CALL_page_fault && status == NTMM_STATUS_STACK_OVERFLOW) {
        return true;
    }
    return (call == CALL_end_process || call == CALL_create_user_stack) &&
           (is_of_platform(w, status) || status == NTMM_STATUS_NO_MEMORY);
}

static void compare_accounts(struct world *w, enum documented_call call, ntmm_status status)
{
    struct account now;

    for (unsigned i = 0; i < PROCESS_COUNT; i++) {
        account_of(w, i, &now);
        if (is_failure(status) && !may_be_partial(w, call, status) &&
            memcmp(&now, &w->accounts[i], sizeof(now))) {
            printf("# %s = 0x%08X changed a process: regions %llu to %llu, bytes 0x%llX to 0x%llX, "
                   "commit %llu to %llu\n",
                   DOCUMENTED[call].name, status, (unsigned long long)w->accounts[i].regions,
                   (unsigned long long)now.regions, (unsigned long long)w->accounts[i].size_bytes,
                   (unsigned long long)now.size_bytes,
                   (unsigned long long)w->accounts[i].commit_pages,
                   (unsigned long long)now.commit_pages);
            world_fail(w, "a failed call changed something");
        }
        w->accounts[i] = now;
    }
}

ntmm_status judge(struct world *w, enum documented_call call, ntmm_status status)
{
    const struct documented *documented = &DOCUMENTED[call];
    bool is_known = documented->is_platform && is_of_platform(w, status);

    if (w->is_traced) {
        printf("# %s = 0x%08X\n", documented->name, status);
        fflush(stdout);
    }
    for (uint32_t i = 0; i < documented->count; i++) {
        is_known |= documented->statuses[i] == status;
    }
    if (!is_known) {
        printf("# %s returned 0x%08X\n", documented->name, status);
        world_fail(w, "a status that the docstring does not list");
    }
    compare_accounts(w, call, status);
    return status;
}

void world_check(struct world *w)
{
    struct ntmm_check_report report;
    size_t needed = ntmm_check_scratch_size(w->system);

    give_frames(w);
    ntmm_emulated_inject_content(w->emu, 0, 0, 0, 0);
    if (needed > w->scratch_size) {
        free(w->scratch);
        w->scratch = malloc(needed);
        must(w, w->scratch, "no memory");
        w->scratch_size = needed;
    }
    if (ntmm_check_with_storage(w->system, w->scratch, w->scratch_size, ntmm_emulated_read_disk,
                                w->emu, &report)) {
        printf("# invariant %.8s: process 0x%llX object 0x%llX expected 0x%llX found 0x%llX\n",
               report.invariant, (unsigned long long)report.process,
               (unsigned long long)report.object, (unsigned long long)report.expected,
               (unsigned long long)report.found);
        world_fail(w, "an invariant is broken");
    }
}

/* Beginning and end */

void add_disk(struct world *w)
{
    uint8_t kind = take8(w);
    struct ntmm_emulated_disk_config disk = {
        .size = sizeof(disk),
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = kind & 4 ? FILE_BYTES : DISK_BYTES,
        .maximum_bytes = DISK_BYTES,
        .flags = kind & 1 ? 0 : NTMM_EMULATED_DISK_INLINE,
    };

    if (w->disk_count < DISK_COUNT &&
        !CALL(w, emulated_add_disk, w->emu, &disk, &w->disks[w->disk_count])) {
        w->disk_count++;
    }
}

static void add_file(struct world *w)
{
    struct ntmm_paging_file_config file = {
        .size = sizeof(file),
        .version = NTMM_PAGING_FILE_VERSION,
        .initial_bytes = FILE_BYTES,
        .maximum_bytes = DISK_BYTES,
    };

    add_disk(w);
    file.device = w->disks[w->disk_count - 1];
    w->has_file |= !CALL(w, create_paging_file, w->system, &file, NULL);
}

static void begin_system(struct world *w, uint8_t header)
{
    struct ntmm_emulated_config machine = {
        .size = sizeof(machine),
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = (LEAST_FRAMES + take8(w) * 2ull) * NTMM_PAGE_SIZE,
        .cpu_count = CPU_COUNT,
        .seed = header,
        .flags = (header & HEADER_CHECK_LEVEL ? NTMM_EMULATED_CHECK_LEVEL : 0) |
                 NTMM_EMULATED_UPPER_ABSENT,
        .hole_bytes = HOLE_FRAMES * NTMM_PAGE_SIZE,
    };
    machine.hole_base_pa = machine.ram_bytes;
    machine.ram_bytes += UPPER_FRAMES * NTMM_PAGE_SIZE;
    w->upper_frame = (machine.hole_base_pa + machine.hole_bytes) / NTMM_PAGE_SIZE;
    struct ntmm_config config = {
        .size = sizeof(config),
        .version = NTMM_CONFIG_VERSION,
        .extra_commit_pages = header & HEADER_LITTLE_COMMIT ? 0 : 0x10000,
        .paging_flags = header & HEADER_DIRTY_RAM ? NTMM_PAGING_ZEROS_NEED_NO_SLOT : 0,
    };

    if (header & HEADER_OLD_BUILD) {
        config.windows_build = header & HEADER_OLDEST_BUILD ? 7601 : 16299;
    } else if (header & HEADER_OLDEST_BUILD) {
        config.windows_build = 26100;
    }
    if (header & HEADER_DIRTY_RAM) {
        size_t bytes = (size_t)(machine.ram_bytes + machine.hole_bytes);
        w->arena = aligned_alloc(NTMM_PAGE_SIZE, bytes);
        must(w, w->arena, "no memory");
        memset(w->arena, 0xD1, bytes);
        machine.arena = w->arena;
    }
    must(w, !ntmm_emulated_create(&machine, &w->emu), "create the machine");
    must(w, !ntmm_emulated_create_system(w->emu, &config, &w->system), "create the system");
}

void world_begin(struct world *w)
{
    uint8_t header = take8(w);
    struct ntmm_process_config config = {
        .size = sizeof(config),
        .version = NTMM_PROCESS_CONFIG_VERSION,
        .flags = header & HEADER_RANDOM_LAYOUT ? NTMM_PROCESS_RANDOM_LAYOUT : 0,
    };

    w->hog = chain_empty();
    begin_system(w, header);
    for (unsigned i = 0; i < RANGE_COUNT; i++) {
        w->ranges[i] = (struct range){.base = 0x100000 * (i + 1ull), .size = 0x10000};
    }
    if (header & HEADER_FILE) {
        add_file(w);
    }
    if (header & HEADER_SECOND_FILE) {
        add_file(w);
    }
    for (unsigned i = 0; i < PROCESS_COUNT - 1; i++) {
        ntmm_handle handle = 0;

        must(w, !CALL(w, create_process, w->system, &config, &handle), "create a process");
        add_process(w, handle);
        add_handle(w, handle);
    }
}

void mend_devices(struct world *w)
{
    for (unsigned i = 0; i < w->disk_count; i++) {
        (void)CALL(w, emulated_inject_disk, w->emu, w->disks[i], NULL);
        (void)CALL(w, emulated_restore_power, w->emu, w->disks[i]);
    }
    for (unsigned i = 0; i < w->device_count; i++) {
        (void)CALL(w, emulated_inject_disk, w->emu, w->devices[i], NULL);
        (void)CALL(w, emulated_restore_power, w->emu, w->devices[i]);
    }
}

/* Nothing fails and nothing waits any more. */
static void calm(struct world *w)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(w->emu);
    struct ntmm_emulated_statistics statistics;

    give_frames(w);
    ntmm_emulated_inject_content(w->emu, 0, 0, 0, 0);
    mend_devices(w);
    for (unsigned i = 0; i < WAIT_COUNT; i++) {
        if (w->pending[i].is_pending) {
            ntmm_fault_cancel(w->system, &w->pending[i].wait);
            w->pending[i].is_pending = false;
        }
    }
    for (unsigned i = 0; i <= PUMP_LIMIT; i++) {
        ntmm_emulated_query(w->emu, &statistics);
        if (statistics.completions == statistics.transfers) {
            break;
        }
        must(w, i < PUMP_LIMIT, "transfers never end");
        platform->pump(platform->context);
    }
}

void world_end(struct world *w)
{
    struct ntmm_teardown left;
    struct ntmm_emulated_statistics statistics;

    calm(w);
    world_check(w);
    ntmm_emulated_query(w->emu, &statistics);
    must(w, statistics.violations == 0, "something blocked at raised level");
    ntmm_emulated_destroy(w->emu, &left);
    if (left.lost_pages || left.outstanding_commit || left.live_objects || left.waiters ||
        left.transfers) {
        printf("# left: %llu pages, %llu commit, %llu objects, %llu waiters, %llu transfers\n",
               (unsigned long long)left.lost_pages, (unsigned long long)left.outstanding_commit,
               (unsigned long long)left.live_objects, (unsigned long long)left.waiters,
               (unsigned long long)left.transfers);
        world_fail(w, "something was left at the end");
    }
    free(w->scratch);
    free(w->arena);
    free(w->lent);
}
