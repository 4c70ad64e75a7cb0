/*
 * The checker finds each broken invariant of sections of large pages, and names it: PT3, V11, V14,
 * P12.
 *
 *   LARGE_AT  a view of two leaves of 2 MiB, the second READONLY
 *   PLAIN     a view of a section of page files, one page
 */
#include "section/large_area.h"
#include "unit/corruption.h"

#include <ntmm/section.h>

#define LARGE_AT (64 * MIB)
#define LEAF (2 * MIB)
#define PLAIN (LARGE_AT + 2 * LEAF)

static void make_view(struct machine *m, uint64_t base, uint64_t size, uint32_t attributes)
{
    ntmm_handle section;
    uint64_t view = 0;
    assert_int_equal(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &size,
                                         NTMM_PAGE_READWRITE, attributes, 0),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0, NULL,
                                              &view, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
}

static struct machine *open_scene(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 12 * MIB}};
    struct machine *m = machine_open(&setup);
    make_view(m, LARGE_AT, 2 * LEAF, NTMM_SEC_COMMIT | NTMM_SEC_LARGE_PAGES);
    must_protect(m, LARGE_AT + LEAF, LEAF, NTMM_PAGE_READONLY);
    make_view(m, PLAIN, PAGE, NTMM_SEC_COMMIT);
    must_write(m, PLAIN, 1);
    return m;
}

static struct control_area *area_of(struct machine *m, uint64_t va)
{
    const struct call c = machine_call(m);
    return view_area(&c, machine_vad(m, va));
}

static uint64_t area_object(struct machine *m, uint64_t va)
{
    const struct call c = machine_call(m);
    return area_ref(&c, area_of(m, va));
}

/* The prototype entry of a page of the section of large pages. */
static struct prototype_span prototype_of(struct machine *m, uint64_t page)
{
    struct call c = machine_call(m);
    return prototype_find(&c, area_of(m, LARGE_AT), page);
}

static uint64_t prototype_object(struct machine *m, uint64_t page)
{
    const struct call c = machine_call(m);
    return (uint64_t)((uintptr_t)prototype_of(m, page).entry - c.bias);
}

static uint64_t frame_of(struct machine *m, uint64_t page)
{
    return field_get(get64(prototype_of(m, page).entry), HW_FRAME);
}

static uint64_t lose_page(struct machine *m)
{
    struct prototype_span span = prototype_of(m, 700);
    set64(&machine_row(m, frame_of(m, 700))->entry_address, 0);
    set64(span.entry, 0);
    pfn_add_used(span.table, -1);
    pfn_add_share(span.table, -1);
    return area_object(m, LARGE_AT);
}

/* Out of memory, as a page of another section may be. */
static uint64_t trim_page(struct machine *m)
{
    uint64_t frame = frame_of(m, 5);
    set64(prototype_of(m, 5).entry,
          invalid_encode(entry_transition(PROT_READWRITE, frame), m->system->invalid_mask));
    return prototype_object(m, 5);
}

/* Two pages of a run change places, rows and all. */
static uint64_t mix_run(struct machine *m)
{
    struct prototype_span first = prototype_of(m, 5), second = prototype_of(m, 6);
    struct pfn *a = machine_row(m, frame_of(m, 5)), *b = machine_row(m, frame_of(m, 6));
    uint64_t raw = get64(first.entry), address = get64(&a->entry_address);
    set64(first.entry, get64(second.entry));
    set64(second.entry, raw);
    set64(&a->entry_address, get64(&b->entry_address));
    set64(&b->entry_address, address);
    return prototype_object(m, 5);
}

static uint64_t forget_promise(struct machine *m)
{
    set32(&area_of(m, LARGE_AT)->is_resident, 0);
    return area_object(m, LARGE_AT);
}

static uint64_t promise_for_nothing(struct machine *m)
{
    set32(&area_of(m, PLAIN)->is_resident, 1);
    return area_object(m, PLAIN);
}

