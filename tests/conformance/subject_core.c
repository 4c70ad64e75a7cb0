/*
 * The library as a subject, on the emulated platform: accesses run on a virtual processor, through
 * the page tables and the door. Closing checks the invariants and that nothing is left allocated.
 */
#include "conformance/subject_core.h"
#include "conformance/extended.h"
#include "conformance/sweep_events.h"
#include "paging/page_out.h"

#include <ntmm/inspect.h>
#include <ntmm/memory.h>
#include <ntmm/offer.h>
#include <ntmm/query.h>
#include <ntmm/secure.h>
#include <ntmm/virtual.h>
#include <ntmm/write_watch.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES 0x1000000u
#define PAGED_RAM_BYTES 0x1000000u
#define KIND_SHIFT 56

static void must(ntmm_status status)
{
    if (status != NTMM_STATUS_SUCCESS) {
        abort();
    }
}

static uint32_t flags_of(uint32_t policies)
{
    return (policies & POLICY_NO_DYNAMIC_CODE ? NTMM_PROCESS_NO_DYNAMIC_CODE : 0) |
           (policies & POLICY_FORCE_RELOCATE_IMAGES ? NTMM_PROCESS_FORCE_RELOCATE_IMAGES : 0) |
           (policies & POLICY_DISALLOW_STRIPPED_IMAGES ? NTMM_PROCESS_DISALLOW_STRIPPED_IMAGES : 0);
}

static void make_processes(struct core_self *self, const struct subject_setup *setup)
{
    self->live.size = sizeof(self->live);
    self->live.version = NTMM_PROCESS_CONFIG_VERSION;
    self->live.commit_limit_pages = setup->commit_limit_pages;
    self->live.flags = flags_of(setup->policies);
    must(ntmm_create_process(self->system, NULL, &self->handles[CALLER_STALE]));
    must(ntmm_end_process(self->system, self->handles[CALLER_STALE]));
    must(ntmm_create_process(self->system, &self->live, &self->handles[CALLER_LIVE]));
    must(ntmm_create_process(self->system, NULL, &self->handles[CALLER_OTHER]));
    self->handles[CALLER_NULL] = 0;
    self->handles[CALLER_WRONG_KIND] =
        self->handles[CALLER_LIVE] ^ ((ntmm_handle)0x80 << KIND_SHIFT);
}

void subject_core_after_call(struct core_self *self)
{
    bool was_on = sweep_events_switch(self->events, false);

    if (self->is_paged) {
        page_out_everything(self->emu);
    }
    (void)sweep_events_switch(self->events, was_on);
}

static struct core_self *open_system(const struct subject_setup *setup, uint64_t ram_bytes)
{
    struct core_self *self = calloc(1, sizeof(*self));
    struct ntmm_emulated_config machine = {
        .size = sizeof(machine),
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = setup->ram_bytes ? setup->ram_bytes : ram_bytes,
    };
    struct ntmm_config config = {
        .size = sizeof(config),
        .version = NTMM_CONFIG_VERSION,
        .windows_build = setup->windows_build,
        .extra_commit_pages = SUBJECT_COMMIT_PAGES,
    };

    if (!self) {
        abort();
    }
    must(ntmm_emulated_create(&machine, &self->emu));
    must(ntmm_emulated_create_system(self->emu, &config, &self->system));
    make_processes(self, setup);
    return self;
}

static void *open_core(const struct subject_setup *setup) { return open_system(setup, RAM_BYTES); }

static void *open_paged(const struct subject_setup *setup)
{
    struct core_self *self = open_system(setup, PAGED_RAM_BYTES);

    must(page_out_add_file(self->emu));
    self->is_paged = true;
    subject_core_after_call(self);
    return self;
}

const char *subject_core_check(struct core_self *self)
{
    static char text[128];
    struct ntmm_check_report report;
    size_t size = ntmm_check_scratch_size(self->system);
    void *scratch = malloc(size);
    ntmm_status status = ntmm_check_with_storage(self->system, scratch, size,
                                                 ntmm_emulated_read_disk, self->emu, &report);

    free(scratch);
    if (status == NTMM_STATUS_SUCCESS) {
        return NULL;
    }
    snprintf(text, sizeof(text), "the checker found a broken invariant: %.8s", report.invariant);
    return text;
}

