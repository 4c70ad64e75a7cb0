/*
 * Process slots: making, finding and retiring them. See process.h.
 */
#include "space/process.h"
#include "base/bits.h"
#include "phys/pfn.h"
#include "space/job.h"
#include "space/table.h"

#include <ntmm/constants.h>

static le64 *directory(const struct call *c)
{
    return core_at(c->bias, get64(&anchor_of(c)->directory_ref));
}

ntmm_status process_refusal(const struct process *process, ntmm_handle handle, uint32_t rights)
{
    if (get64(&process->handle) != process_own_handle(handle))
        return NTMM_STATUS_INVALID_HANDLE;
    return handle_holds(handle, rights) ? NTMM_STATUS_PROCESS_IS_TERMINATING
                                        : NTMM_STATUS_ACCESS_DENIED;
}

/* The handle lacks a privilege: what process_lock_address returned, with its locks held if that was
 * success, becomes what the caller is told. */
ntmm_status process_refuse_privilege(struct call *c, struct process *process, ntmm_status status)
{
    if (status == NTMM_STATUS_SUCCESS)
        process_unlock_address(c, process);
    else if (status != NTMM_STATUS_PROCESS_IS_TERMINATING)
        return status;
    return NTMM_STATUS_PRIVILEGE_NOT_HELD;
}

void process_relock_ending(struct call *c, struct process *process)
{
    process_acquire_both(c, process);
}

struct process *process_lock_slot(struct call *c, uint32_t slot)
{
    struct process *process = process_in_slot(c, slot);
    if (!process)
        return NULL;
    working_set_acquire(c, process);
    if (load64_acquire(&process->handle) != 0) /* who makes a process does not hold (W) */
        return process;
    process_unlock_working_set(c, process);
    return NULL;
}

ntmm_status process_lock_ending(struct call *c, ntmm_handle handle, uint32_t rights,
                                struct process **process)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    *process = process_find(c, handle);
    if (!*process)
        return process_not_found(handle);
    process_relock_ending(c, *process);
    if (!process_is_granted(*process, handle, rights))
        status = process_refusal(*process, handle, rights);
    bool has_failed = get32(&(*process)->state) == PROCESS_END_FAILED;
    if (status == NTMM_STATUS_PROCESS_IS_TERMINATING && has_failed)
        status = NTMM_STATUS_SUCCESS;
    if (status == NTMM_STATUS_SUCCESS)
        store32_release(&(*process)->state, PROCESS_ENDING);
    else
        process_unlock_address(c, *process);
    return status;
}

/* One frame for the process directory or for slots, charged. */
static bool take_directory_frame(struct call *c, uint64_t *ref)
{
    uint64_t frame;
    if (!commit_charge(c, 1))
        return false;
    if (!frame_allocate_zeroed(c, NTMM_USE_PROCESS, &frame)) {
        commit_return(c, 1);
        return false;
    }
    struct partition *partition = partition_of(c);
    set64(&partition->process_pages, get64(&partition->process_pages) + 1);
    *ref = frame_ref(c, frame);
    return true;
}

static void give_directory_frame(struct call *c, uint64_t ref)
{
    struct partition *partition = partition_of(c);
    set64(&partition->process_pages, get64(&partition->process_pages) - 1);
    frame_free(c, ref_frame(c, ref));
    commit_return(c, 1);
}

/* A frame for slots, and the directory's own before the first; both or neither. (D) is held. */
static bool take_slot_frame(struct call *c, uint64_t *ref)
{
    struct anchor *anchor = anchor_of(c);
    uint64_t directory_ref = get64(&anchor->directory_ref);
    if (directory_ref)
        return take_directory_frame(c, ref);
    if (!take_directory_frame(c, &directory_ref))
        return false;
    if (!take_directory_frame(c, ref)) {
        give_directory_frame(c, directory_ref);
        return false;
    }
    set64(&anchor->directory_ref, directory_ref);
    return true;
}

/* The slots of one more frame on the free chain. (D) is held. */
static ntmm_status add_slots(struct call *c)
{
    struct anchor *anchor = anchor_of(c);
    uint32_t first = get32(&anchor->slot_count);
    uint64_t ref;

    if (first == PROCESSES_MAX)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    if (!take_slot_frame(c, &ref))
        return want_status(c);
    set64(&directory(c)[first / PROCESSES_PER_FRAME], ref);
    store32_release(&anchor->slot_count, first + PROCESSES_PER_FRAME);
    for (uint32_t slot = first + PROCESSES_PER_FRAME; slot-- > first;) {
        set32(&process_in_slot(c, slot)->next_free, get32(&anchor->free_slot));
        set32(&anchor->free_slot, slot + 1);
    }
    return NTMM_STATUS_SUCCESS;
}

