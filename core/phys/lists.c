/*
 * Page lists: chains of frames through their PFN rows, and the lists of a partition.
 *
 *   head -> f1 <-> f2 <-> ... <-> fn <- tail      FRAME_NONE past either end
 *
 * The push and remove functions only link; the caller holds the list's lock and keeps P1 to P3.
 */
#include "phys/pfn.h"
#include "x64/formats.h"

void list_init(struct frame_list *list, enum ntmm_frame_location location)
{
    store64_relaxed(&list->count, 0);
    store64_relaxed(&list->head, FRAME_NONE);
    set64(&list->tail, FRAME_NONE);
    set32(&list->lock, 0);
    set32(&list->location, location);
}

static void link_between(struct call *c, struct frame_list *list, uint64_t frame, uint64_t previous,
                         uint64_t next)
{
    struct pfn *pfn = pfn_at(c, frame);
    set64(&pfn->blink, previous);
    set64(&pfn->flink, next);
    if (previous == FRAME_NONE)
        store64_relaxed(&list->head, frame);
    else
        set64(&pfn_at(c, previous)->flink, frame);
    if (next == FRAME_NONE)
        set64(&list->tail, frame);
    else
        set64(&pfn_at(c, next)->blink, frame);
    store64_relaxed(&list->count, get64(&list->count) + 1);
}

void list_push_head(struct call *c, struct frame_list *list, uint64_t frame)
{
    link_between(c, list, frame, FRAME_NONE, get64(&list->head));
}

void list_push_tail(struct call *c, struct frame_list *list, uint64_t frame)
{
    link_between(c, list, frame, get64(&list->tail), FRAME_NONE);
}

void list_push_after(struct call *c, struct frame_list *list, uint64_t previous, uint64_t frame)
{
    uint64_t next =
        previous == FRAME_NONE ? get64(&list->head) : get64(&pfn_at(c, previous)->flink);
    link_between(c, list, frame, previous, next);
}

void list_remove(struct call *c, struct frame_list *list, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    uint64_t next = get64(&pfn->flink);
    uint64_t previous = get64(&pfn->blink);
    if (previous == FRAME_NONE)
        store64_relaxed(&list->head, next);
    else
        set64(&pfn_at(c, previous)->flink, next);
    if (next == FRAME_NONE)
        set64(&list->tail, previous);
    else
        set64(&pfn_at(c, next)->blink, previous);
    store64_relaxed(&list->count, get64(&list->count) - 1);
    set64(&pfn->flink, FRAME_NONE);
    set64(&pfn->blink, FRAME_NONE);
}

void list_cut(struct call *c, struct frame_list *list, uint64_t next, uint64_t count)
{
    store64_relaxed(&list->head, next);
    if (next == FRAME_NONE)
        set64(&list->tail, FRAME_NONE);
    else
        set64(&pfn_at(c, next)->blink, FRAME_NONE);
    store64_relaxed(&list->count, get64(&list->count) - count);
}

struct frame_list *list_for(const struct call *c, enum ntmm_frame_location location,
                            uint32_t priority)
{
    struct partition *partition = partition_of(c);
    switch (location) {
    case NTMM_FRAME_ZEROED:
        return &partition->node.zeroed;
    case NTMM_FRAME_FREE:
        return &partition->node.free;
    case NTMM_FRAME_STANDBY:
        return &partition->standby[priority];
    case NTMM_FRAME_MODIFIED:
        return &partition->modified;
    case NTMM_FRAME_MODIFIED_NO_WRITE:
        return &partition->modified_no_write;
    case NTMM_FRAME_BAD:
        return &partition->bad;
    case NTMM_FRAME_ACTIVE:
    case NTMM_FRAME_TRANSITION:
        break;
    }
    return NULL;
}

struct frame_list *list_of(const struct call *c, const struct pfn *pfn,
                           enum ntmm_frame_location location)
{
    bool is_of_file = location == NTMM_FRAME_MODIFIED &&
                      (load64_relaxed(&pfn->original_pte) & FIELD_MASK(SUBSECTION_PROTOTYPE));
    if (is_of_file)
        return &partition_of(c)->modified_mapped;
    return list_for(c, location, pfn_priority(pfn));
}

