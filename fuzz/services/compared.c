/*
 * See compared.h.
 */
#include "services/compared.h"

#include "conformance/extended.h"
#include "model/section_operation.h"
#include "paging/page_out.h"

#include <ntmm/inspect.h>
#include <ntmm/memory.h>
#include <ntmm/offer.h>
#include <ntmm/process.h>
#include <ntmm/virtual.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GARBAGE 0xA5
#define LEAST_AVAILABLE_PAGES 64u
#define COMMIT_PAGES 0x1000000u
#define LIVE_COMMIT_PAGES 48u
#define OTHER_START 0x100000u
#define OTHER_HIGHEST 0x7FFEFFFFu
#define CPU_COUNT 2u

_Noreturn static void fail(const struct compared *world, const char *why)
{
    enum who who = WHO_LIVE;

    printf("# %s\ncase found-by-fuzzing\nsource ours fuzz\n", why);
    if (world->header & HEADER_OLD_BUILD) {
        printf("  build %u\n", COMPARED_OLD_BUILD);
    }
    if (world->header & HEADER_COMMIT_LIMIT) {
        printf("  commit-limit %u\n", LIVE_COMMIT_PAGES);
    }
    if (world->header & HEADER_PAGED) {
        printf("  # run it as paged\n");
    }
    if (world->header & HEADER_BOUNDED) {
        printf("  # the other process searches from 0x%X and ends at 0x%X\n", OTHER_START,
               OTHER_HIGHEST);
    }
    for (unsigned i = 0; i < world->count; i++) {
        operation_print(&world->log[i], &world->outcomes[i], &who);
    }
    if (world->on_difference) {
        world->on_difference(world->context, why);
    }
    fflush(stdout);
    __builtin_trap();
}

void compared_must(const struct compared *world, bool holds, const char *why)
{
    if (!holds) {
        fail(world, why);
    }
}

/* Both sides of an operation */

static void take_fault(struct outcome *outcome, const struct ntmm_fault_result *result)
{
    if (outcome->status != NTMM_STATUS_SUCCESS) {
        outcome->fault.status = outcome->status;
        outcome->fault.parameter_count = result->parameter_count;
        outcome->fault.parameters[0] = result->parameters[0];
        outcome->fault.parameters[1] = result->parameters[1];
    }
}

static void access_core(struct compared *world, const struct operation *operation,
                        struct outcome *outcome)
{
    struct ntmm_fault_result result = {0};
    uint64_t base = operation->base;
    size_t size = (size_t)operation->size;
    uint32_t cpu = world->first_cpu + operation->cpu;

    compared_must(world, !ntmm_emulated_attach(world->emu, cpu, world->handles[operation->who]),
                  "attach");
    switch (operation->access) {
    case MODEL_READ:
        outcome->status =
            ntmm_emulated_load(world->emu, cpu, base, outcome->bytes, size, NULL, &result);
        break;
    case MODEL_WRITE:
        outcome->status =
            ntmm_emulated_store(world->emu, cpu, base, outcome->bytes, size, NULL, &result);
        break;
    case MODEL_EXECUTE:
        outcome->status =
            ntmm_emulated_fetch(world->emu, cpu, base, outcome->bytes, size, NULL, &result);
        break;
    }
    take_fault(outcome, &result);
}

/* The door as a processor without a TLB entry would knock, whatever the tables say. */
static void knock_core(struct compared *world, const struct operation *operation,
                       struct outcome *outcome)
{
    struct ntmm_fault_result result = {0};
    struct ntmm_fault_request request = {
        .process = world->handles[operation->who],
        .address = operation->base,
        .error_code = NTMM_FAULT_USER,
    };

    if (operation->access == MODEL_WRITE) {
        request.error_code |= NTMM_FAULT_WRITE;
    } else if (operation->access == MODEL_EXECUTE) {
        request.error_code |= NTMM_FAULT_EXECUTE;
    }
    outcome->status = ntmm_page_fault(world->system, &request, &result);
    take_fault(outcome, &result);
}

static void query_core(struct compared *world, enum who who, uint64_t address, bool is_null,
                       struct outcome *outcome)
{
    struct ntmm_memory_basic_information found;

