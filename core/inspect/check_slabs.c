/*
 * The checker's view of slabs, and of the references in the nodes of VAD trees in them.
 *
 *   class --partial--> slab <--> slab      slab --free--> object --> object, all of the same frame
 *
 * A slab is found by its frame's row, never through a list, and every reference is looked at before
 * it is followed, so that the walks end on any contents. Once the references of nodes are known to
 * name nodes and VADs in use, the tree's own checker may follow them.
 */
#include "base/bits.h"
#include "inspect/checker.h"

static bool is_slab_frame(const struct pfn *pfn)
{
    return pfn_location(pfn) == NTMM_FRAME_ACTIVE && pfn_use(pfn) == NTMM_USE_SLAB;
}

/* The slab that a reference lies in; NULL when it is in no slab's frame. */
static const struct slab *slab_around(struct checker *k, uint64_t ref)
{
    uint64_t frame = ref_frame(k->c, ref);
    const struct pfn *pfn = pfn_find(k->c, frame);
    return pfn && is_slab_frame(pfn) ? table_at(k->c, frame) : NULL;
}

/* The number of the object that begins at a reference; its capacity when none does. */
static uint32_t object_at(const struct slab *slab, uint64_t ref)
{
    uint32_t size = get32(&slab->object_size);
    uint32_t capacity = get32(&slab->capacity);
    uint32_t offset = (uint32_t)(ref & (NTMM_PAGE_SIZE - 1)) - get32(&slab->first);
    return offset % size == 0 && offset / size < capacity ? offset / size : capacity;
}

bool check_is_object(struct checker *k, enum slab_kind kind, uint64_t ref, uint32_t *owner)
{
    const struct slab *slab = slab_around(k, ref);
    if (!slab || get32(&slab->kind) != (uint32_t)kind)
        return false;
    uint32_t index = object_at(slab, ref);
    if (index == get32(&slab->capacity))
        return false;
    *owner = get32(&slab->owners[index]);
    return *owner != SLAB_FREE;
}

struct area_references *check_references(struct checker *k, uint64_t area)
{
    const struct slab *slab = slab_around(k, area);
    uint64_t mark = (uint64_t)(check_mark(k, ref_frame(k->c, area)) - k->marks);
    uint64_t first = 0;
    uint64_t last = k->slabs[SLAB_CONTROL_AREA].frames - 1;
    while (first < last) {
        uint64_t middle = first + (last - first) / 2;
        if (k->area_slabs[middle] < mark)
            first = middle + 1;
        else
            last = middle;
    }
    return &k->area_references[first * get32(&slab->capacity) + object_at(slab, area)];
}

/* S3: the header says what the class and the row say. */
static bool check_header(struct checker *k, uint64_t frame, const struct slab *slab)
{
    uint32_t kind = get32(&slab->kind);
    if (kind >= SLAB_KIND_COUNT)
        return check_fail(k, "S3", frame, SLAB_KIND_COUNT - 1, kind);
    const struct slab_class *class = &anchor_of(k->c)->slabs[kind];
    uint64_t tag = get32(&class->tag);
    uint64_t first = sizeof(struct slab) + get32(&class->capacity) * sizeof(le32);
    return check_equal(k, "S3", frame, tag, get32(&slab->tag)) &&
           check_equal(k, "S3", frame, tag, get64(&pfn_at(k->c, frame)->original_pte)) &&
           check_equal(k, "S3", frame, get16(&class->object_size), get32(&slab->object_size)) &&
           check_equal(k, "S3", frame, get32(&class->capacity), get32(&slab->capacity)) &&
           check_equal(k, "S3", frame, round_up(first, 64), get32(&slab->first));
}

/* S5: nobody wrote to an object since it was released. */
static bool check_free_object(struct checker *k, uint64_t ref, uint32_t size)
{
    const le64 *words = core_at(k->c->bias, ref);
    uint64_t any = 0;
    for (uint32_t i = 1; i < size / sizeof *words; i++)
        any |= get64(&words[i]);
    return check_equal(k, "S5", ref, 0, any);
}

static bool check_is_zero(struct checker *k, uint64_t frame, const struct slab *slab, uint32_t from,
                          uint32_t to)
{
    const uint8_t *bytes = (const uint8_t *)slab;
    uint32_t any = 0;
    for (uint32_t i = from; i < to; i++)
        any |= bytes[i];
    return check_equal(k, "S6", frame, 0, any);
}

/* S6: nobody wrote behind the end of an object. */
static bool check_guards(struct checker *k, uint64_t frame, const struct slab *slab)
{
    const struct slab_class *class = &anchor_of(k->c)->slabs[get32(&slab->kind)];
    uint32_t capacity = get32(&slab->capacity);
    uint32_t first = get32(&slab->first);
    uint32_t size = get32(&slab->object_size);
    for (uint32_t i = 0; i < capacity; i++) {
        uint64_t ref = frame_ref(k->c, frame) + first + (uint64_t)i * size;
        bool is_whole =
            get32(&slab->owners[i]) == SLAB_FREE || slab_guard_is_whole(k->c, class, ref);
        if (!check_equal(k, "S6", ref, 1, is_whole))
            return false;
    }
    uint32_t owners_end = (uint32_t)(sizeof *slab + capacity * sizeof(le32));
    return check_is_zero(k, frame, slab, owners_end, first) &&
           check_is_zero(k, frame, slab, first + capacity * size, NTMM_PAGE_SIZE);
}

