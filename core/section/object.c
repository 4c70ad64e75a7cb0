/*
 * The table of objects. See object.h.
 *
 *   anchor --> frame: 512 references --> frame: 256 slots
 *
 * Frames of the table stay while the system lives; free slots form a chain.
 */
#include "section/object.h"
#include "section/file_lock.h"

#define GENERATION_MAX 0xFFFFFFu
#define SLOT_MASK 0xFFFFFFull

static struct object *object_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

static struct object_slot *slot_at(const struct call *c, uint32_t number)
{
    const le64 *directory = core_at(c->bias, get64(&anchor_of(c)->objects_ref));
    uint64_t frame = get64(&directory[number / OBJECT_SLOTS_PER_FRAME]);
    return (struct object_slot *)core_at(c->bias, frame) + number % OBJECT_SLOTS_PER_FRAME;
}

uint64_t object_take_frame(struct call *c)
{
    uint64_t frame;
    if (!commit_charge(c, 1))
        return 0;
    if (frame_allocate_zeroed(c, NTMM_USE_OBJECT, &frame))
        return frame_ref(c, frame);
    commit_return(c, 1);
    return 0;
}

static uint64_t take_table_frame(struct call *c)
{
    struct partition *partition = partition_of(c);
    uint64_t ref = object_take_frame(c);
    if (ref)
        set64(&partition->object_pages, get64(&partition->object_pages) + 1);
    return ref;
}

/* 256 more free slots. False with c->want set, or empty: there are too many. */
static bool add_slots(struct call *c)
{
    struct anchor *anchor = anchor_of(c);
    uint32_t count = get32(&anchor->object_slots);
    if (count == OBJECTS_MAX)
        return false;
    if (!get64(&anchor->objects_ref)) {
        uint64_t directory = take_table_frame(c);
        if (!directory)
            return false;
        set64(&anchor->objects_ref, directory);
    }
    uint64_t ref = take_table_frame(c);
    if (!ref)
        return false;
    le64 *directory = core_at(c->bias, get64(&anchor->objects_ref));
    set64(&directory[count / OBJECT_SLOTS_PER_FRAME], ref);
    set32(&anchor->object_slots, count + OBJECT_SLOTS_PER_FRAME);
    for (uint32_t i = OBJECT_SLOTS_PER_FRAME; i-- > 0;) {
        set64(&slot_at(c, count + i)->object, get32(&anchor->free_object));
        set32(&anchor->free_object, count + i + 1);
    }
    return true;
}

/* A handle for an object, in a free slot, which exists. */
static uint64_t enter(struct call *c, uint32_t kind, uint64_t ref)
{
    struct anchor *anchor = anchor_of(c);
    uint32_t number = get32(&anchor->free_object) - 1;
    struct object_slot *slot = slot_at(c, number);
    struct object *object = object_at(c, ref);
    uint32_t generation = get32(&anchor->object_generation);
    generation = generation >= GENERATION_MAX ? 1 : generation + 1;
    set32(&anchor->object_generation, generation);
    set32(&anchor->free_object, (uint32_t)get64(&slot->object));
    uint64_t handle = (uint64_t)kind << 56 | (uint64_t)generation << 32 | number;
    set64(&slot->handle, handle);
    set64(&slot->object, ref);
    set32(&object->handle_count, get32(&object->handle_count) + 1);
    return handle;
}

void object_close_slot(struct call *c, ntmm_handle handle)
{
    struct anchor *anchor = anchor_of(c);
    uint32_t number = (uint32_t)(handle & SLOT_MASK);
    struct object_slot *slot = slot_at(c, number);
    set64(&slot->handle, 0);
    set64(&slot->object, get32(&anchor->free_object));
    set32(&anchor->free_object, number + 1);
}

void object_close_all(struct call *c)
{
    uint32_t slots = get32(&anchor_of(c)->object_slots);
    for (uint32_t i = 0; i < slots; i++) {
        const struct object_slot *slot = slot_at(c, i);
        uint64_t handle = get64(&slot->handle);
        if (!handle)
            continue;
        struct object *object = object_at(c, get64(&slot->object));
        if (handle >> 56 == HANDLE_KIND_FILE)
            (void)file_locks_drop(c, file_at(c, get64(&slot->object)), handle);
        set32(&object->handle_count, get32(&object->handle_count) - 1);
        object_close_slot(c, handle);
    }
}

static bool set_name(struct call *c, struct object *object, const uint16_t *name, uint32_t units)
{
    if (units == 0)
        return true;
    uint64_t ref = slab_allocate(c, SLAB_NAME, 0);
    if (!ref)
        return false;
    struct object_name *copy = core_at(c->bias, ref);
    for (uint32_t i = 0; i < units; i++)
        set16(&copy->units[i], name[i]);
    set64(&object->name, ref);
    set32(&object->name_units, units);
    return true;
}

static le64 *list_of_kind(const struct call *c, uint32_t kind)
{
    return &anchor_of(c)->objects_head[kind - HANDLE_KIND_SECTION];
}

