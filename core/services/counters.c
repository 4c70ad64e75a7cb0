/*
 * Reading counters and memory use.
 */
#include "base/bits.h"
#include "phys/cache.h"
#include "phys/slab.h"
#include "space/private.h"

#include <ntmm/process.h>
#include <ntmm/system.h>

static const struct ntmm_counter_description descriptions[NTMM_COUNTER_COUNT] = {
#define COUNTER_ROW(id, name, nt_class, unit, owner) {name, nt_class, unit, NTMM_OWNER_##owner},
    NTMM_COUNTER_TABLE(COUNTER_ROW)
#undef COUNTER_ROW
};

const struct ntmm_counter_description *ntmm_describe_counter(uint32_t counter)
{
    return counter < NTMM_COUNTER_COUNT ? &descriptions[counter] : NULL;
}

/* Sums over live processes: counters into values, tables as the result. */
static uint64_t sum_processes(struct call *c, uint64_t *values)
{
    uint64_t tables = 0;
    uint32_t slots = load32_acquire(&anchor_of(c)->slot_count);
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct process *process = process_in_slot(c, slot);
        working_set_acquire(c, process);
        if (load64_acquire(&process->handle)) {
            tables += get64(&process->table_pages);
            for (uint32_t i = 0; values && i < NTMM_COUNTER_COUNT; i++)
                values[i] += get64(&process->counters[i]);
        }
        process_unlock_working_set(c, process);
    }
    return tables;
}

void ntmm_query_counters(struct ntmm_system *system, uint64_t *values, uint32_t count)
{
    struct call c = call_begin(system);
    struct anchor *anchor = anchor_of(&c);
    uint64_t sums[NTMM_COUNTER_COUNT];

    for (uint32_t i = 0; i < NTMM_COUNTER_COUNT; i++)
        sums[i] = load64_relaxed(&anchor->counters[i]);
    sum_processes(&c, sums);
    for (uint32_t i = 0; i < count; i++)
        values[i] = i < NTMM_COUNTER_COUNT ? sums[i] : 0;
}

static uint64_t list_count(struct call *c, struct frame_list *list)
{
    lock_acquire(c, &list->lock, LOCK_LIST);
    uint64_t count = get64(&list->count);
    lock_release(c, &list->lock, LOCK_LIST);
    return count;
}

static uint64_t slab_pages(struct call *c)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < SLAB_KIND_COUNT; i++) {
        struct slab_class *class = &anchor_of(c)->slabs[i];
        lock_acquire(c, &class->lock, LOCK_SLAB);
        pages += get64(&class->frame_count);
        lock_release(c, &class->lock, LOCK_SLAB);
    }
    return pages;
}

static void fill_lists(struct call *c, struct ntmm_memory_information *m)
{
    struct partition *partition = partition_of(c);
    struct node *node = &partition->node;
    m->user_pages = frames_user_pages(c, &m->user_peak_pages);
    (void)caches_drain(c); /* so that runs are whole */
    lock_acquire(c, &node->lock, LOCK_NODE);
    m->zeroed_pages = get64(&node->zeroed.count) + caches_count(c, true);
    m->free_pages = get64(&node->free.count) + caches_count(c, false);
    m->free_large_runs = get64(&node->whole_run_count);
    lock_release(c, &node->lock, LOCK_NODE);
    for (uint32_t i = 0; i < STANDBY_PRIORITIES; i++)
        m->standby_pages[i] = list_count(c, &partition->standby[i]);
    m->modified_mapped_pages = list_count(c, &partition->modified_mapped);
    m->modified_pages = list_count(c, &partition->modified) + m->modified_mapped_pages;
    m->modified_no_write_pages = list_count(c, &partition->modified_no_write);
    m->bad_pages = list_count(c, &partition->bad);
}

void ntmm_query_memory(struct ntmm_system *system, struct ntmm_memory_information *information)
{
    struct call c = call_begin(system);
    struct anchor *anchor = anchor_of(&c);
    struct partition *partition = &anchor->partition;
    struct ntmm_memory_information m = {
        .total_pages = load64_relaxed(&partition->total_pages),
        .metadata_pages = load64_relaxed(&partition->metadata_pages),
        .paging_pages = load64_relaxed(&partition->paging_pages),
        .commit_pages = commit_charged(&c),
        .commit_limit_pages = load64_relaxed(&partition->commit_limit),
        .commit_peak_pages = load64_relaxed(&partition->commit_peak),
    };

    fill_lists(&c, &m);
    m.table_pages = sum_processes(&c, NULL);
    m.slab_pages = slab_pages(&c);
    lock_acquire(&c, &anchor->directory_lock, LOCK_DIRECTORY);
    m.process_pages = get64(&partition->process_pages);
    lock_release(&c, &anchor->directory_lock, LOCK_DIRECTORY);
    uint64_t listed =
        m.zeroed_pages + m.free_pages + m.modified_pages + m.modified_no_write_pages + m.bad_pages;
    for (uint32_t i = 0; i < STANDBY_PRIORITIES; i++)
        listed += m.standby_pages[i];
    m.transition_pages = min_u64(load64_relaxed(&partition->transition_pages),
                                 m.total_pages - m.metadata_pages - listed);
    m.active_pages = m.total_pages - m.metadata_pages - listed - m.transition_pages;
    *information = m;
}