/* S1: owners, the free chain and the count agree. */
static bool check_objects(struct checker *k, uint64_t frame, const struct slab *slab)
{
    uint32_t capacity = get32(&slab->capacity);
    uint32_t used = 0;
    uint32_t chained = 0;

    for (uint32_t i = 0; i < capacity; i++)
        used += get32(&slab->owners[i]) != SLAB_FREE;
    for (uint64_t ref = get64(&slab->free); ref && chained <= capacity; chained++) {
        uint32_t index = ref_frame(k->c, ref) == frame ? object_at(slab, ref) : capacity;
        if (index == capacity || get32(&slab->owners[index]) != SLAB_FREE)
            return check_fail(k, "S1", frame, capacity, ref);
        if (!check_free_object(k, ref, get32(&slab->object_size)))
            return false;
        ref = get64(core_at(k->c->bias, ref));
    }
    return check_equal(k, "S1", frame, used, get32(&slab->used)) &&
           check_equal(k, "S1", frame, capacity - used, chained);
}

/* S2: the partial list is sound both ways and holds each slab with room. */
static bool check_partial(struct checker *k, const struct slab_class *class, uint64_t with_room)
{
    uint64_t previous = 0;
    uint64_t length = 0;
    for (uint64_t ref = get64(&class->partial); ref && length <= with_room; length++) {
        const struct slab *slab = slab_around(k, ref);
        if (!slab || !is_multiple(ref, NTMM_PAGE_SIZE) || get64(&slab->free) == 0)
            return check_fail(k, "S2", ref, 1, 0);
        if (!check_equal(k, "S2", ref, previous, get64(&slab->prev)))
            return false;
        previous = ref;
        ref = get64(&slab->next);
    }
    return check_equal(k, "S2", 0, with_room, length);
}

/*
 * V1: what a node refers to is a node in use, if it has a level below it, or a VAD in use.
 * S4: and has the same owner.
 */
static bool check_node_references(struct checker *k, uint64_t ref, uint32_t owner)
{
    const struct gap_node *node = core_at(k->c->bias, ref);
    enum slab_kind kind = get32(&node->level) > 0 ? SLAB_VAD_NODE : SLAB_VAD;
    if (get32(&node->count) > GAP_TREE_FANOUT)
        return check_fail(k, "V1", ref, GAP_TREE_FANOUT, get32(&node->count));
    for (uint32_t i = 0; i < get32(&node->count); i++) {
        uint64_t below = get64(&node->ref[i]);
        uint32_t owner_below;
        if (!check_is_object(k, kind, below, &owner_below))
            return check_fail(k, "V1", ref, 0, below);
        if (!check_equal(k, "S4", below, owner, owner_below))
            return false;
    }
    return true;
}

static bool check_nodes_of(struct checker *k, uint64_t frame, const struct slab *slab)
{
    uint64_t first = frame_ref(k->c, frame) + get32(&slab->first);
    if (get32(&slab->kind) != SLAB_VAD_NODE)
        return true;
    for (uint32_t i = 0; i < get32(&slab->capacity); i++) {
        uint32_t owner = get32(&slab->owners[i]);
        uint64_t ref = first + (uint64_t)i * get32(&slab->object_size);
        if (owner != SLAB_FREE && !check_node_references(k, ref, owner))
            return false;
    }
    return true;
}

/* Call a check for every slab frame of the system. */
static bool for_each_slab(struct checker *k,
                          bool (*check)(struct checker *k, uint64_t frame, const struct slab *slab))
{
    const struct anchor *anchor = anchor_of(k->c);
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        uint64_t base = get64(&anchor->ranges[i].base_frame);
        for (uint64_t j = 0; j < get64(&anchor->ranges[i].frame_count); j++) {
            if (is_slab_frame(pfn_at(k->c, base + j)) &&
                !check(k, base + j, table_at(k->c, base + j)))
                return false;
        }
    }
    return true;
}

static bool check_slab(struct checker *k, uint64_t frame, const struct slab *slab)
{
    if (!check_header(k, frame, slab) || !check_objects(k, frame, slab) ||
        !check_guards(k, frame, slab))
        return false;
    struct slab_totals *totals = &k->slabs[get32(&slab->kind)];
    if (get32(&slab->kind) == SLAB_CONTROL_AREA && totals->frames < k->area_slab_most)
        k->area_slabs[totals->frames] = (uint32_t)(check_mark(k, frame) - k->marks);
    totals->frames++;
    totals->used += get32(&slab->used);
    totals->with_room += get32(&slab->used) < get32(&slab->capacity);
    return true;
}

bool check_slabs(struct checker *k)
{
    if (!for_each_slab(k, check_slab))
        return false;
    for (uint32_t i = 0; i < SLAB_KIND_COUNT; i++) {
        const struct slab_class *class = &anchor_of(k->c)->slabs[i];
        if (!check_equal(k, "S2", i, k->slabs[i].frames, get64(&class->frame_count)) ||
            !check_equal(k, "S2", i, k->slabs[i].used, get64(&class->used)) ||
            !check_partial(k, class, k->slabs[i].with_room))
            return false;
        k->commit += k->slabs[i].frames;
    }
    return for_each_slab(k, check_nodes_of);
}

bool check_slab_owners(struct checker *k)
{
    k->process = 0;
    return check_equal(k, "S4", SLAB_VAD, k->vads, k->slabs[SLAB_VAD].used) &&
           check_equal(k, "S4", SLAB_VAD_NODE, k->vad_nodes, k->slabs[SLAB_VAD_NODE].used) &&
           check_equal(k, "S4", SLAB_WATCH_NODE, k->watch_nodes, k->slabs[SLAB_WATCH_NODE].used) &&
           check_equal(k, "S4", SLAB_FAULT_LOG, k->fault_logs, k->slabs[SLAB_FAULT_LOG].used) &&
           check_equal(k, "S4", SLAB_SECURE, k->secures, k->slabs[SLAB_SECURE].used);
}