static void enlist(struct call *c, uint32_t kind, uint64_t ref)
{
    le64 *head = list_of_kind(c, kind);
    struct object *object = object_at(c, ref);
    set64(&object->next, get64(head));
    set64(&object->prev, 0);
    if (get64(head))
        set64(&object_at(c, get64(head))->prev, ref);
    set64(head, ref);
}

void object_unlist(struct call *c, uint32_t kind, struct object *object)
{
    uint64_t next = get64(&object->next);
    uint64_t prev = get64(&object->prev);
    if (prev)
        set64(&object_at(c, prev)->next, next);
    else
        set64(list_of_kind(c, kind), next);
    if (next)
        set64(&object_at(c, next)->prev, prev);
}

static enum slab_kind slab_of(uint32_t kind)
{
    return kind == HANDLE_KIND_SECTION ? SLAB_SECTION : SLAB_FILE;
}

/* A free slot exists; what is missing is said as object_create does. */
static ntmm_status make_slot(struct call *c)
{
    if (get32(&anchor_of(c)->free_object) != 0 || add_slots(c))
        return NTMM_STATUS_SUCCESS;
    return c->want.kind == WANT_NOTHING ? NTMM_STATUS_INSUFFICIENT_RESOURCES : want_status(c);
}

ntmm_status object_open(struct call *c, uint32_t kind, uint64_t ref, ntmm_handle *handle)
{
    ntmm_status status = make_slot(c);
    if (status == NTMM_STATUS_SUCCESS)
        *handle = enter(c, kind, ref);
    return status;
}

uint64_t object_create(struct call *c, uint32_t kind, const uint16_t *name, uint32_t name_units,
                       ntmm_handle *handle, ntmm_status *status)
{
    *status = make_slot(c);
    if (*status != NTMM_STATUS_SUCCESS)
        return 0;
    uint64_t ref = slab_allocate(c, slab_of(kind), 0);
    if (ref && set_name(c, object_at(c, ref), name, name_units)) {
        enlist(c, kind, ref);
        *handle = enter(c, kind, ref);
        return ref;
    }
    *status = want_status(c);
    if (ref)
        slab_release(c, ref);
    return 0;
}

ntmm_status object_find(struct call *c, ntmm_handle handle, uint32_t kind, uint32_t rights,
                        uint64_t *ref)
{
    const struct anchor *anchor = anchor_of(c);
    uint32_t number = (uint32_t)(handle & SLOT_MASK);
    if (handle == 0)
        return NTMM_STATUS_INVALID_HANDLE;
    if (handle >> 56 != kind)
        return NTMM_STATUS_OBJECT_TYPE_MISMATCH;
    if (number >= get32(&anchor->object_slots))
        return NTMM_STATUS_INVALID_HANDLE;
    const struct object_slot *slot = slot_at(c, number);
    if (get64(&slot->handle) != (handle & ~OBJECT_LACKS))
        return NTMM_STATUS_INVALID_HANDLE;
    if (!object_handle_holds(handle, rights))
        return NTMM_STATUS_ACCESS_DENIED;
    *ref = get64(&slot->object);
    return NTMM_STATUS_SUCCESS;
}

static bool has_name(const struct call *c, const struct object *object, const uint16_t *name,
                     uint32_t units)
{
    if (get32(&object->name_units) != units || units == 0)
        return false;
    const struct object_name *own = core_at(c->bias, get64(&object->name));
    for (uint32_t i = 0; i < units; i++) {
        if (get16(&own->units[i]) != name[i])
            return false;
    }
    return true;
}

uint64_t object_by_name(struct call *c, uint32_t kind, const uint16_t *name, uint32_t name_units)
{
    for (uint64_t ref = object_first(c, kind); ref; ref = get64(&object_at(c, ref)->next)) {
        if (has_name(c, object_at(c, ref), name, name_units))
            return ref;
    }
    return 0;
}

void object_free(struct call *c, uint64_t ref)
{
    const struct object *object = object_at(c, ref);
    if (get64(&object->name))
        slab_release(c, get64(&object->name));
    slab_release(c, ref);
}

static void free_table_frame(struct call *c, uint64_t ref)
{
    struct partition *partition = partition_of(c);
    frame_free(c, ref_frame(c, ref));
    commit_return(c, 1);
    set64(&partition->object_pages, get64(&partition->object_pages) - 1);
}

void object_table_free(struct call *c)
{
    struct anchor *anchor = anchor_of(c);
    uint64_t directory = get64(&anchor->objects_ref);
    if (!directory)
        return;
    const le64 *refs = core_at(c->bias, directory);
    for (uint32_t i = 0; i < get32(&anchor->object_slots) / OBJECT_SLOTS_PER_FRAME; i++)
        free_table_frame(c, get64(&refs[i]));
    free_table_frame(c, directory);
    set64(&anchor->objects_ref, 0);
    set32(&anchor->object_slots, 0);
    set32(&anchor->free_object, 0);
}
