/*
 * The checker finds each broken invariant of large pages, and names it: V6, V11, P7 to P9, P12.
 *
 *   LARGE_AT  two leaves of 2 MiB, the second READONLY
 *   PLAIN     4 pages, written
 *   SMALL     4 small pages that stay in memory
 */
#include "space/large.h"
#include "unit/corruption.h"
#include "x64/formats.h"

#define LARGE_AT (64 * MIB)
#define LEAF (2 * MIB)
#define PLAIN (LARGE_AT + 2 * LEAF)
#define SMALL (PLAIN + KIB64)

static void make_small(struct machine *m)
{
    const struct ntmm_mem_extended_parameter attributes = {
        .type = NTMM_MEM_PARAMETER_ATTRIBUTE_FLAGS,
        .value = NTMM_MEM_ATTRIBUTE_NONPAGED,
    };
    uint64_t base = SMALL;
    uint64_t size = 4 * PAGE;
    assert_int_equal(ntmm_allocate_virtual_memory_ex(m->system, m->process, &base, &size,
                                                     NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                                     NTMM_PAGE_READWRITE, &attributes, 1),
                     NTMM_STATUS_SUCCESS);
}

static struct machine *open_scene(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 12 * MIB}};
    struct machine *m = machine_open(&setup);
    assert_int_equal(try_allocate(m, LARGE_AT, 2 * LEAF,
                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES,
                                  NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    must_protect(m, LARGE_AT + LEAF, LEAF, NTMM_PAGE_READONLY);
    must_allocate(m, PLAIN, 4 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, PLAIN, 4 * PAGE);
    make_small(m);
    return m;
}

static uint64_t leaf_frame(struct machine *m, uint64_t va)
{
    return field_get(get64(machine_entry(m, va, 2)), HW_FRAME);
}

static uint64_t grant_write(struct machine *m)
{
    le64 *entry = machine_entry(m, LARGE_AT + LEAF, 2);
    set64(entry, get64(entry) | FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_WRITE));
    return LARGE_AT + LEAF;
}

static uint64_t forget_dirty(struct machine *m)
{
    le64 *entry = machine_entry(m, LARGE_AT, 2);
    set64(entry, get64(entry) & ~FIELD_MASK(HW_DIRTY1));
    return LARGE_AT;
}

static uint64_t protect_one_frame(struct machine *m)
{
    struct pfn *row = machine_row(m, leaf_frame(m, LARGE_AT) + 77);
    set64(&row->original_pte, entry_software(PROT_READONLY));
    return LARGE_AT;
}

static uint64_t lose_leaf(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t frame = leaf_frame(m, LARGE_AT);
    struct pfn *table = machine_row(m, machine_table_frame(m, LARGE_AT, 2));
    set64(machine_entry(m, LARGE_AT, 2), 0);
    pfn_add_used(table, -1);
    pfn_add_share(table, -1);
    for (uint64_t i = 0; i < 512; i++)
        set64(&machine_row(m, frame + i)->entry_address, 0);
    return vad_ref(&c, machine_vad(m, LARGE_AT));
}

static uint64_t mistake_frame_of_leaf(struct machine *m)
{
    uint64_t frame = leaf_frame(m, LARGE_AT) + 511;
    set64(&machine_row(m, frame)->entry_address, 0);
    return frame;
}

static uint64_t lead_leaf_astray(struct machine *m)
{
    le64 *entry = machine_entry(m, LARGE_AT, 2);
    set64(entry, field_set(get64(entry), HW_FRAME, 1ull << 30));
    return 1ull << 30;
}

static uint64_t forget_kind(struct machine *m)
{
    set32(&machine_vad(m, LARGE_AT)->type, VAD_PRIVATE);
    return LARGE_AT;
}

static uint64_t mistake_size(struct machine *m)
{
    struct vad *vad = machine_vad(m, LARGE_AT);
    set32(&vad->flags, get32(&vad->flags) | VAD_HUGE_PAGES);
    return LARGE_AT;
}

