/*
 * Records of secured ranges. See secure.h.
 */
#include "space/secure.h"
#include "phys/slab.h"

static bool meets(const struct secure *secure, uint64_t start, uint64_t end)
{
    return get64(&secure->start) < end && start < get64(&secure->end);
}

bool secure_search_removal(const struct call *c, const struct vad *vad, uint64_t start,
                           uint64_t end)
{
    for (uint64_t ref = get64(&vad->secures); ref; ref = get64(&secure_at(c, ref)->next)) {
        if (meets(secure_at(c, ref), start, end))
            return true;
    }
    return false;
}

bool secure_search_protection(const struct call *c, const struct vad *vad, uint64_t start,
                              uint64_t end, uint32_t code)
{
    for (uint64_t ref = get64(&vad->secures); ref; ref = get64(&secure_at(c, ref)->next)) {
        const struct secure *secure = secure_at(c, ref);
        enum secure_access access = (enum secure_access)get32(&secure->access);
        if (meets(secure, start, end) && !secure_is_granted(access, code))
            return true;
    }
    return false;
}

/* The word that names a record of a VAD; NULL: there is none of this name. */
static le64 *find_link(struct call *c, struct vad *vad, uint64_t name)
{
    le64 *link = &vad->secures;
    while (get64(link) && get64(&secure_at(c, get64(link))->name) != name)
        link = &secure_at(c, get64(link))->next;
    return get64(link) ? link : NULL;
}

/* A name that no record of the VAD has; numbers come again after 2^28. */
static uint64_t choose_name(struct call *c, struct process *process, struct vad *vad,
                            uint64_t start)
{
    uint64_t name;
    do {
        uint64_t number = get64(&process->secure_number) + 1;
        set64(&process->secure_number, number);
        name = number << SECURE_PAGE_BITS | start;
    } while (find_link(c, vad, name));
    return name;
}

uint64_t secure_add(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                    uint64_t end, enum secure_access access)
{
    uint64_t ref = slab_allocate(c, SLAB_SECURE, process_index(process));
    if (!ref)
        return 0;
    struct secure *secure = secure_at(c, ref);
    uint64_t name = choose_name(c, process, vad, start);
    set64(&secure->next, get64(&vad->secures));
    set64(&secure->name, name);
    set64(&secure->start, start);
    set64(&secure->end, end);
    set32(&secure->access, access);
    set64(&vad->secures, ref);
    return name;
}

bool secure_remove(struct call *c, struct vad *vad, uint64_t name)
{
    le64 *link = find_link(c, vad, name);
    if (!link)
        return false;
    uint64_t ref = get64(link);
    set64(link, get64(&secure_at(c, ref)->next));
    slab_release(c, ref);
    return true;
}

void secure_remove_all(struct call *c, struct vad *vad)
{
    while (vad_is_secured(vad))
        (void)secure_remove(c, vad, get64(&secure_at(c, get64(&vad->secures))->name));
}

void secure_divide(struct call *c, struct vad *vad, struct vad *rest)
{
    uint64_t ref = get64(&vad->secures);
    set64(&vad->secures, 0);
    set64(&rest->secures, 0);
    while (ref) {
        struct secure *secure = secure_at(c, ref);
        uint64_t next = get64(&secure->next);
        struct vad *owner = get64(&secure->start) < vad_end(vad) ? vad : rest;
        set64(&secure->next, get64(&owner->secures));
        set64(&owner->secures, ref);
        ref = next;
    }
}