/* Take a slot off the free chain. (D) is held. */
static ntmm_status take_slot(struct call *c, uint32_t *slot)
{
    struct anchor *anchor = anchor_of(c);
    if (get32(&anchor->free_slot) == 0) {
        ntmm_status status = add_slots(c);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
    *slot = get32(&anchor->free_slot) - 1;
    set32(&anchor->free_slot, get32(&process_in_slot(c, *slot)->next_free));
    return NTMM_STATUS_SUCCESS;
}

static void give_slot(struct call *c, uint32_t slot)
{
    struct anchor *anchor = anchor_of(c);
    set32(&process_in_slot(c, slot)->next_free, get32(&anchor->free_slot));
    set32(&anchor->free_slot, slot + 1);
}

static ntmm_handle next_handle(struct anchor *anchor, uint32_t slot)
{
    uint32_t generation = get32(&anchor->next_generation);
    set32(&anchor->next_generation, generation == HANDLE_GENERATION_MAX ? 1 : generation + 1);
    return (uint64_t)HANDLE_KIND_PROCESS << HANDLE_KIND_SHIFT |
           (uint64_t)generation << HANDLE_GENERATION_SHIFT | slot;
}

/* Fill a slot nobody knows yet; its lock words stay as they are, and so do its readers, which
 * whoever has an old handle may still add to and take from. */
static void fill_slot(struct process *process, const struct ntmm_process_config *config,
                      const struct layout *layout, uint64_t root_frame)
{
    uint64_t limit = config->commit_limit_pages ? config->commit_limit_pages : UINT64_MAX;
    size_t kept = offsetof(struct process, root_frame);

    __builtin_memset((char *)process + kept, 0, offsetof(struct process, readers) - kept);
    store64_relaxed(&process->root_frame, root_frame);
    set64(&process->highest_page, layout->highest);
    set64(&process->bottom_page, layout->bottom);
    set64(&process->top_page, layout->top);
    set32(&process->flags, config->flags);
    set32(&process->protection, config->protection);
    set64(&process->commit_limit, limit);
    set64(&process->table_pages, 1);
    set64(&process->leaf_span, ~0ull);
    uint64_t minimum = config->working_set_minimum_pages;
    uint64_t maximum = config->working_set_maximum_pages;
    minimum = minimum ? minimum : WORKING_SET_MINIMUM_DEFAULT;
    maximum = maximum ? maximum : WORKING_SET_MAXIMUM_DEFAULT;
    set64(&process->working_set_minimum, minimum);
    set64(&process->working_set_maximum, max_u64(minimum, maximum));
    gap_tree_init(&process->vads, NTMM_ALLOCATION_GRANULARITY / NTMM_PAGE_SIZE);
}

/* Root and slot of a new process; the caller publishes the handle. The slot comes last, because a
 * frame of slots stays for good. (D) is held. */
static ntmm_status make_process(struct call *c, const struct ntmm_process_config *config,
                                const struct layout *layout, uint32_t *slot)
{
    uint64_t root_frame;
    if (!table_root_create(c, &root_frame))
        return want_status(c);
    ntmm_status status = take_slot(c, slot);
    if (status != NTMM_STATUS_SUCCESS) {
        table_root_free(c, root_frame);
        return status;
    }
    fill_slot(process_in_slot(c, *slot), config, layout, root_frame);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status process_create(struct call *c, const struct ntmm_process_config *config,
                           const struct layout *layout, enum process_state state,
                           ntmm_handle *handle)
{
    struct anchor *anchor = anchor_of(c);
    uint32_t slot;

    lock_acquire(c, &anchor->directory_lock, LOCK_DIRECTORY);
    ntmm_status status = make_process(c, config, layout, &slot);
    if (status == NTMM_STATUS_SUCCESS) {
        struct process *process = process_in_slot(c, slot);
        *handle = next_handle(anchor, slot);
        set32(&anchor->live_count, get32(&anchor->live_count) + 1);
        (void)add64(&partition_of(c)->minimum_pages, get64(&process->working_set_minimum));
        system_count(c, NTMM_COUNTER_PROCESSES_CREATED, 1);
        store32_release(&process->state, state);
        store64_release(&process->handle, *handle);
        event_note(c, NTMM_EVENT_PROCESS_CREATED, *handle, *handle, get64(&process->root_frame), 0);
    }
    lock_release(c, &anchor->directory_lock, LOCK_DIRECTORY);
    return status;
}

void process_retire(struct call *c, struct process *process)
{
    struct anchor *anchor = anchor_of(c);
    uint32_t slot = process_index(process);

    NTMM_ASSERT(get64(&process->commit_pages) == 0 && get64(&process->working_set_pages) == 0);
    table_root_free(c, get64(&process->root_frame));
    commit_return(c, get64(&process->table_pages) - 1); /* tables that were abandoned */
    lock_acquire(c, &anchor->directory_lock, LOCK_DIRECTORY);
    for (uint32_t i = 0; i < NTMM_COUNTER_COUNT; i++)
        system_count(c, (enum ntmm_counter)i, get64(&process->counters[i]));
    system_count(c, NTMM_COUNTER_PROCESSES_ENDED, 1);
    (void)add64(&anchor->partition.minimum_pages, 0 - get64(&process->working_set_minimum));
    job_leave(c, process);
    set32(&anchor->live_count, get32(&anchor->live_count) - 1);
    event_note(c, NTMM_EVENT_PROCESS_ENDED, get64(&process->handle), get64(&process->handle), 0, 0);
    store64_release(&process->handle, 0);
    store32_release(&process->state, PROCESS_FREE);
    give_slot(c, slot);
    lock_release(c, &anchor->directory_lock, LOCK_DIRECTORY);
}

void process_directory_free(struct call *c)
{
    struct anchor *anchor = anchor_of(c);
    struct partition *partition = partition_of(c);
    struct frame_chain chain = chain_empty();

    job_frames_free(c);
    if (!get64(&anchor->directory_ref))
        return;
    uint32_t frames = get32(&anchor->slot_count) / PROCESSES_PER_FRAME;
    for (uint32_t i = 0; i < frames; i++)
        chain_add(c, &chain, ref_frame(c, get64(&directory(c)[i])));
    chain_add(c, &chain, ref_frame(c, get64(&anchor->directory_ref)));
    set64(&anchor->directory_ref, 0);
    set32(&anchor->slot_count, 0);
    set32(&anchor->free_slot, 0);
    commit_return(c, chain.count);
    set64(&partition->process_pages, get64(&partition->process_pages) - chain.count);
    chain_free(c, &chain);
}
