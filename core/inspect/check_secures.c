/*
 * The checker's view of secured ranges. Each reference is looked at before it is followed, and no
 * list is longer than all records together.
 */
#include "inspect/checker.h"
#include "space/secure.h"

static bool check_record(struct walk *w, const struct vad *vad, uint64_t ref)
{
    struct checker *k = w->k;
    uint32_t owner;
    if (!check_is_object(k, SLAB_SECURE, ref, &owner))
        return check_fail(k, "V15", ref, 1, 0);
    if (!check_equal(k, "S4", ref, process_index(w->process), owner))
        return false;
    const struct secure *secure = secure_at(k->c, ref);
    uint64_t start = get64(&secure->start);
    uint64_t end = get64(&secure->end);
    uint32_t access = get32(&secure->access);
    return check_between(k, "V15", ref, vad_start(vad), vad_end(vad) - 1, start) &&
           check_between(k, "V15", ref, start + 1, vad_end(vad), end) &&
           check_equal(k, "V15", ref, start, secure_page(get64(&secure->name))) &&
           check_between(k, "V15", ref, SECURE_READ, SECURE_WRITE, access);
}

bool check_secures(struct walk *w, const struct vad *vad)
{
    struct checker *k = w->k;
    for (uint64_t ref = get64(&vad->secures); ref;) {
        if (!check_record(w, vad, ref))
            return false;
        if (k->secures == k->slabs[SLAB_SECURE].used)
            return check_fail(k, "V15", ref, k->secures, k->secures + 1);
        k->secures++;
        ref = get64(&secure_at(k->c, ref)->next);
    }
    return true;
}