static void set_location(struct pfn *pfn, enum ntmm_frame_location location)
{
    store16_relaxed(&pfn->state,
                    (uint16_t)((load16_relaxed(&pfn->state) & ~(uint32_t)PFN_LOCATION) | location));
}

#if defined(NTMM_SCHEDULE_POINTS)
static const char *put_step(enum ntmm_frame_location location)
{
    return location == NTMM_FRAME_STANDBY    ? "put_standby"
           : location == NTMM_FRAME_MODIFIED ? "put_modified"
                                             : "put_bad";
}
#endif

void frame_enlist(struct call *c, uint64_t frame, enum ntmm_frame_location location)
{
    struct pfn *pfn = pfn_at(c, frame);
    struct frame_list *list = list_of(c, pfn, location);

    NTMM_ASSERT(location >= NTMM_FRAME_STANDBY && location <= NTMM_FRAME_BAD);
    lock_acquire(c, &list->lock, LOCK_LIST);
    set32(&pfn->share_count, 0);
    set16(&pfn->reference_count, 0);
    set_location(pfn, location);
    list_push_tail(c, list, frame);
    frame_step(c, pfn, put_step(location));
    lock_release(c, &list->lock, LOCK_LIST);
    if (location == NTMM_FRAME_STANDBY) {
        (void)add64(&partition_of(c)->standby_pages, 1);
        atomic_thread_fence(memory_order_seq_cst); /* against frames_available */
        waiters_wake_all(c, &c->sys->for_frame);
        condition_note(c);
    }
    event_note(c, NTMM_EVENT_FRAME_STATE, 0, frame, get64(&pfn->entry_address), location);
}

/* The oldest frame whose lock is free, off its list, with (F) held; or FRAME_NONE. *busy: the
 * oldest one; FRAME_NONE: the list is empty. */
static uint64_t try_oldest(struct call *c, struct frame_list *list, uint64_t *busy)
{
    lock_acquire(c, &list->lock, LOCK_LIST);
    uint64_t frame = *busy = get64(&list->head);
    while (frame != FRAME_NONE && !lock_try(c, frame_lock_word(c, frame), LOCK_FRAME))
        frame = get64(&pfn_at(c, frame)->flink);
    if (frame != FRAME_NONE) {
        list_remove(c, list, frame);
        frame_step(c, pfn_at(c, frame), "unlist");
    }
    lock_release(c, &list->lock, LOCK_LIST);
    return frame;
}

/* Wait for the lock of a frame that was on a list. True: it still was, and is off it, with (F)
 * held. */
static bool take_when_free(struct call *c, struct frame_list *list, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    if (list_of(c, pfn, pfn_location(pfn)) != list) {
        frame_unlock(c, frame);
        return false;
    }
    lock_acquire(c, &list->lock, LOCK_LIST);
    list_remove(c, list, frame);
    frame_step(c, pfn, "unlist");
    lock_release(c, &list->lock, LOCK_LIST);
    return true;
}

bool frame_take_from_standby(struct call *c, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    if (pfn_location(pfn) != NTMM_FRAME_STANDBY) {
        frame_unlock(c, frame);
        return false;
    }
    struct frame_list *list = list_of(c, pfn, NTMM_FRAME_STANDBY);
    lock_acquire(c, &list->lock, LOCK_LIST);
    list_remove(c, list, frame);
    frame_step(c, pfn, "unlist");
    lock_release(c, &list->lock, LOCK_LIST);
    return true;
}

uint64_t frame_take_oldest(struct call *c, struct frame_list *list)
{
    for (;;) {
        uint64_t busy;
        uint64_t frame = try_oldest(c, list, &busy);
        if (frame != FRAME_NONE || busy == FRAME_NONE)
            return frame;
        if (take_when_free(c, list, busy))
            return busy;
    }
}
