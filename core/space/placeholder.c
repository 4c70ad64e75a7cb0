/*
 * Placeholders: making, replacing, splitting and joining them. See placeholder.h.
 */
#include "space/placeholder.h"
#include "space/watch.h"

#include <ntmm/constants.h>

static void become_placeholder(struct vad *vad)
{
    set32(&vad->type, VAD_PRIVATE);
    set32(&vad->flags, VAD_PLACEHOLDER);
    set32(&vad->protection, PROT_NOACCESS);
    set32(&vad->win32_protection, NTMM_PAGE_NOACCESS);
}

ntmm_status placeholder_create(struct call *c, struct process *process,
                               const struct vad_place *place)
{
    ntmm_status status =
        private_reserve(c, process, place, PROT_NOACCESS, NTMM_PAGE_NOACCESS, false);
    if (status == NTMM_STATUS_SUCCESS)
        become_placeholder(vad_find(c, process, place->start));
    return status;
}

struct vad *placeholder_find(struct call *c, struct process *process, uint64_t start, uint64_t end)
{
    struct vad *vad = vad_find(c, process, start);
    bool is_exact = vad && vad_start(vad) == start && vad_end(vad) == end;
    return is_exact && vad_is_placeholder(vad) ? vad : NULL;
}

ntmm_status placeholder_replace(struct call *c, struct process *process, struct vad *vad,
                                uint32_t protection, uint32_t win32, bool is_committed)
{
    set32(&vad->flags, VAD_REPLACED);
    set32(&vad->protection, protection);
    set32(&vad->win32_protection, win32);
    if (!is_committed)
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = private_commit(c, process, vad, vad_start(vad), vad_end(vad), protection);
    if (status != NTMM_STATUS_SUCCESS)
        become_placeholder(vad);
    return status;
}

/* The part from `start` on becomes a region of its own, of which nothing is committed. */
static struct vad *cut(struct call *c, struct process *process, struct vad *vad, uint64_t start)
{
    struct vad_spare spare;
    if (!vad_spare_take(c, process, start, &spare))
        return NULL;
    return vad_split(c, process, vad, start, start, &spare);
}

/* `next` follows `vad` without a gap, and becomes part of it. */
static void join(struct call *c, struct process *process, struct vad *vad, struct vad *next)
{
    uint64_t end = vad_end(next);
    NTMM_ASSERT(vad_end(vad) == vad_start(next));
    vad_delete(c, process, next);
    vad_resize(c, process, vad, vad_start(vad), end);
}

static ntmm_status split(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                         uint64_t end)
{
    struct vad *part = vad;
    if (start > vad_start(vad))
        part = cut(c, process, vad, start);
    if (!part)
        return want_status(c);
    if (end == vad_end(part) || cut(c, process, part, end))
        return NTMM_STATUS_SUCCESS;
    if (part != vad)
        join(c, process, vad, part);
    return want_status(c);
}

ntmm_status placeholder_preserve(struct call *c, struct process *process, struct vad *vad,
                                 uint64_t start, uint64_t end)
{
    bool is_whole = start == vad_start(vad) && end == vad_end(vad);
    if (vad_is_placeholder(vad))
        return is_whole ? NTMM_STATUS_CONFLICTING_ADDRESSES : split(c, process, vad, start, end);
    if (!is_whole || !(get32(&vad->flags) & VAD_REPLACED))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    ntmm_status status = private_decommit(c, process, vad, start, end);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (vad_is_watched(vad))
        watch_clear(c, process, start, end, WATCH_ALL);
    become_placeholder(vad);
    return NTMM_STATUS_SUCCESS;
}

/* Whether placeholders alone tile [start, end), of which the first is `vad`. */
static bool are_tiles(struct call *c, struct process *process, const struct vad *vad,
                      uint64_t start, uint64_t end)
{
    if (vad_start(vad) != start || vad_end(vad) >= end)
        return false;
    while (vad && vad_is_placeholder(vad) && vad_end(vad) < end)
        vad = vad_find(c, process, vad_end(vad));
    return vad && vad_is_placeholder(vad) && vad_end(vad) == end;
}

ntmm_status placeholder_coalesce(struct call *c, struct process *process, struct vad *vad,
                                 uint64_t start, uint64_t end)
{
    if (!are_tiles(c, process, vad, start, end))
        return NTMM_STATUS_CONFLICTING_ADDRESSES;
    while (vad_end(vad) < end)
        join(c, process, vad, vad_find(c, process, vad_end(vad)));
    return NTMM_STATUS_SUCCESS;
}
