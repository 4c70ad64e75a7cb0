/*
 * The checker finds a bitmap of call targets that is not where its process says: TG1.
 */
#include "space/call_targets.h"
#include "unit/corruption.h"

static struct machine *open_scene(void)
{
    const struct machine_setup setup = {.process = {.flags = NTMM_PROCESS_CONTROL_FLOW_GUARD}};
    struct machine *m = machine_open(&setup);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ);
    must_allocate(m, BASE + MIB, PAGE, NTMM_PAGE_READWRITE);
    return m;
}

static struct vad *bitmap(struct machine *m)
{
    return machine_vad(m, get64(&machine_object(m)->targets_page) << 12);
}

static uint64_t va_of(struct machine *m) { return get64(&machine_object(m)->targets_page) << 12; }

static uint64_t lose_bitmap(struct machine *m)
{
    set64(&machine_object(m)->targets_page, 0);
    return 0;
}

static uint64_t name_a_free_address(struct machine *m)
{
    set64(&machine_object(m)->targets_page, (BASE + 2 * MIB) >> 12);
    return va_of(m);
}

static uint64_t name_another_region(struct machine *m)
{
    set64(&machine_object(m)->targets_page, (BASE + MIB) >> 12);
    return va_of(m);
}

static uint64_t begin_inside(struct machine *m)
{
    set64(&machine_object(m)->targets_page, get64(&machine_object(m)->targets_page) + 16);
    return va_of(m);
}

static uint64_t make_it_private(struct machine *m)
{
    set32(&bitmap(m)->type, VAD_PRIVATE);
    return va_of(m);
}

static uint64_t let_it_change(struct machine *m)
{
    struct vad *vad = bitmap(m);
    set32(&vad->flags, get32(&vad->flags) & ~(uint32_t)VAD_NO_CHANGE);
    return va_of(m);
}

static const struct corruption corruptions[] = {
    {"TG1", "a process forgot its bitmap", lose_bitmap},
    {"TG1", "no region is where the bitmap should be", name_a_free_address},
    {"TG1", "another region is", name_another_region},
    {"TG1", "it begins inside the region", begin_inside},
    {"TG1", "it is private memory", make_it_private},
    {"TG1", "services may change it", let_it_change},
};

int main(void)
{
    static const struct corruption_scene scene = {.open = open_scene, .close = machine_close};
    return corruption_run_in(&scene, "check_call_targets", corruptions,
                             sizeof corruptions / sizeof *corruptions);
}