static const char *close_core(void *context)
{
    struct core_self *self = context;
    struct ntmm_teardown left;
    const char *wrong = subject_core_check(self);

    ntmm_emulated_destroy(self->emu, &left);
    free(self);
    if (left.lost_pages || left.outstanding_commit || left.live_objects || left.waiters) {
        wrong = wrong ? wrong : "something was left allocated at the end";
    }
    return wrong;
}

static uint32_t allocate(void *context, enum caller who, uint64_t *base, uint64_t zero_bits,
                         uint64_t *size, uint32_t type, uint32_t protect)
{
    struct core_self *self = context;
    uint32_t status = ntmm_allocate_virtual_memory(self->system, self->handles[who], base,
                                                   zero_bits, size, type, protect);

    subject_core_after_call(self);
    return status;
}

static uint32_t allocate_ex(void *context, enum caller who, uint64_t *base, uint64_t *size,
                            uint32_t type, uint32_t protect,
                            const struct model_parameter *parameters, uint32_t count)
{
    struct core_self *self = context;
    struct extended_parameters storage;
    uint32_t status =
        ntmm_allocate_virtual_memory_ex(self->system, self->handles[who], base, size, type, protect,
                                        extended_parameters(parameters, count, &storage), count);

    subject_core_after_call(self);
    return status;
}

static uint32_t offer(void *context, enum caller who, uint64_t base, uint64_t size,
                      uint32_t priority)
{
    struct core_self *self = context;
    uint32_t status =
        ntmm_offer_virtual_memory(self->system, self->handles[who], base, size, priority);

    subject_core_after_call(self);
    return status;
}

static uint32_t reclaim(void *context, enum caller who, uint64_t base, uint64_t size)
{
    struct core_self *self = context;
    uint32_t status = ntmm_reclaim_virtual_memory(self->system, self->handles[who], base, size);

    subject_core_after_call(self);
    return status;
}

static uint32_t discard(void *context, enum caller who, uint64_t base, uint64_t size)
{
    struct core_self *self = context;
    uint32_t status = ntmm_discard_virtual_memory(self->system, self->handles[who], base, size);

    subject_core_after_call(self);
    return status;
}

static uint32_t secure(void *context, enum caller who, uint64_t base, uint64_t size, uint32_t mode,
                       uint64_t *handle)
{
    struct core_self *self = context;
    uint32_t status =
        ntmm_secure_virtual_memory(self->system, self->handles[who], base, size, mode, handle);

    subject_core_after_call(self);
    return status;
}

static uint32_t unsecure(void *context, enum caller who, uint64_t handle)
{
    struct core_self *self = context;
    uint32_t status = ntmm_unsecure_virtual_memory(self->system, self->handles[who], handle);

    subject_core_after_call(self);
    return status;
}

static uint32_t free_memory(void *context, enum caller who, uint64_t *base, uint64_t *size,
                            uint32_t type)
{
    struct core_self *self = context;
    uint32_t status = ntmm_free_virtual_memory(self->system, self->handles[who], base, size, type);

    subject_core_after_call(self);
    return status;
}

static uint32_t protect_memory(void *context, enum caller who, uint64_t *base, uint64_t *size,
                               uint32_t protect, uint32_t *old)
{
    struct core_self *self = context;
    uint32_t status =
        ntmm_protect_virtual_memory(self->system, self->handles[who], base, size, protect, old);

    subject_core_after_call(self);
    return status;
}

static uint32_t read_memory(void *context, enum caller who, uint64_t address, uint8_t *data,
                            uint64_t size, uint64_t *copied)
{
    struct core_self *self = context;
    uint32_t status =
        ntmm_read_virtual_memory(self->system, self->handles[who], address, data, size, copied);

    subject_core_after_call(self);
    return status;
}

