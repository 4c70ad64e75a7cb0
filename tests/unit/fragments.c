/*
 * Memory in pieces. See fragments.h.
 */
#include "unit/fragments.h"

uint64_t fragments_free_pages(struct machine *m)
{
    return machine_memory(m).free_pages + machine_memory(m).zeroed_pages;
}

/* The tables come first, so that they are not among the pages. */
uint64_t fragments_fill_memory(struct machine *m)
{
    uint64_t size = round_down(fragments_free_pages(m) - 24, 16) * PAGE;
    must_allocate(m, BASE, size, RW);
    for (uint64_t va = BASE; va < BASE + size; va += LEAF)
        must_write(m, va, va);
    must_fill(m, BASE, size);
    assert_int_equal(machine_memory(m).free_large_runs, 0);
    return size;
}

void fragments_make(struct machine *m, struct fragments *f)
{
    uint64_t size = fragments_fill_memory(m);
    f->count = 0;
    for (uint64_t va = BASE; va < BASE + size; va += PAGE) {
        uint64_t frame = machine_frame(m, va);
        if (frame % FRAGMENTS_STRIDE != 0) {
            must_decommit(m, va, PAGE);
            continue;
        }
        assert_true(f->count < FRAGMENT_PAGES_MAX);
        f->pages[f->count++].va = va;
    }
    fragments_look(m, f);
    assert_true(fragments_free_pages(m) > 2 * LEAF_FRAMES);
    assert_int_equal(machine_memory(m).free_large_runs, 0);
}

static struct fragment look(struct machine *m, uint64_t va)
{
    uint64_t frame = machine_frame(m, va);
    const struct pfn *row = machine_row(m, frame);
    return (struct fragment){.va = va,
                             .frame = frame,
                             .entry = get64(machine_entry(m, va, 1)),
                             .original = get64(&row->original_pte),
                             .priority = pfn_priority(row),
                             .is_modified = pfn_is_modified(row)};
}

void fragments_look(struct machine *m, struct fragments *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        f->pages[i] = look(m, f->pages[i].va);
}

/* A valid entry and one in transition, without the frame. */
static uint64_t without_frame(uint64_t entry) { return entry & ~FIELD_MASK(HW_FRAME); }

uint32_t fragments_expect_same(struct machine *m, const struct fragments *f)
{
    uint64_t hard = machine_counter(m, NTMM_COUNTER_HARD_FAULTS);
    uint32_t moved = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        const struct fragment *was = &f->pages[i];
        struct fragment is = look(m, was->va);
        assert_int_equal(without_frame(is.entry), without_frame(was->entry));
        assert_int_equal(is.original, was->original);
        assert_int_equal(is.priority, was->priority);
        assert_int_equal(is.is_modified, was->is_modified);
        moved += is.frame != was->frame;
    }
    for (uint32_t i = 0; i < f->count; i++)
        assert_int_equal(must_read(m, f->pages[i].va), f->pages[i].va);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_HARD_FAULTS), hard);
    return moved;
}

void fragments_make_cheap(struct machine *m, struct fragments *f, uint64_t run)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->pages[i].frame / LEAF_FRAMES == run)
            must_decommit(m, f->pages[i].va, PAGE);
        else
            f->pages[kept++] = f->pages[i];
    }
    f->count = kept;
    for (uint64_t frame = run * LEAF_FRAMES; frame < (run + 1) * LEAF_FRAMES; frame++)
        assert_int_equal(pfn_location(machine_row(m, frame)), NTMM_FRAME_FREE);
}

uint64_t fragments_large_run(struct machine *m)
{
    return field_get(get64(machine_entry(m, AT, 2)), HW_FRAME) / LEAF_FRAMES;
}