    memset(&found, 0, sizeof(found));
    outcome->status = ntmm_query_virtual_memory(world->system, world->handles[who], address,
                                                is_null ? NULL : &found);
    outcome->memory.base = found.base_address;
    outcome->memory.allocation_base = found.allocation_base;
    outcome->memory.allocation_protect = found.allocation_protect;
    outcome->memory.size_bytes = found.region_size;
    outcome->memory.state = found.state;
    outcome->memory.protect = found.protect;
    outcome->memory.type = found.type;
}

bool compared_is_for_want(uint32_t status)
{
    return status == NTMM_STATUS_NO_MEMORY || status == NTMM_STATUS_INSUFFICIENT_RESOURCES ||
           status == NTMM_STATUS_COMMITMENT_LIMIT || status == NTMM_STATUS_IN_PAGE_ERROR ||
           status == NTMM_STATUS_DEVICE_DATA_ERROR ||
           /* a write and a read that came short */
           status == NTMM_STATUS_DISK_FULL || status == NTMM_STATUS_END_OF_FILE;
}

/* The same, with nothing changed but a part of a copy. */
static bool is_for_want(uint32_t status)
{
    return compared_is_for_want(status) || status == NTMM_STATUS_PARTIAL_COPY;
}

/* With the bounds and the limit that its model has. */
static ntmm_handle make_process(struct compared *world, const struct model_process *model)
{
    ntmm_handle handle = 0;
    struct ntmm_process_config config = {
        .size = sizeof(config),
        .version = NTMM_PROCESS_CONFIG_VERSION,
        .bottom_up_start = model->bottom_up_start,
        .highest_address = model->highest_address,
        .commit_limit_pages =
            model->commit_limit_pages == MODEL_NO_LIMIT ? 0 : model->commit_limit_pages,
    };

    for (unsigned tries = 0;; tries++) {
        ntmm_status status = ntmm_create_process(world->system, &config, &handle);

        if (!is_for_want(status) || tries >= world->tries) {
            compared_must(world, !status, "create a process");
            return handle;
        }
    }
}

/* An end that errors cut short goes on when it is asked for again. */
static void end_process(const struct compared *world, ntmm_handle handle)
{
    for (unsigned tries = 0;; tries++) {
        ntmm_status status = ntmm_end_process(world->system, handle);

        if (!is_for_want(status) || tries >= world->tries) {
            compared_must(world, !status, "end a process");
            return;
        }
    }
}

/* Offers and their like, and memory touched from outside. False: another verb. */
static bool run_outside(struct compared *world, const struct operation *operation,
                        struct outcome *outcome)
{
    struct ntmm_system *system = world->system;
    ntmm_handle handle = world->handles[operation->who];
    uint64_t *base = operation->is_base_null ? NULL : &outcome->base;
    uint64_t *size = operation->is_size_null ? NULL : &outcome->size;

    switch (operation->verb) {
    case VERB_OFFER:
        outcome->status = ntmm_offer_virtual_memory(system, handle, operation->base,
                                                    operation->size, operation->priority);
        break;
    case VERB_RECLAIM:
        outcome->status =
            ntmm_reclaim_virtual_memory(system, handle, operation->base, operation->size);
        break;
    case VERB_DISCARD:
        outcome->status =
            ntmm_discard_virtual_memory(system, handle, operation->base, operation->size);
        break;
    case VERB_READ_MEMORY:
        outcome->status = ntmm_read_virtual_memory(system, handle, operation->base, outcome->bytes,
                                                   operation->size, &outcome->size);
        break;
    case VERB_WRITE_MEMORY:
        outcome->status = ntmm_write_virtual_memory(system, handle, operation->base, outcome->bytes,
                                                    operation->size, &outcome->size);
        break;
    case VERB_LOCK:
        outcome->status = ntmm_lock_virtual_memory(system, handle, base, size, operation->type);
        break;
    case VERB_UNLOCK:
        outcome->status = ntmm_unlock_virtual_memory(system, handle, base, size, operation->type);
        break;
    default:
        return false;
    }
    return true;
}