static uint32_t write_memory(void *context, enum caller who, uint64_t address, uint8_t *data,
                             uint64_t size, uint64_t *copied)
{
    struct core_self *self = context;
    uint32_t status =
        ntmm_write_virtual_memory(self->system, self->handles[who], address, data, size, copied);

    subject_core_after_call(self);
    return status;
}

static uint32_t probe_memory(void *context, enum caller who, uint64_t address, uint64_t size,
                             enum model_access access)
{
    struct core_self *self = context;
    uint32_t status =
        ntmm_probe_virtual_memory(self->system, self->handles[who], address, size,
                                  access == MODEL_WRITE ? NTMM_PROBE_WRITE : NTMM_PROBE_READ);

    subject_core_after_call(self);
    return status;
}

static uint32_t lock_memory(void *context, enum caller who, uint64_t *base, uint64_t *size,
                            uint32_t kind)
{
    struct core_self *self = context;
    uint32_t status = ntmm_lock_virtual_memory(self->system, self->handles[who], base, size, kind);

    subject_core_after_call(self);
    return status;
}

static uint32_t unlock_memory(void *context, enum caller who, uint64_t *base, uint64_t *size,
                              uint32_t kind)
{
    struct core_self *self = context;
    uint32_t status =
        ntmm_unlock_virtual_memory(self->system, self->handles[who], base, size, kind);

    subject_core_after_call(self);
    return status;
}

static uint32_t query(void *context, enum caller who, uint64_t address, struct model_memory *memory)
{
    struct core_self *self = context;
    struct ntmm_memory_basic_information found;
    uint32_t status = ntmm_query_virtual_memory(self->system, self->handles[who], address,
                                                memory ? &found : NULL);

    if (status == NTMM_STATUS_SUCCESS) {
        memory->base = found.base_address;
        memory->allocation_base = found.allocation_base;
        memory->allocation_protect = found.allocation_protect;
        memory->size_bytes = found.region_size;
        memory->state = found.state;
        memory->protect = found.protect;
        memory->type = found.type;
    }
    subject_core_after_call(self);
    return status;
}

static uint32_t get_write_watch(void *context, enum caller who, uint32_t flags, uint64_t base,
                                uint64_t size, uint64_t *addresses, uint64_t *count)
{
    struct core_self *self = context;
    uint32_t granularity;
    uint32_t status = ntmm_get_write_watch(self->system, self->handles[who], flags, base, size,
                                           addresses, count, &granularity);

    subject_core_after_call(self);
    return status;
}

static uint32_t reset_write_watch(void *context, enum caller who, uint64_t base, uint64_t size)
{
    struct core_self *self = context;
    uint32_t status = ntmm_reset_write_watch(self->system, self->handles[who], base, size);

    subject_core_after_call(self);
    return status;
}

static uint32_t query_class(void *context, enum caller who, uint64_t address,
                            uint32_t information_class, void *buffer, uint64_t length,
                            uint64_t *return_length)
{
    struct core_self *self = context;
    uint32_t status =
        ntmm_query_virtual_memory_class(self->system, self->handles[who], address,
                                        information_class, buffer, length, return_length);

    subject_core_after_call(self);
    return status;
}

static void take_result(struct model_fault *fault, uint32_t status,
                        const struct ntmm_fault_result *result)
{
    memset(fault, 0, sizeof(*fault));
    fault->status = status;
    if (status != NTMM_STATUS_SUCCESS) {
        fault->parameter_count = result->parameter_count;
        fault->parameters[0] = result->parameters[0];
        fault->parameters[1] = result->parameters[1];
        fault->parameters[2] = result->parameters[2];
    }
}

static uint32_t access_memory(void *context, enum caller who, uint64_t address, uint32_t size,
                              enum model_access access, uint8_t *data, struct model_fault *fault)
{
    struct core_self *self = context;
    struct ntmm_fault_result result = {0};
    uint32_t status = ntmm_emulated_attach(self->emu, 0, self->handles[who]);

