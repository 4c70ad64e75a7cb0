/*
 * Slabs: see slab.h. Allocation takes the head of the partial list, so objects crowd into few
 * frames.
 */
#include "phys/slab.h"
#include "base/bits.h"
#include "phys/poison.h"

/* Largest number of objects whose owners and bodies fit a frame, and where the bodies begin. */
static uint32_t lay_out(uint32_t object_size, uint32_t *first)
{
    uint32_t capacity = 0;
    for (;;) {
        uint32_t header = (uint32_t)(sizeof(struct slab) + (capacity + 1) * sizeof(le32));
        uint32_t start = (uint32_t)round_up(header, 64);
        if (start + (capacity + 1) * object_size > NTMM_PAGE_SIZE)
            return capacity;
        capacity++;
        *first = start;
    }
}

void slab_class_init(struct slab_class *class, uint32_t tag, uint32_t object_size)
{
    uint32_t first = 0;
    set32(&class->tag, tag);
    set16(&class->object_size, (uint16_t)round_up(object_size, 64));
    set16(&class->body_size, (uint16_t)object_size);
    set32(&class->capacity, lay_out(get16(&class->object_size), &first));
}

static struct slab *slab_at(const struct call *c, uint64_t ref) { return core_at(c->bias, ref); }

static void partial_add(struct call *c, struct slab_class *class, uint64_t slab_ref)
{
    struct slab *slab = slab_at(c, slab_ref);
    uint64_t head = get64(&class->partial);
    set64(&slab->next, head);
    set64(&slab->prev, 0);
    if (head)
        set64(&slab_at(c, head)->prev, slab_ref);
    set64(&class->partial, slab_ref);
}

static void partial_remove(struct call *c, struct slab_class *class, uint64_t slab_ref)
{
    struct slab *slab = slab_at(c, slab_ref);
    uint64_t next = get64(&slab->next);
    uint64_t prev = get64(&slab->prev);
    if (prev)
        set64(&slab_at(c, prev)->next, next);
    else
        set64(&class->partial, next);
    if (next)
        set64(&slab_at(c, next)->prev, prev);
    set64(&slab->next, 0);
    set64(&slab->prev, 0);
}

static void slab_fill(struct call *c, struct slab_class *class, enum slab_kind kind,
                      uint64_t slab_ref)
{
    struct slab *slab = slab_at(c, slab_ref);
    uint32_t size = get16(&class->object_size);
    uint32_t first = 0;
    uint32_t capacity = lay_out(size, &first);

    set32(&slab->tag, get32(&class->tag));
    set32(&slab->kind, kind);
    set32(&slab->object_size, size);
    set32(&slab->first, first);
    set32(&slab->capacity, capacity);
    for (uint32_t i = capacity; i-- > 0;) {
        uint64_t object = slab_ref + first + (uint64_t)i * size;
        set32(&slab->owners[i], SLAB_FREE);
        set64(core_at(c->bias, object), get64(&slab->free));
        set64(&slab->free, object);
    }
}

/* A new slab on the partial list. (S) is held. */
static bool slab_grow(struct call *c, struct slab_class *class, enum slab_kind kind)
{
    uint64_t frame;
    if (!commit_charge(c, 1))
        return false;
    if (!frame_allocate_zeroed(c, NTMM_USE_SLAB, &frame)) {
        commit_return(c, 1);
        return false;
    }
    set64(&pfn_at(c, frame)->original_pte, get32(&class->tag));
    slab_fill(c, class, kind, frame_ref(c, frame));
    partial_add(c, class, frame_ref(c, frame));
    set64(&class->frame_count, get64(&class->frame_count) + 1);
    return true;
}

/* Which object of its slab a reference names. Without a division: slabs hold few objects. */
static uint32_t object_index(const struct slab *slab, uint64_t ref)
{
    uint32_t offset = (uint32_t)(ref & (NTMM_PAGE_SIZE - 1)) - get32(&slab->first);
    return offset / get32(&slab->object_size);
}

/* An object is zero, and guarded behind what is used of its place. */
static void object_begin(const struct call *c, const struct slab_class *class, uint64_t ref)
{
    uint8_t *object = core_at(c->bias, ref);
    uint32_t body = get16(&class->body_size);
    __builtin_memset(object, 0, get16(&class->object_size));
    if (is_guarded(c))
        __builtin_memset(object + body, POISON_BYTE, get16(&class->object_size) - body);
}