static uint64_t mistake_small_pages(struct machine *m)
{
    set32(&machine_vad(m, PLAIN)->type, VAD_LARGE_PAGES);
    return PLAIN;
}

static uint64_t count_small_page_in_set(struct machine *m)
{
    le64 *entry = machine_entry(m, SMALL + PAGE, 1);
    set64(entry, get64(entry) & ~ENTRY_NOT_IN_SET);
    return SMALL + PAGE;
}

static uint64_t protect_small_frame(struct machine *m)
{
    set64(&machine_row(m, machine_frame(m, SMALL))->original_pte, entry_software(PROT_READONLY));
    return SMALL;
}

static uint64_t lose_small_page(struct machine *m)
{
    struct call c = machine_call(m);
    struct pfn *table = machine_row(m, machine_table_frame(m, SMALL, 1));
    set64(&machine_row(m, machine_frame(m, SMALL))->entry_address, 0);
    set64(machine_entry(m, SMALL, 1), 0);
    pfn_add_used(table, -1);
    pfn_add_share(table, -1);
    return vad_ref(&c, machine_vad(m, SMALL));
}

static uint64_t trim_small_page(struct machine *m)
{
    struct call c = machine_call(m);
    uint64_t value = entry_transition(PROT_READWRITE, machine_frame(m, SMALL));
    set64(machine_entry(m, SMALL, 1), invalid_encode(value, c.sys->invalid_mask));
    return SMALL;
}

static uint64_t mistake_large_pages(struct machine *m)
{
    struct vad *vad = machine_vad(m, SMALL);
    set32(&vad->flags, get32(&vad->flags) & ~(uint32_t)VAD_SMALL_PAGES);
    return SMALL;
}

static uint64_t forget_modified(struct machine *m)
{
    uint64_t frame = leaf_frame(m, LARGE_AT) + 77;
    pfn_change_state(machine_row(m, frame), PFN_MODIFIED, 0);
    return frame;
}

static uint64_t share_one_frame(struct machine *m)
{
    uint64_t frame = leaf_frame(m, LARGE_AT) + 77;
    set32(&machine_row(m, frame)->share_count, 2);
    return frame;
}

static uint64_t have_no_protection(struct machine *m)
{
    set64(&machine_row(m, leaf_frame(m, LARGE_AT))->original_pte, entry_software(PROT_NOACCESS));
    return LARGE_AT;
}

static uint64_t miscount_frames(struct machine *m)
{
    struct partition *partition = machine_partition(m);
    set64(&partition->large_pages, get64(&partition->large_pages) + 1);
    return 0;
}

static const struct corruption corruptions[] = {
    {"V6", "a leaf lies in a region of small pages", forget_kind},
    {"V6", "a leaf is not of its region's size", mistake_size},
    {"V11", "a leaf allows writes that its frames do not", grant_write},
    {"V11", "a writable leaf is clean", forget_dirty},
    {"V11", "a frame has another protection", protect_one_frame},
    {"V11", "a region lacks a leaf", lose_leaf},
    {"V11", "a region of large pages has small ones", mistake_small_pages},
    {"V11", "a small leaf counts in the working set", count_small_page_in_set},
    {"V11", "a frame of a small leaf has another protection", protect_small_frame},
    {"V11", "a region lacks a small leaf", lose_small_page},
    {"V11", "a small leaf is in transition", trim_small_page},
    {"V11", "small leaves are not of their region's size", mistake_large_pages},
    {"V11", "a leaf has no protection", have_no_protection},
    {"P7", "a frame of a leaf is shared", share_one_frame},
    {"P8", "a frame of a leaf is not modified", forget_modified},
    {"P9", "a frame of a leaf names another entry", mistake_frame_of_leaf},
    {"P12", "more frames than leaves have", miscount_frames},
    {"P9", "a leaf names frames that are not there", lead_leaf_astray},
};

int main(void)
{
    static const struct corruption_scene scene = {.open = open_scene, .close = machine_close};
    return corruption_run_in(&scene, "check_large", corruptions,
                             sizeof corruptions / sizeof *corruptions);
}
