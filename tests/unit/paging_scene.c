/*
 * See paging_scene.h. After each step the checker runs twice, with the page files and without.
 */
#include "unit/paging_scene.h"

#include "space/table.h"
#include "x64/formats.h"

#define RAM_BYTES (4 * MIB)
#define FRAMES (RAM_BYTES / PAGE)
#define WAITS 4u

static struct ntmm_wait waits[WAITS];
static uint64_t orphan;

uint64_t scene_orphan(void) { return orphan; }

static void expect_sound(struct machine *m)
{
    machine_assert_sound(m);
    assert_int_equal(machine_check_without_storage(m), NTMM_STATUS_SUCCESS);
}

static void write_everything(struct machine *m)
{
    while (get64(&machine_partition(m)->modified.count) != 0) {
        assert_true(must_write_modified(m, FRAMES) > 0);
        must_finish_transfers(m);
    }
    expect_sound(m);
}

/* Whoever wants all frames gets those on standby, whose pages are in the page file from then on. */
static void evict(struct machine *m)
{
    struct call c = machine_call(m);
    struct frame_chain chain = chain_empty();
    uint64_t frame;
    write_everything(m);
    while (frame_allocate(&c, NTMM_USE_FREE, &frame))
        chain_add(&c, &chain, frame);
    chain_free(&c, &chain);
    expect_sound(m);
}

/* The lowest table of an address in memory goes into transition. */
static void trim_table(struct machine *m, uint64_t va)
{
    struct call c = machine_call(m);
    struct process *process = machine_object(m);
    working_set_acquire(&c, process);
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_TRIM);
    assert_int_equal(table_trim(&c, process, va >> NTMM_PAGE_SHIFT, &g), 1);
    gather_finish(&c, process, &g);
    process_unlock_working_set(&c, process);
    expect_sound(m);
}

static void begin_fault(struct machine *m, uint64_t va, struct ntmm_wait *wait)
{
    struct ntmm_fault_request request = {
        .process = m->process, .address = va, .error_code = NTMM_FAULT_USER};
    *wait = (struct ntmm_wait){0};
    assert_int_equal(ntmm_fault_begin(m->system, &request, wait, &m->fault), NTMM_STATUS_PENDING);
    expect_sound(m);
}

static void pump_until_woken(struct machine *m, const struct ntmm_wait *wait)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(m->emu);
    for (uint32_t i = 0; i < 1000 && !wait->is_woken; i++)
        platform->pump(platform->context);
    assert_int_equal(wait->is_woken, 1);
    expect_sound(m);
}

static void make_regions(struct machine *m)
{
    const uint64_t regions[] = {SCENE_LEAF_OUT, SCENE_TRIMMED, SCENE_TABLE_READ};
    must_allocate(m, SCENE_PAGES, 64 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, SCENE_PAGES, 64 * PAGE);
    must_trim(m, SCENE_PAGES, 4 * PAGE);
    must_trim(m, SCENE_PAGES + 8 * PAGE, 4 * PAGE);
    must_trim(m, SCENE_PAGES + 20 * PAGE, PAGE);
    for (uint32_t i = 0; i < 3; i++) {
        must_allocate(m, regions[i], 4 * PAGE, NTMM_PAGE_READWRITE);
        must_fill(m, regions[i], 4 * PAGE);
        must_trim(m, regions[i], 4 * PAGE);
    }
    must_allocate(m, SCENE_ABOVE_OUT - 15 * PAGE, 32 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, SCENE_ABOVE_OUT, 2 * PAGE);
    must_trim(m, SCENE_ABOVE_OUT, 2 * PAGE);
}

static void page_tables_out(struct machine *m)
{
    evict(m);
    trim_table(m, SCENE_LEAF_OUT);
    trim_table(m, SCENE_TABLE_READ);
    trim_table(m, SCENE_ABOVE_OUT);
    trim_table(m, SCENE_ABOVE_OUT + PAGE);
    evict(m);
    trim_table(m, SCENE_ABOVE_OUT);
    evict(m);
    trim_table(m, SCENE_TRIMMED);
    write_everything(m);
}

static void start_transfers(struct machine *m)
{
    begin_fault(m, SCENE_PAGES + 20 * PAGE, &waits[0]);
    pump_until_woken(m, &waits[0]);
    must_trim(m, SCENE_PAGES + 12 * PAGE, 5 * PAGE);
    orphan = machine_frame(m, SCENE_PAGES + 16 * PAGE);
    assert_int_equal(must_write_modified(m, FRAMES), 5);
    expect_sound(m);
    must_decommit(m, SCENE_PAGES + 16 * PAGE, PAGE);
    expect_sound(m);
    must_trim(m, SCENE_PAGES + 6 * PAGE, PAGE);
    store64_relaxed(&machine_partition(m)->read_ahead_credit, 3);
    begin_fault(m, SCENE_PAGES + 8 * PAGE, &waits[1]);
    begin_fault(m, SCENE_PAGES + 8 * PAGE, &waits[2]);
    begin_fault(m, SCENE_TABLE_READ, &waits[3]);
}

struct machine *paging_scene_open(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM_BYTES}};
    struct machine *m = machine_open(&setup);
    must_add_file(m, SCENE_SLOTS * PAGE, 2 * SCENE_SLOTS * PAGE, NULL);
    must_add_file(m, MIB, 0, NULL);
    set32(&machine_anchor(m)->read_cluster, 4);
    m->system->read_cluster = 4;
    make_regions(m);
    page_tables_out(m);
    must_trim(m, SCENE_PAGES + 4 * PAGE, 2 * PAGE);
    write_everything(m);
    start_transfers(m);
    assert_int_equal(must_query_file(m, 1).used_pages, 0);
    return m;
}

void paging_scene_close(struct machine *m)
{
    for (uint32_t i = 0; i < WAITS; i++)
        ntmm_fault_cancel(m->system, &waits[i]);
    machine_assert_sound(m);
    must_finish_transfers(m);
    machine_close(m);
}

uint64_t scene_value(struct machine *m, uint64_t va, uint32_t level)
{
    uint64_t raw = get64(machine_entry(m, va, level));
    assert_false(raw & FIELD_MASK(HW_VALID));
    return invalid_decode(raw, m->system->invalid_mask);
}

void scene_set_value(struct machine *m, uint64_t va, uint32_t level, uint64_t value)
{
    set64(machine_entry(m, va, level), invalid_encode(value, m->system->invalid_mask));
}

le64 *scene_stored_table(struct machine *m, uint64_t va, uint32_t level)
{
    struct call c = machine_call(m);
    uint64_t value = scene_value(m, va, level);
    assert_int_not_equal(slot_of(value), 0);
    uint64_t device = get64(&page_file_at(&c, slot_file(value))->device);
    uint8_t *image = ntmm_emulated_disk_image(m->emu, device, NULL);
    assert_non_null(image);
    return (le64 *)(void *)(image + (slot_of(value) << NTMM_PAGE_SHIFT));
}