static void run_core(struct compared *world, const struct operation *operation,
                     struct outcome *outcome)
{
    struct ntmm_system *system = world->system;
    ntmm_handle handle = world->handles[operation->who];
    uint64_t *base = operation->is_base_null ? NULL : &outcome->base;
    uint64_t *size = operation->is_size_null ? NULL : &outcome->size;
    struct extended_parameters storage;

    if (section_operation_is(operation)) {
        compared_run_section(world, operation, outcome);
        return;
    }
    if (run_outside(world, operation, outcome))
        return;
    switch (operation->verb) {
    case VERB_ALLOCATE:
        outcome->status = ntmm_allocate_virtual_memory(system, handle, base, operation->zero_bits,
                                                       size, operation->type, operation->protect);
        break;
    case VERB_ALLOCATE_EX:
        outcome->status = ntmm_allocate_virtual_memory_ex(
            system, handle, base, size, operation->type, operation->protect,
            extended_parameters(&operation->parameter, operation->parameter_count, &storage),
            operation->parameter_count);
        break;
    case VERB_FREE:
        outcome->status = ntmm_free_virtual_memory(system, handle, base, size, operation->type);
        break;
    case VERB_PROTECT:
        outcome->status =
            ntmm_protect_virtual_memory(system, handle, base, size, operation->protect,
                                        operation->is_old_null ? NULL : &outcome->old);
        break;
    case VERB_QUERY:
        query_core(world, operation->who, operation->base, !base, outcome);
        break;
    case VERB_READ:
    case VERB_WRITE:
    case VERB_EXECUTE:
        access_core(world, operation, outcome);
        break;
    case VERB_DOOR:
        knock_core(world, operation, outcome);
        break;
    case VERB_RESTART:
        end_process(world, handle);
        world->handles[operation->who] = make_process(world, &world->models[operation->who]);
        break;
    case VERB_ZERO_PAGES:
        (void)ntmm_zero_free_pages(system, 64);
        break;
    default:
        break;
    }
}

static void print_difference(const struct operation *operation, const struct outcome *expected,
                             const struct outcome *found)
{
    printf("# expected ");
    operation_print_outcome(operation, expected);
    printf("# found    ");
    operation_print_outcome(operation, found);
}

/* Bytes after a fault are nobody's business: part of a long access may have moved. */
static void forget_bytes(struct outcome *outcome)
{
    if (outcome->status != NTMM_STATUS_SUCCESS) {
        memset(outcome->bytes, 0, sizeof(outcome->bytes));
    }
}

/* The library's side. Where errors are injected it is tried again while it fails as they make it
 * fail, and must then do what the model does: a failed call changes nothing. */
static void run_until_settled(struct compared *world, const struct operation *operation,
                              const struct outcome *expected, struct outcome *found)
{
    const struct outcome start = *found;

    for (unsigned tries = 0;; tries++) {
        *found = start;
        run_core(world, operation, found);
        if (!is_for_want(found->status) || found->status == expected->status ||
            found->status == expected->or_status || tries >= world->tries) {
            return;
        }
        /* The handle is closed all the same, and what could not be written is kept. */
        if (operation->verb == VERB_CLOSE_FILE) {
            found->status = NTMM_STATUS_SUCCESS;
            return;
        }
        world->again++;
    }
}

void compared_run_operation(struct compared *world, const struct operation *operation)
{
    struct outcome *expected = &world->outcomes[world->count];
    struct outcome found;

    operation_prepare(operation, expected);
    found = *expected;
    world->log[world->count++] = *operation;
    operation_run_model(world->models, operation, expected);
    run_until_settled(world, operation, expected, &found);
    forget_bytes(expected);
    forget_bytes(&found);
    if (!operation_agrees(operation, expected, &found)) {
        print_difference(operation, expected, &found);
        fail(world, "the last operation differs");
    }
    operation_learn(world->models, operation, &found);
    world->succeeded += found.status == NTMM_STATUS_SUCCESS;
    if (world->header & HEADER_PAGED) {
        page_out_everything(world->emu);
    }
}

/* A write on one processor and a fetch on the other, at the address of an operation: before it, so
 * that both hold the translation; after it, to see that what it withdrew is gone from both. */