    if (status == NTMM_STATUS_SUCCESS) {
        switch (access) {
        case MODEL_READ:
            status = ntmm_emulated_load(self->emu, 0, address, data, size, NULL, &result);
            break;
        case MODEL_WRITE:
            status = ntmm_emulated_store(self->emu, 0, address, data, size, NULL, &result);
            break;
        case MODEL_EXECUTE:
            status = ntmm_emulated_fetch(self->emu, 0, address, data, size, NULL, &result);
            break;
        }
    }
    take_result(fault, status, &result);
    subject_core_after_call(self);
    return status;
}

static uint32_t fault_at(void *context, enum caller who, uint64_t address, enum model_access access,
                         struct model_fault *fault)
{
    struct core_self *self = context;
    struct ntmm_fault_result result = {0};
    struct ntmm_fault_request request = {
        .process = self->handles[who],
        .address = address,
        .error_code = NTMM_FAULT_USER | (access == MODEL_WRITE ? NTMM_FAULT_WRITE : 0u) |
                      (access == MODEL_EXECUTE ? NTMM_FAULT_EXECUTE : 0u),
    };
    uint32_t status = ntmm_page_fault(self->system, &request, &result);

    take_result(fault, status, &result);
    subject_core_after_call(self);
    return status;
}

/* What fails while events are on is done when they are not. */
static void end_process(struct core_self *self, enum caller who)
{
    if (!self->events || ntmm_end_process(self->system, self->handles[who])) {
        bool was_on = sweep_events_switch(self->events, false);

        must(ntmm_end_process(self->system, self->handles[who]));
        (void)sweep_events_switch(self->events, was_on);
    }
}

static void restart(void *context, enum caller who)
{
    struct core_self *self = context;

    bool was_on;

    end_process(self, who);
    was_on = sweep_events_switch(self->events, false);
    must(ntmm_create_process(self->system, who == CALLER_LIVE ? &self->live : NULL,
                             &self->handles[who]));
    (void)sweep_events_switch(self->events, was_on);
}

static uint32_t clone(void *context, enum caller who)
{
    struct core_self *self = context;
    ntmm_handle handle;
    uint32_t status = ntmm_clone_process(self->system, self->handles[who], NULL, &handle);

    if (status == NTMM_STATUS_SUCCESS) {
        end_process(self, CALLER_OTHER);
        self->handles[CALLER_OTHER] = handle;
    }
    subject_core_after_call(self);
    return status;
}

const struct subject subject_core = {
    .name = "core",
    .open = open_core,
    .close = close_core,
    .allocate = allocate,
    .allocate_ex = allocate_ex,
    .offer = offer,
    .reclaim = reclaim,
    .discard = discard,
    .secure = secure,
    .unsecure = unsecure,
    .free = free_memory,
    .protect = protect_memory,
    .read_memory = read_memory,
    .write_memory = write_memory,
    .probe = probe_memory,
    .lock = lock_memory,
    .unlock = unlock_memory,
    .query = query,
    .query_class = query_class,
    .get_write_watch = get_write_watch,
    .reset_write_watch = reset_write_watch,
    .access = access_memory,
    .fault = fault_at,
    .restart = restart,
    .clone = clone,
    .sections = &subject_core_sections,
};

const struct subject subject_paged = {
    .name = "paged",
    .lacks = NEED_RESIDENCY, /* nothing is valid after a call */
    .open = open_paged,
    .close = close_core,
    .allocate = allocate,
    .allocate_ex = allocate_ex,
    .offer = offer,
    .reclaim = reclaim,
    .discard = discard,
    .secure = secure,
    .unsecure = unsecure,
    .free = free_memory,
    .protect = protect_memory,
    .read_memory = read_memory,
    .write_memory = write_memory,
    .probe = probe_memory,
    .lock = lock_memory,
    .unlock = unlock_memory,
    .query = query,
    .query_class = query_class,
    .get_write_watch = get_write_watch,
    .reset_write_watch = reset_write_watch,
    .access = access_memory,
    .fault = fault_at,
    .restart = restart,
    .clone = clone,
    .sections = &subject_core_sections,
};