bool slab_guard_is_whole(const struct call *c, const struct slab_class *class, uint64_t ref)
{
    const uint8_t *object = core_at(c->bias, ref);
    uint32_t body = get16(&class->body_size);
    return !is_said_guarded(c) || poison_is_whole(object + body, get16(&class->object_size) - body);
}

uint64_t slab_allocate(struct call *c, enum slab_kind kind, uint32_t owner)
{
    struct slab_class *class = &anchor_of(c)->slabs[kind];
    uint64_t object = 0;

    lock_acquire(c, &class->lock, LOCK_SLAB);
    if (get64(&class->partial) || slab_grow(c, class, kind)) {
        uint64_t slab_ref = get64(&class->partial);
        struct slab *slab = slab_at(c, slab_ref);
        object = get64(&slab->free);
        set64(&slab->free, get64(core_at(c->bias, object)));
        set32(&slab->owners[object_index(slab, object)], owner);
        set32(&slab->used, get32(&slab->used) + 1);
        store64_relaxed(&class->used, get64(&class->used) + 1);
        if (get64(&slab->free) == 0)
            partial_remove(c, class, slab_ref);
    }
    lock_release(c, &class->lock, LOCK_SLAB);
    if (object)
        object_begin(c, class, object);
    return object;
}

/* Free the frame of an empty slab that is on the partial list. (S) is held. */
static void slab_discard(struct call *c, struct slab_class *class, uint64_t slab_ref)
{
    partial_remove(c, class, slab_ref);
    set64(&class->frame_count, get64(&class->frame_count) - 1);
    frame_free(c, ref_frame(c, slab_ref));
    commit_return(c, 1);
}

void slab_release(struct call *c, uint64_t ref)
{
    uint64_t slab_ref = round_down(ref, NTMM_PAGE_SIZE);
    struct slab *slab = slab_at(c, slab_ref);
    struct slab_class *class = &anchor_of(c)->slabs[get32(&slab->kind)];
    uint32_t index = object_index(slab, ref);

    lock_acquire(c, &class->lock, LOCK_SLAB);
    NTMM_ASSERT(get32(&slab->owners[index]) != SLAB_FREE);
    NTMM_ASSERT(slab_guard_is_whole(c, class, ref));
    set32(&slab->owners[index], SLAB_FREE);
    if (get64(&slab->free) == 0)
        partial_add(c, class, slab_ref);
    __builtin_memset(core_at(c->bias, ref), 0, get32(&slab->object_size));
    set64(core_at(c->bias, ref), get64(&slab->free));
    set64(&slab->free, ref);
    set32(&slab->used, get32(&slab->used) - 1);
    store64_relaxed(&class->used, get64(&class->used) - 1);
    bool is_only_partial = get64(&class->partial) == slab_ref && get64(&slab->next) == 0;
    if (get32(&slab->used) == 0 && !is_only_partial)
        slab_discard(c, class, slab_ref);
    lock_release(c, &class->lock, LOCK_SLAB);
}

bool slab_has_room(struct call *c, enum slab_kind kind)
{
    struct slab_class *class = &anchor_of(c)->slabs[kind];
    lock_acquire(c, &class->lock, LOCK_SLAB);
    bool has_room = get64(&class->partial) != 0;
    lock_release(c, &class->lock, LOCK_SLAB);
    return has_room;
}

void slab_trim_class(struct call *c, enum slab_kind kind)
{
    struct slab_class *class = &anchor_of(c)->slabs[kind];
    lock_acquire(c, &class->lock, LOCK_SLAB);
    for (uint64_t ref = get64(&class->partial), next; ref; ref = next) {
        next = get64(&slab_at(c, ref)->next);
        if (get32(&slab_at(c, ref)->used) == 0)
            slab_discard(c, class, ref);
    }
    lock_release(c, &class->lock, LOCK_SLAB);
}

void slab_trim(struct call *c)
{
    for (uint32_t kind = 0; kind < SLAB_KIND_COUNT; kind++)
        slab_trim_class(c, (enum slab_kind)kind);
}
