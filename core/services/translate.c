/*
 * Translation for a TLB fill, without a lock.
 *
 *   slot --handle, state, root--> descend: one atomic load a level --> judge --> mark --> run
 *             ^                                                          |
 *             +------------------ an entry changed since ----------------+
 *
 * Why no lock is needed. The caller is inside (ntmm/borrow.h): whoever withdraws an entry waits for
 * it before the frame that the entry named changes hands. So a table that was reached stays a table
 * until the caller has put the answer into its TLB, and what is withdrawn meanwhile is withdrawn
 * from that TLB too. A process that ends is marked ENDING before the last invalidation of its
 * address space, and its root is freed after it: whoever saw it LIVE holds that up, whoever comes
 * later sees ENDING. Taking (W) instead would be wrong: it is held during that wait.
 *
 * Accessed and dirty are set by compare-exchange against the value that was judged, from the root
 * down, so a bit is never set in an entry that is something else by now.
 */
#include "base/bits.h"
#include "space/process.h"
#include "space/table.h"
#include "x64/formats.h"

#include <ntmm/borrow.h>
#include <ntmm/constants.h>

#define LEVELS_MAX 5u
#define ACCESSES (NTMM_TRANSLATE_READ | NTMM_TRANSLATE_WRITE | NTMM_TRANSLATE_EXECUTE)
/* What the pages of a run have in common, beside the row of their frames. */
#define RUN_BITS                                                                                   \
    (FIELD_MASK(HW_VALID) | FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_OWNER) |                         \
     FIELD_MASK(HW_WRITE_THROUGH) | FIELD_MASK(HW_CACHE_DISABLE) | FIELD_MASK(HW_ACCESSED) |       \
     FIELD_MASK(HW_DIRTY) | FIELD_MASK(HW_NO_EXECUTE))

struct path {
    le64 *slot[LEVELS_MAX + 1];     /* by level */
    uint64_t entry[LEVELS_MAX + 1]; /* as read */
    uint64_t all;                   /* the entries used, and-ed */
    uint64_t any;                   /* or-ed */
    uint32_t top;                   /* levels of the tables */
    uint32_t leaf;                  /* level of the leaf */
};

static uint64_t leaf_bytes(uint32_t level) { return 1ull << x64_level_shift(level); }

/* Root to leaf; false where an entry is not valid. */
static bool descend(const struct call *c, uint64_t root_frame, uint64_t va, struct path *p)
{
    uint64_t frame = root_frame;
    p->all = ~0ull;
    p->any = 0;
    p->top = c->sys->levels;
    for (uint32_t level = p->top;; level--) {
        p->slot[level] = table_slot(c, frame, va, level);
        uint64_t entry = p->entry[level] = load64_acquire(p->slot[level]);
        if (!(entry & FIELD_MASK(HW_VALID)))
            return false;
        p->all &= entry;
        p->any |= entry;
        p->leaf = level;
        if (level == 1 || pte_kind(entry, level, 0) == PTE_LARGE)
            return true;
        frame = field_get(entry, HW_FRAME);
    }
}

static uint32_t rights_of(const struct path *p)
{
    uint32_t rights = NTMM_TRANSLATE_READ;
    if (p->all & FIELD_MASK(HW_DIRTY1))
        rights |= NTMM_TRANSLATE_WRITE;
    if (!(p->any & FIELD_MASK(HW_NO_EXECUTE)))
        rights |= NTMM_TRANSLATE_EXECUTE;
    if (p->all & FIELD_MASK(HW_OWNER))
        rights |= NTMM_TRANSLATE_USER;
    return rights;
}

static bool is_granted(uint32_t rights, uint32_t access)
{
    uint32_t needed = access & ACCESSES;
    if (!(access & NTMM_TRANSLATE_SUPERVISOR))
        needed |= NTMM_TRANSLATE_USER;
    return (needed & ~rights) == 0;
}

/* Accessed at every level, dirty in the leaf of a write. False: an entry changed since. */
static bool mark_used(struct path *p, uint32_t access)
{
    for (uint32_t level = p->top; level >= p->leaf; level--) {
        uint64_t seen = p->entry[level];
        uint64_t marked = seen | FIELD_MASK(HW_ACCESSED);
        if (level == p->leaf && (access & NTMM_TRANSLATE_WRITE))
            marked |= FIELD_MASK(HW_DIRTY);
        if (marked != seen && !cas64(p->slot[level], &seen, marked))
            return false;
        p->entry[level] = marked;
    }
    return true;
}

