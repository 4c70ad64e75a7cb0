/*
 * The checker finds a secured range that is not its region's: V15, S4.
 */
#include "space/secure.h"
#include "unit/corruption.h"

#include <ntmm/secure.h>

static struct machine *open_scene(void)
{
    struct machine *m = machine_open(NULL);
    uint64_t name = 0;
    must_allocate(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ntmm_secure_virtual_memory(m->system, m->process, BASE + PAGE, PAGE,
                                                    NTMM_PAGE_READONLY, &name),
                         NTMM_STATUS_SUCCESS);
    return m;
}

static uint64_t first_ref(struct machine *m) { return get64(&machine_vad(m, BASE)->secures); }

static struct secure *first(struct machine *m)
{
    struct call c = machine_call(m);
    return secure_at(&c, first_ref(m));
}

static uint64_t mistake_record(struct machine *m)
{
    le64 *link = &machine_vad(m, BASE)->secures;
    set64(link, get64(link) + 8);
    return get64(link);
}

static uint64_t begin_before(struct machine *m)
{
    set64(&first(m)->start, (BASE >> 12) - 1);
    return first_ref(m);
}

static uint64_t end_behind(struct machine *m)
{
    set64(&first(m)->end, (BASE >> 12) + 5);
    return first_ref(m);
}

static uint64_t secure_nothing(struct machine *m)
{
    set64(&first(m)->end, get64(&first(m)->start));
    return first_ref(m);
}

static uint64_t rename_record(struct machine *m)
{
    set64(&first(m)->name, get64(&first(m)->name) + 1);
    return first_ref(m);
}

static uint64_t secure_no_access(struct machine *m)
{
    set32(&first(m)->access, 3);
    return first_ref(m);
}

/* Both records are met, and then the first again. */
static uint64_t go_in_circles(struct machine *m)
{
    struct call c = machine_call(m);
    set64(&secure_at(&c, get64(&first(m)->next))->next, first_ref(m));
    return first_ref(m);
}

static uint64_t lose_records(struct machine *m)
{
    set64(&machine_vad(m, BASE)->secures, 0);
    return SLAB_SECURE;
}

static uint64_t mistake_owner(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t ref = first_ref(m);
    struct slab *slab = core_at(c.bias, ref & ~(PAGE - 1));
    uint64_t offset = (ref & (PAGE - 1)) - get32(&slab->first);
    le32 *owner = &slab->owners[(uint32_t)offset / get32(&slab->object_size)];
    set32(owner, get32(owner) + 1);
    return ref;
}

static const struct corruption corruptions[] = {
    {"V15", "a record is no object", mistake_record},
    {"V15", "a record begins before its region", begin_before},
    {"V15", "a record ends behind its region", end_behind},
    {"V15", "a record of no page", secure_nothing},
    {"V15", "a name that leads elsewhere", rename_record},
    {"V15", "an access that is none", secure_no_access},
    {"V15", "a list that does not end", go_in_circles},
    {"S4", "records that nobody has", lose_records},
    {"S4", "a record belongs to another process", mistake_owner},
};

int main(void)
{
    static const struct corruption_scene scene = {.open = open_scene, .close = machine_close};
    return corruption_run_in(&scene, "check_secures", corruptions,
                             sizeof corruptions / sizeof *corruptions);
}