static void touch(struct compared *world, const struct operation *operation)
{
    struct operation access = {
        .verb = VERB_WRITE,
        .access = MODEL_WRITE,
        .who = operation->who,
        .base = operation->base,
        .size = 1,
        .bytes = {operation->bytes[0]},
    };

    compared_run_operation(world, &access);
    access.verb = VERB_EXECUTE;
    access.access = MODEL_EXECUTE;
    access.cpu = 1;
    compared_run_operation(world, &access);
}

void compared_run_record(struct compared *world, const uint8_t *record, struct operation *operation)
{
    bool is_touched;

    operation_decode(world->models, record, operation);
    is_touched = (operation->verb <= VERB_DISCARD || operation->verb == VERB_MAP ||
                  operation->verb == VERB_UNMAP) &&
                 operation->who < WHO_LIVING && (record[9] & 1);
    if (is_touched) {
        touch(world, operation);
    }
    compared_run_operation(world, operation);
    if (is_touched) {
        touch(world, operation);
    }
}

/* Comparing whole states */

static void compare_maps(struct compared *world, enum who who)
{
    for (uint64_t at = 0; at <= NTMM_HIGHEST_USER_ADDRESS;) {
        struct operation query = {.verb = VERB_QUERY, .who = who, .base = at};
        struct outcome expected;
        struct outcome found;

        operation_prepare(&query, &expected);
        found = expected;
        operation_run_model(world->models, &query, &expected);
        run_until_settled(world, &query, &expected, &found);
        if (memcmp(&expected, &found, sizeof(found))) {
            printf("# query of 0x%llX as %u\n", (unsigned long long)at, who);
            print_difference(&query, &expected, &found);
            fail(world, "the maps differ");
        }
        at += expected.memory.size_bytes;
    }
}

static void compare_accounts(struct compared *world, enum who who)
{
    const struct model_process *model = &world->models[who];
    struct ntmm_process_information found;
    uint64_t size_bytes = 0;

    compared_must(world, !ntmm_query_process(world->system, world->handles[who], &found),
                  "accounts");
    for (size_t i = 0; i < model->region_count; i++) {
        size_bytes += model->regions[i].end - model->regions[i].base;
    }
    compared_must(world, found.region_count == model->region_count,
                  "the number of regions differs");
    compared_must(world, found.virtual_size_bytes == size_bytes, "the virtual size differs");
    compared_must(world, found.commit_pages == model->commit_pages, "the private commit differs");
}

/* What the checker needs grows with sections and files. */
static void fit_scratch(struct compared *world)
{
    size_t needed = ntmm_check_scratch_size(world->system);
    if (needed <= world->scratch_size) {
        return;
    }
    free(world->scratch);
    world->scratch = malloc(needed);
    compared_must(world, world->scratch, "no memory");
    world->scratch_size = needed;
}

void compared_check_processes(struct compared *world)
{
    for (enum who who = 0; who < WHO_LIVING; who++) {
        compared_must(world, model_is_valid(&world->models[who]), "the model is not valid");
        compare_maps(world, who);
        compare_accounts(world, who);
    }
}

void compared_check(struct compared *world)
{
    struct ntmm_check_report report;

    compared_check_processes(world);
    fit_scratch(world);
    if (ntmm_check_with_storage(world->system, world->scratch, world->scratch_size,
                                ntmm_emulated_read_disk, world->emu, &report)) {
        printf("# invariant %.8s: process 0x%llX object 0x%llX expected 0x%llX found 0x%llX\n",
               report.invariant, (unsigned long long)report.process,
               (unsigned long long)report.object, (unsigned long long)report.expected,
               (unsigned long long)report.found);
        fail(world, "an invariant is broken");
    }
}

static bool holds(const struct model_page *page, const uint8_t bytes[MODEL_PAGE_SIZE])
{
    for (uint32_t i = 0; i < MODEL_PAGE_SIZE; i++) {
        bool may_be_zero = page->loose && page->loose[i];

        if (bytes[i] != page->bytes[i] && !(may_be_zero && !bytes[i])) {
            return false;
        }
    }
    return true;
}

/* Whether the page could be read at once, or after a change of its protection. */
static bool can_be_read(const struct model_region *region)
{
    return !region->is_fixed && (region->protect & 0xFFu) != NTMM_PAGE_NOACCESS;
}