/* Pages from the one asked for that continue it, up to the end of its leaf table. */
static uint64_t run_pages(const struct path *p, uint64_t va)
{
    uint64_t first = p->entry[1];
    uint64_t limit = NTMM_ENTRIES_PER_TABLE - x64_index(va, 1);
    uint64_t pages = 1;
    if (!(first & FIELD_MASK(HW_ACCESSED)))
        return 1;
    for (; pages < limit; pages++) {
        uint64_t entry = load64_acquire(p->slot[1] + pages);
        if ((entry & RUN_BITS) != (first & RUN_BITS) ||
            field_get(entry, HW_FRAME) != field_get(first, HW_FRAME) + pages)
            break;
    }
    return pages;
}

static void describe(const struct path *p, uint64_t va, struct ntmm_translation *t)
{
    uint64_t leaf = p->entry[p->leaf];
    uint64_t size = leaf_bytes(p->leaf);
    uint64_t page_base = round_down(va, NTMM_PAGE_SIZE);
    uint64_t frame_bits = leaf & FIELD_MASK(HW_FRAME) & ~(size - 1);

    t->rights = rights_of(p);
    if (!(leaf & FIELD_MASK(HW_DIRTY)))
        t->rights &= ~NTMM_TRANSLATE_WRITE;
    t->cache = (leaf & FIELD_MASK(HW_WRITE_THROUGH) ? NTMM_TRANSLATE_WRITE_THROUGH : 0u) |
               (leaf & FIELD_MASK(HW_CACHE_DISABLE) ? NTMM_TRANSLATE_CACHE_DISABLE : 0u);
    t->reserved = 0;
    t->physical_address = frame_bits | (va & (size - 1));
    t->leaf_bytes = size;
    t->run_base = page_base;
    t->run_bytes =
        p->leaf == 1 ? run_pages(p, va) << NTMM_PAGE_SHIFT : size - (page_base & (size - 1));
}

static ntmm_status find_root(const struct call *c, ntmm_handle handle, uint64_t *root_frame)
{
    const struct process *process = process_find(c, handle);
    if (!process)
        return process_not_found(handle);
    if (load64_acquire(&process->handle) != process_own_handle(handle))
        return NTMM_STATUS_INVALID_HANDLE;
    bool is_live = load32_acquire(&process->state) == PROCESS_LIVE;
    *root_frame = load64_acquire(&process->root_frame);
    if (load64_relaxed(&process->handle) != process_own_handle(handle))
        return NTMM_STATUS_INVALID_HANDLE; /* state or root may be the slot's next process's */
    return is_live ? NTMM_STATUS_SUCCESS : NTMM_STATUS_PROCESS_IS_TERMINATING;
}

static ntmm_status check_arguments(uint32_t access, const struct ntmm_translation *t)
{
    const uint32_t known = ACCESSES | NTMM_TRANSLATE_SUPERVISOR | NTMM_TRANSLATE_MARK;
    if (!(access & ACCESSES) || (access & ~known))
        return NTMM_STATUS_INVALID_PARAMETER_4;
    if (!t)
        return NTMM_STATUS_INVALID_PARAMETER_5;
    return t->size == sizeof *t ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INFO_LENGTH_MISMATCH;
}

ntmm_status ntmm_translate(struct ntmm_system *system, ntmm_handle handle, uint64_t va,
                           uint32_t access, struct ntmm_translation *translation)
{
    const struct call c = call_begin(system);
    struct path path;
    uint64_t root_frame;
    ntmm_status status = check_arguments(access, translation);
    if (status == NTMM_STATUS_SUCCESS)
        status = find_root(&c, handle, &root_frame);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!x64_is_canonical(va, system->levels))
        return NTMM_STATUS_ACCESS_VIOLATION;
    do {
        if (!descend(&c, root_frame, va, &path) || !is_granted(rights_of(&path), access))
            return NTMM_STATUS_ACCESS_VIOLATION;
    } while ((access & NTMM_TRANSLATE_MARK) && !mark_used(&path, access));
    describe(&path, va, translation);
    return NTMM_STATUS_SUCCESS;
}

void ntmm_set_invalidation_sink(struct ntmm_system *system, ntmm_invalidation_sink sink,
                                void *context)
{
    system->invalidation_context = context;
    system->invalidation_sink = sink;
}
