/*
 * VADs: making, finding, moving and deleting them, and the nodes of their tree.
 */
#include "space/vad.h"
#include "phys/slab.h"
#include "space/readers.h"
#include "space/secure.h"

static struct vad *found(struct call *c, struct process *process, uint64_t ref)
{
    if (!ref)
        return NULL;
    readers_found_vad(c, process, ref);
    return vad_at(c, ref);
}

struct vad *vad_search_as_reader(struct call *c, struct process *process, uint64_t page,
                                 uint64_t *next)
{
    uint64_t ref = readers_look_at_vad(c, process, page);
    return ref ? vad_at(c, ref)
               : found(c, process, gap_tree_find_or_next(c->bias, &process->vads, page, next));
}

struct vad *vad_search(struct call *c, struct process *process, uint64_t page)
{
    uint64_t next;
    if (__builtin_expect(c->reader != 0, 0))
        return vad_search_as_reader(c, process, page, &next);
    uint64_t ref = gap_tree_find(c->bias, &process->vads, page);
    if (!ref)
        return NULL;
    set64(&process->vad_hint, ref);
    return vad_at(c, ref);
}

/* In the order in which they were taken: so an empty slab that they leave is not one more. */
static void give_nodes(struct call *c, const struct gap_nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->count; i++)
        slab_release(c, nodes->ref[i]);
}

static bool take_nodes(struct call *c, struct process *process, uint32_t count,
                       struct gap_nodes *nodes)
{
    while (nodes->count < count) {
        uint64_t ref = slab_allocate(c, SLAB_VAD_NODE, process_index(process));
        if (!ref)
            return false;
        nodes->ref[nodes->count++] = ref;
    }
    return true;
}

/* A VAD for a process: the one it keeps, or a new one. */
static uint64_t take_vad(struct call *c, struct process *process)
{
    uint64_t ref = get64(&process->vad_spare);
    if (!ref)
        return slab_allocate(c, SLAB_VAD, process_index(process));
    set64(&process->vad_spare, 0);
    __builtin_memset(vad_at(c, ref), 0, sizeof(struct vad));
    return ref;
}

/* A program that frees a region soon makes another: one VAD is kept for it. */
static void give_vad(struct call *c, struct process *process, uint64_t ref)
{
    if (get64(&process->vad_spare))
        slab_release(c, ref);
    else
        set64(&process->vad_spare, ref);
}

void vad_drop_spare(struct call *c, struct process *process)
{
    uint64_t ref = get64(&process->vad_spare);
    set64(&process->vad_spare, 0);
    if (ref)
        slab_release(c, ref);
}

/* A VAD and the nodes that its place needs, or neither and as many frames as before. */
static bool take_spare(struct call *c, struct process *process, const struct gap_place *place,
                       struct vad_spare *spare)
{
    uint32_t needed = gap_tree_nodes_needed(place);
    bool had_room = needed > 0 && slab_has_room(c, SLAB_VAD_NODE);
    spare->nodes.count = 0;
    if (take_nodes(c, process, needed, &spare->nodes)) {
        spare->ref = take_vad(c, process);
        if (spare->ref)
            return true;
    }
    give_nodes(c, &spare->nodes);
    if (needed > 0 && !had_room)
        slab_trim_class(c, SLAB_VAD_NODE);
    return false;
}

/* The spare VAD goes into the tree; `place` is the way to its start. */
static struct vad *link(struct call *c, struct process *process, const struct gap_place *place,
                        uint64_t start, uint64_t end, struct vad_spare *spare)
{
    const struct gap_range range = {.start = start, .end = end, .ref = spare->ref};
    struct vad *vad = vad_at(c, spare->ref);
    set64(&vad->start, start);
    set64(&vad->end, end);
    gap_tree_insert(c->bias, &process->vads, place, &range, &spare->nodes);
    NTMM_ASSERT(spare->nodes.count == 0);
    return vad;
}

__attribute__((flatten)) struct vad *vad_create(struct call *c, struct process *process,
                                                const struct vad_place *place)
{
    struct vad_spare spare;
    if (!take_spare(c, process, &place->way, &spare))
        return NULL;
    struct vad *vad = link(c, process, &place->way, place->start, place->end, &spare);
    set64(&process->vad_hint, spare.ref); /* what was just made is asked for next */
    return vad;
}

__attribute__((flatten)) void vad_delete(struct call *c, struct process *process, struct vad *vad)
{
    struct gap_nodes nodes;
    uint64_t ref = vad_ref(c, vad);
    nodes.count = 0;
    NTMM_ASSERT(get64(&vad->commit_pages) == 0 && !vad_is_secured(vad));
    if (get64(&process->vad_hint) == ref)
        set64(&process->vad_hint, 0);
    gap_tree_remove(c->bias, &process->vads, vad_start(vad), &nodes);
    give_nodes(c, &nodes);
    give_vad(c, process, ref);
}

void vad_resize(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                uint64_t end)
{
    gap_tree_resize(c->bias, &process->vads, vad_start(vad), start, end);
    set64(&vad->start, start);
    set64(&vad->end, end);
}

bool vad_spare_take(struct call *c, struct process *process, uint64_t start,
                    struct vad_spare *spare)
{
    struct gap_place place;
    gap_tree_locate(c->bias, &process->vads, start, &place);
    return take_spare(c, process, &place, spare);
}

struct vad *vad_split(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                      uint64_t end, struct vad_spare *spare)
{
    struct gap_place place;
    uint64_t rest_end = vad_end(vad);
    vad_resize(c, process, vad, vad_start(vad), start);
    struct vad *rest = vad_at(c, spare->ref);
    *rest = *vad;
    if (vad_is_secured(vad))
        secure_divide(c, vad, rest);
    gap_tree_locate(c->bias, &process->vads, end, &place);
    return link(c, process, &place, end, rest_end, spare);
}