static void print_bytes_that_differ(uint64_t base, const struct model_page *expected,
                                    const uint8_t bytes[MODEL_PAGE_SIZE])
{
    uint32_t first = 0;

    while (bytes[first] == expected->bytes[first]) {
        first++;
    }
    printf("# at 0x%llX expected %02X found %02X\n", (unsigned long long)base + first,
           expected->bytes[first], bytes[first]);
}

static uint32_t read_page(struct compared *world, enum who who, uint64_t base,
                          uint8_t bytes[MODEL_PAGE_SIZE])
{
    uint64_t start = base;
    uint64_t size = MODEL_PAGE_SIZE;
    uint32_t old;
    uint32_t status = ntmm_protect_virtual_memory(world->system, world->handles[who], &start, &size,
                                                  NTMM_PAGE_READONLY, &old);

    if (!status) {
        status = ntmm_emulated_attach(world->emu, world->first_cpu, world->handles[who]);
    }
    return status ? status
                  : ntmm_emulated_load(world->emu, world->first_cpu, base, bytes, MODEL_PAGE_SIZE,
                                       NULL, NULL);
}

/* A page is made readable and read whole. */
static void compare_page(struct compared *world, enum who who, uint64_t base,
                         const struct model_page *contents)
{
    uint8_t bytes[MODEL_PAGE_SIZE];
    uint32_t status;
    unsigned tries = 0;

    do {
        status = read_page(world, who, base, bytes);
    } while (is_for_want(status) && tries++ < world->tries);
    compared_must(world, !status, "a written page cannot be read");
    if (!holds(contents, bytes)) {
        print_bytes_that_differ(base, contents, bytes);
        fail(world, "contents differ");
    }
}

/* Every page ever written, of views those that can be read. */
static void compare_contents(struct compared *world, enum who who)
{
    struct model_process *model = &world->models[who];

    for (size_t i = 0; i < model->region_count; i++) {
        struct model_region *region = model_region_of(model, model->regions[i].base);

        for (size_t j = 0; j < region->page_count; j++) {
            const struct model_page *page = model_contents(region, &region->pages[j]);

            if (page->bytes && (!region->control || can_be_read(region))) {
                compare_page(world, who, region->pages[j].number * MODEL_PAGE_SIZE, page);
            }
        }
    }
}

bool compared_has_room(struct compared *world)
{
    struct ntmm_memory_information memory;

    if (world->count + COMPARED_RECORD_OPERATIONS > world->limit) {
        return false;
    }
    ntmm_query_memory(world->system, &memory);
    return memory.zeroed_pages + memory.free_pages >= LEAST_AVAILABLE_PAGES;
}

static void begin_models(struct compared *world)
{
    bool is_old = world->header & HEADER_OLD_BUILD;

    world->model_system.windows_build = is_old ? COMPARED_OLD_BUILD : NTMM_DEFAULT_WINDOWS_BUILD;
    world->model_system.commit_limit_pages = COMMIT_PAGES;
    for (enum who who = 0; who < WHO_COUNT; who++) {
        model_process_begin(&world->models[who], &world->model_system);
    }
    if (world->header & HEADER_COMMIT_LIMIT) {
        world->models[WHO_LIVE].commit_limit_pages = LIVE_COMMIT_PAGES;
    }
    if (world->header & HEADER_BOUNDED) {
        world->models[WHO_OTHER].bottom_up_start = OTHER_START;
        world->models[WHO_OTHER].highest_address = OTHER_HIGHEST;
    }
    world->models[WHO_NULL].handle_status = NTMM_STATUS_INVALID_HANDLE;
    world->models[WHO_STALE].handle_status = NTMM_STATUS_INVALID_HANDLE;
    world->models[WHO_WRONG_KIND].handle_status = NTMM_STATUS_OBJECT_TYPE_MISMATCH;
}

