/*
 * The checker finds each broken invariant of user physical pages, and names it: U1, U2, P9.
 *
 *   WINDOW_AT  8 pages, 0..3 map the process's frames, one of which is READONLY; two more are not
 *              mapped
 */
#include "space/awe.h"
#include "unit/corruption.h"
#include "x64/formats.h"

#include <ntmm/physical.h>

#define WINDOW_AT BASE

static uint64_t frames[6];
static ntmm_handle other;

static struct machine *open_scene(void)
{
    uint64_t count = 6;
    struct machine *m = machine_open(NULL);
    assert_int_equal(try_allocate(m, WINDOW_AT, 8 * PAGE, NTMM_MEM_RESERVE | NTMM_MEM_PHYSICAL,
                                  NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &count, frames),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_map_user_physical_pages(m->system, m->process, WINDOW_AT, 4, frames),
                     NTMM_STATUS_SUCCESS);
    must_protect(m, WINDOW_AT + PAGE, PAGE, NTMM_PAGE_READONLY);
    other = machine_add_process(m);
    return m;
}

static uint64_t grant_write(struct machine *m)
{
    le64 *entry = machine_entry(m, WINDOW_AT + PAGE, 1);
    set64(entry, get64(entry) | FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_WRITE));
    return WINDOW_AT + PAGE;
}

static uint64_t forget_that_it_stays(struct machine *m)
{
    le64 *entry = machine_entry(m, WINDOW_AT, 1);
    set64(entry, get64(entry) & ~ENTRY_NOT_IN_SET);
    return WINDOW_AT;
}

static uint64_t commit_in_window(struct machine *m)
{
    set64(machine_entry(m, WINDOW_AT + 6 * PAGE, 1), entry_software(PROT_READWRITE));
    pfn_add_used(machine_row(m, machine_table_frame(m, WINDOW_AT, 1)), 1);
    return WINDOW_AT + 6 * PAGE;
}

static uint64_t give_to_other(struct machine *m)
{
    le64 *original = &machine_row(m, frames[4])->original_pte;
    set64(original, (get64(original) & 0xFFFFFFFFull) | (other & HANDLE_SLOT) << 32);
    return frames[4];
}

static uint64_t break_link(struct machine *m)
{
    set64(&machine_row(m, frames[4])->blink, FRAME_NONE);
    return frames[4];
}

static uint64_t lead_list_astray(struct machine *m)
{
    set64(&machine_row(m, frames[5])->flink, 1ull << 30);
    return 1ull << 30;
}

static uint64_t lose_frames(struct machine *m)
{
    set64(&machine_row(m, frames[5])->flink, FRAME_NONE);
    return 0;
}

static uint64_t map_nowhere(struct machine *m)
{
    set64(&machine_row(m, frames[4])->entry_address,
          get64(&machine_row(m, frames[0])->entry_address) + 5 * sizeof(le64));
    return frames[4];
}

static uint64_t forget_mapping(struct machine *m)
{
    set64(&machine_row(m, frames[2])->entry_address, 0);
    return frames[2];
}

static const struct corruption corruptions[] = {
    {"U2", "an entry allows writes that its frame does not", grant_write},
    {"U2", "an entry looks like one of a working set", forget_that_it_stays},
    {"U2", "a page of a window is committed", commit_in_window},
    {"U1", "a frame belongs to another process", give_to_other},
    {"U1", "a link back is wrong", break_link},
    {"U1", "the list leads to a frame that is not there", lead_list_astray},
    {"U1", "the list ends early", lose_frames},
    {"P9", "a frame names an entry that does not map it", map_nowhere},
    {"P9", "a frame does not name the entry that maps it", forget_mapping},
};

int main(void)
{
    static const struct corruption_scene scene = {.open = open_scene, .close = machine_close};
    return corruption_run_in(&scene, "check_awe", corruptions,
                             sizeof corruptions / sizeof *corruptions);
}
