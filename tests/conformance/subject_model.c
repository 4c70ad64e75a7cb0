/* The page-array model as a subject. */
#include "conformance/subject_model.h"

#include <stdlib.h>

static void *open_model(const struct subject_setup *setup)
{
    struct model_self *self = calloc(1, sizeof(*self));

    if (!self) {
        abort();
    }
    self->system.commit_limit_pages = SUBJECT_COMMIT_PAGES;
    self->system.windows_build = setup->windows_build ? setup->windows_build : UINT32_MAX;
    for (int who = 0; who < CALLER_COUNT; who++) {
        model_process_begin(&self->processes[who], &self->system);
    }
    if (setup->commit_limit_pages) {
        self->processes[CALLER_LIVE].commit_limit_pages = setup->commit_limit_pages;
    }
    self->processes[CALLER_NULL].handle_status = NTMM_STATUS_INVALID_HANDLE;
    self->processes[CALLER_STALE].handle_status = NTMM_STATUS_INVALID_HANDLE;
    self->processes[CALLER_WRONG_KIND].handle_status = NTMM_STATUS_OBJECT_TYPE_MISMATCH;
    return self;
}

static const char *close_model(void *context)
{
    struct model_self *self = context;
    const char *wrong = NULL;

    for (int who = 0; who < CALLER_COUNT; who++) {
        if (!model_is_valid(&self->processes[who])) {
            wrong = "the model's invariants do not hold";
        }
        model_process_end(&self->processes[who]);
    }
    model_system_end(&self->system);
    if (self->system.commit_pages) {
        wrong = "the model did not return every charge";
    }
    free(self);
    return wrong;
}

static struct model_process *process_of(void *self, enum caller who)
{
    return &((struct model_self *)self)->processes[who];
}

static uint32_t allocate(void *self, enum caller who, uint64_t *base, uint64_t zero_bits,
                         uint64_t *size, uint32_t type, uint32_t protect)
{
    return model_allocate(process_of(self, who), base, zero_bits, size, type, protect);
}

static uint32_t allocate_ex(void *self, enum caller who, uint64_t *base, uint64_t *size,
                            uint32_t type, uint32_t protect,
                            const struct model_parameter *parameters, uint32_t count)
{
    return model_allocate_ex(process_of(self, who), base, size, type, protect, parameters, count);
}

static uint32_t offer(void *self, enum caller who, uint64_t base, uint64_t size, uint32_t priority)
{
    return model_offer(process_of(self, who), base, size, priority);
}

static uint32_t reclaim(void *self, enum caller who, uint64_t base, uint64_t size)
{
    return model_reclaim(process_of(self, who), base, size);
}

static uint32_t discard(void *self, enum caller who, uint64_t base, uint64_t size)
{
    return model_discard(process_of(self, who), base, size);
}

static uint32_t secure(void *self, enum caller who, uint64_t base, uint64_t size, uint32_t mode,
                       uint64_t *handle)
{
    return model_secure(process_of(self, who), base, size, mode, handle);
}

static uint32_t unsecure(void *self, enum caller who, uint64_t handle)
{
    return model_unsecure(process_of(self, who), handle);
}

static uint32_t free_memory(void *self, enum caller who, uint64_t *base, uint64_t *size,
                            uint32_t type)
{
    return model_free(process_of(self, who), base, size, type);
}

static uint32_t protect_memory(void *self, enum caller who, uint64_t *base, uint64_t *size,
                               uint32_t protect, uint32_t *old)
{
    return model_protect(process_of(self, who), base, size, protect, old);
}

static uint32_t read_memory(void *self, enum caller who, uint64_t address, uint8_t *data,
                            uint64_t size, uint64_t *copied)
{
    return model_read_memory(process_of(self, who), address, data, size, copied);
}

static uint32_t write_memory(void *self, enum caller who, uint64_t address, uint8_t *data,
                             uint64_t size, uint64_t *copied)
{
    return model_write_memory(process_of(self, who), address, data, size, copied);
}

static uint32_t probe_memory(void *self, enum caller who, uint64_t address, uint64_t size,
                             enum model_access access)
{
    return model_probe(process_of(self, who), address, size, access);
}

static uint32_t lock_memory(void *self, enum caller who, uint64_t *base, uint64_t *size,
                            uint32_t kind)
{
    return model_lock(process_of(self, who), base, size, kind);
}

static uint32_t unlock_memory(void *self, enum caller who, uint64_t *base, uint64_t *size,
                              uint32_t kind)
{
    return model_unlock(process_of(self, who), base, size, kind);
}

static uint32_t query(void *self, enum caller who, uint64_t address, struct model_memory *memory)
{
    return model_query(process_of(self, who), address, memory);
}

static uint32_t get_write_watch(void *self, enum caller who, uint32_t flags, uint64_t base,
                                uint64_t size, uint64_t *addresses, uint64_t *count)
{
    return model_get_write_watch(process_of(self, who), flags, base, size, addresses, count);
}

static uint32_t reset_write_watch(void *self, enum caller who, uint64_t base, uint64_t size)
{
    return model_reset_write_watch(process_of(self, who), base, size);
}

static uint32_t access_memory(void *self, enum caller who, uint64_t address, uint32_t size,
                              enum model_access access, uint8_t *data, struct model_fault *fault)
{
    return model_access(process_of(self, who), address, size, access, data, fault);
}

static uint32_t fault_at(void *self, enum caller who, uint64_t address, enum model_access access,
                         struct model_fault *fault)
{
    return model_access(process_of(self, who), address, 1, access, NULL, fault);
}

static void restart(void *self, enum caller who)
{
    struct model_process *process = process_of(self, who);
    uint64_t commit_limit_pages = process->commit_limit_pages;

    model_process_end(process);
    model_process_begin(process, process->system);
    process->commit_limit_pages = commit_limit_pages;
}

static uint32_t clone(void *self, enum caller who)
{
    struct model_process *other = process_of(self, CALLER_OTHER);
    struct model_process child;
    uint32_t status = model_process_clone(process_of(self, who), &child);

    if (status == NTMM_STATUS_SUCCESS) {
        model_process_end(other);
        *other = child;
    }
    return status;
}

const struct subject subject_model = {
    .name = "model",
    .lacks = NEED_IMAGES | NEED_BASED | NEED_LOCKS | NEED_POLICIES | NEED_ERRORS,
    .open = open_model,
    .close = close_model,
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
    .get_write_watch = get_write_watch,
    .reset_write_watch = reset_write_watch,
    .access = access_memory,
    .fault = fault_at,
    .restart = restart,
    .clone = clone,
    .sections = &subject_model_sections,
};