static void begin_system(struct compared *world)
{
    struct ntmm_emulated_config machine = {
        .size = sizeof(machine),
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = world->ram_bytes,
        .cpu_count = CPU_COUNT,
        .seed = world->header,
        .arena = world->arena,
        .flags = world->header & HEADER_ZEROED_RAM ? NTMM_EMULATED_ARENA_ZEROED : 0,
    };
    struct ntmm_config config = {
        .size = sizeof(config),
        .version = NTMM_CONFIG_VERSION,
        .windows_build = world->header & HEADER_OLD_BUILD ? COMPARED_OLD_BUILD : 0,
        .extra_commit_pages = COMMIT_PAGES,
    };

    compared_must(world, !ntmm_emulated_create(&machine, &world->emu), "create the machine");
    compared_must(world, !ntmm_emulated_create_system(world->emu, &config, &world->system),
                  "create the system");
    if (world->header & HEADER_PAGED) {
        compared_must(world, !page_out_add_file(world->emu), "create the page file");
    }
}

static void begin_log(struct compared *world, uint8_t header)
{
    world->header = header;
    world->log = calloc(world->limit, sizeof(*world->log));
    world->outcomes = calloc(world->limit, sizeof(*world->outcomes));
    compared_must(world, world->log && world->outcomes, "no memory");
}

static void begin_processes(struct compared *world)
{
    world->handles[WHO_STALE] = make_process(world, &world->models[WHO_STALE]);
    end_process(world, world->handles[WHO_STALE]);
    world->handles[WHO_LIVE] = make_process(world, &world->models[WHO_LIVE]);
    world->handles[WHO_OTHER] = make_process(world, &world->models[WHO_OTHER]);
    world->handles[WHO_WRONG_KIND] = world->handles[WHO_LIVE] ^ ((ntmm_handle)0x80 << 56);
}

void compared_begin(struct compared *world, uint8_t header)
{
    begin_log(world, header);
    world->arena = aligned_alloc(MODEL_PAGE_SIZE, world->ram_bytes);
    compared_must(world, world->arena, "no memory");
    memset(world->arena, world->header & HEADER_ZEROED_RAM ? 0 : GARBAGE, world->ram_bytes);
    begin_models(world);
    begin_system(world);
    begin_processes(world);
}

void compared_join(struct compared *world, uint8_t header)
{
    begin_log(world, header);
    begin_models(world);
    begin_processes(world);
}

static void end_models(struct compared *world)
{
    compared_check_files(world);
    for (enum who who = 0; who < WHO_LIVING; who++) {
        compare_contents(world, who);
        model_process_end(&world->models[who]);
    }
    model_system_end(&world->model_system);
    compared_must(world, world->model_system.commit_pages == 0, "the model kept a charge");
}

void compared_abandon(struct compared *world)
{
    for (enum who who = 0; who < WHO_LIVING; who++) {
        model_process_end(&world->models[who]);
    }
    model_system_end(&world->model_system);
    free(world->scratch);
    free(world->log);
    free(world->outcomes);
}

void compared_leave(struct compared *world)
{
    compared_check_processes(world);
    end_models(world);
    for (enum who who = 0; who < WHO_LIVING; who++) {
        end_process(world, world->handles[who]);
    }
    free(world->scratch);
    free(world->log);
    free(world->outcomes);
}

void compared_end(struct compared *world)
{
    struct ntmm_teardown left;

    compared_check(world);
    end_models(world);
    ntmm_emulated_destroy(world->emu, &left);
    compared_must(
        world, !left.lost_pages && !left.outstanding_commit && !left.live_objects && !left.waiters,
        "something was left allocated at the end");
    free(world->scratch);
    free(world->arena);
    free(world->log);
    free(world->outcomes);
}

/* More than two processes */

void compared_make_seat(struct compared *world, struct compared_seat *seat)
{
    model_process_begin(&seat->model, &world->model_system);
    seat->handle = make_process(world, &seat->model);
}

void compared_change_seats(struct compared *world, enum who who, struct compared_seat *seat)
{
    struct compared_seat other = {.handle = world->handles[who], .model = world->models[who]};

    world->handles[who] = seat->handle;
    world->models[who] = seat->model;
    *seat = other;
}

void compared_end_seat(struct compared *world, struct compared_seat *seat)
{
    compared_change_seats(world, WHO_OTHER, seat);
    compare_contents(world, WHO_OTHER);
    compared_change_seats(world, WHO_OTHER, seat);
    end_process(world, seat->handle);
    model_process_end(&seat->model);
}