static uint64_t count_share(struct machine *m)
{
    struct pfn *row = machine_row(m, frame_of(m, 9));
    set32(&row->share_count, 2);
    return frame_of(m, 9);
}

static uint64_t forget_modified(struct machine *m)
{
    pfn_change_state(machine_row(m, frame_of(m, 9)), PFN_MODIFIED, 0);
    return frame_of(m, 9);
}

static uint64_t miscount_large_pages(struct machine *m)
{
    le64 *count = &machine_partition(m)->large_pages;
    set64(count, get64(count) - 512);
    return 0;
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
    set64(entry, get64(entry) & ~FIELD_MASK(HW_DIRTY));
    return LARGE_AT;
}

static uint64_t show_other_run(struct machine *m)
{
    le64 *entry = machine_entry(m, LARGE_AT, 2);
    set64(entry, field_set(get64(entry), HW_FRAME, frame_of(m, 512)));
    return LARGE_AT;
}

static uint64_t forget_kind_of_leaf(struct machine *m)
{
    le64 *entry = machine_entry(m, LARGE_AT, 2);
    set64(entry, get64(entry) & ~ENTRY_SHARED);
    return LARGE_AT;
}

static uint64_t grant_more_than_mapped(struct machine *m)
{
    set32(&machine_vad(m, LARGE_AT)->protection, PROT_READONLY);
    return LARGE_AT;
}

static uint64_t lose_leaf(struct machine *m)
{
    struct call c = machine_call(m);
    struct pfn *table = machine_row(m, machine_table_frame(m, LARGE_AT, 2));
    set64(machine_entry(m, LARGE_AT, 2), 0);
    pfn_add_used(table, -1);
    pfn_add_share(table, -1);
    return vad_ref(&c, machine_vad(m, LARGE_AT));
}

static uint64_t mistake_kind(struct machine *m)
{
    set32(&machine_vad(m, LARGE_AT)->type, VAD_DATA_MAP);
    return LARGE_AT;
}

static uint64_t take_for_large(struct machine *m)
{
    set32(&machine_vad(m, PLAIN)->type, VAD_LARGE_PAGE_SECTION);
    return PLAIN;
}

static uint64_t begin_inside_leaf(struct machine *m)
{
    struct call c = machine_call(m);
    set64(&machine_vad(m, LARGE_AT)->first_prototype, 16);
    return vad_ref(&c, machine_vad(m, LARGE_AT));
}

static const struct corruption corruptions[] = {
    {"PT3", "a page of a section of large pages is not there", lose_page},
    {"PT3", "a page of a section of large pages is in transition", trim_page},
    {"PT3", "pages of a run are not in order", mix_run},
    {"PT3", "pages that stay are not promised", forget_promise},
    {"PT3", "a section of page files is promised to stay", promise_for_nothing},
    {"PT1", "a share that nobody has", count_share},
    {"P8", "a page without backing is not modified", forget_modified},
    {"P12", "the number of frames that stay", miscount_large_pages},
    {"V11", "a leaf grants more than its protection", grant_write},
    {"V11", "a leaf is not dirty", forget_dirty},
    {"V11", "a leaf shows other pages of its section", show_other_run},
    {"V11", "a leaf is not a section's", forget_kind_of_leaf},
    {"V11", "a leaf grants what its view does not allow", grant_more_than_mapped},
    {"V11", "a view lacks a leaf", lose_leaf},
    {"V11", "a small page in a view of large ones", take_for_large},
    {"V6", "a leaf in a view of small pages", mistake_kind},
    {"V14", "a view begins inside a leaf", begin_inside_leaf},
};

int main(void)
{
    const struct corruption_scene scene = {.open = open_scene, .close = machine_close};
    return corruption_run_in(&scene, "check_large_sections", corruptions,
                             sizeof corruptions / sizeof *corruptions);
}
