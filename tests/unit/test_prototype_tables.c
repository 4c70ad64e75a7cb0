/*
 * Tables of prototypes that go: into a page file, and back by whoever walks; or freed, when they
 * say nothing. Expectations: DESIGN, principles 9 and 10; docs/sections.md, "Tables of prototypes".
 */
#include "unit/pe_file.h"
#include "unit/prototype_world.h"

#include <ntmm/frames.h>
#include <ntmm/memory.h>
#include <ntmm/query.h>
#include <ntmm/snapshot.h>
#include <ntmm/statistics.h>
#include <ntmm/working_set.h>

#define TABLES 4u

/* A section of four tables, a page in each, and nothing of it in memory but the root. */
struct out {
    struct machine *m;
    ntmm_handle section;
    struct control_area *area;
    uint64_t base;
    uint64_t commit; /* of the section and its tables */
};

static struct out open_out(uint64_t ram_bytes)
{
    struct out o = {.m = open_with_page_file(ram_bytes)};
    uint64_t before = commit_of(o.m);
    o.section = make_section(o.m, TABLES * SPAN, NTMM_SEC_COMMIT, 0);
    o.area = newest_area(o.m);
    o.base = map(o.m, o.section);
    fill_tables(o.m, o.base, TABLES, 0);
    unmap(o.m, o.base);
    o.commit = get64(&o.area->commit_pages);
    assert_int_equal(o.commit, TABLES * 512 + TABLES + 1);
    assert_true(commit_of(o.m) >= before + o.commit);
    o.base = map(o.m, o.section);
    page_out_everything(o.m->emu);
    machine_assert_sound(o.m);
    assert_int_equal(get32(&o.area->tables_out), TABLES);
    return o;
}

static uint64_t prototype_frames(struct machine *m)
{
    struct ntmm_frame_information frame;
    uint64_t count = 0;
    for (uint64_t i = 0; ntmm_query_frame(m->system, i, &frame) == NTMM_STATUS_SUCCESS; i++)
        count += frame.use == NTMM_USE_PROTOTYPE;
    return count;
}

static void tables_go_to_the_page_file_and_come_back(void **state)
{
    (void)state;
    struct out o = open_out(4 * MIB);
    assert_int_equal(machine_counter(o.m, NTMM_COUNTER_PROTOTYPE_TABLES_TRIMMED), TABLES);
    assert_int_equal(prototype_frames(o.m), 1);
    assert_int_equal(get64(&o.area->commit_pages), o.commit); /* charged all the same */
    assert_int_equal(get64(&o.area->table_pages), TABLES + 1);
    uint64_t reads = machine_counter(o.m, NTMM_COUNTER_TABLE_READS);
    hold_tables(o.m, o.base, TABLES, 0);
    assert_int_equal(get32(&o.area->tables_out), 0);
    assert_true(machine_counter(o.m, NTMM_COUNTER_TABLE_READS) >= reads + TABLES);
    machine_assert_sound(o.m);
    machine_close(o.m);
}

/* On their way, on the modified list or standby, they come back without a read. */
static void tables_come_back_from_a_list(void **state)
{
    (void)state;
    struct out o = open_out(4 * MIB);
    struct call c = machine_call(o.m);
    hold_tables(o.m, o.base, TABLES, 0);
    must(ntmm_empty_working_set(o.m->system, o.m->process));
    (void)must_write_modified(o.m, UINT64_MAX);
    must_finish_transfers(o.m);
    frames_purge_standby(&c, STANDBY_PRIORITIES);
    for (uint32_t is_written = 0; is_written < 2; is_written++) {
        assert_int_equal(area_tables_sweep(&c, UINT64_MAX, UINT64_MAX), TABLES);
        machine_assert_sound(o.m);
        if (is_written)
            (void)must_write_modified(o.m, UINT64_MAX);
        must_finish_transfers(o.m);
        machine_assert_sound(o.m);
        uint64_t reads = machine_counter(o.m, NTMM_COUNTER_TABLE_READS);
        struct prototype_span span;
        area_lock(&c, o.area);
        for (uint64_t i = 0; i < TABLES; i++) {
            span = prototype_find(&c, o.area, i * 512);
            assert_true(prototype_return(&c, o.area, &span));
        }
        area_unlock(&c, o.area);
        assert_int_equal(machine_counter(o.m, NTMM_COUNTER_TABLE_READS), reads);
        machine_assert_sound(o.m);
    }
    hold_tables(o.m, o.base, TABLES, 0);
    machine_close(o.m);
}

static void a_section_that_only_a_handle_keeps(void **state)
{
    (void)state;
    struct out o = open_out(4 * MIB);
    hold_tables(o.m, o.base, TABLES, 0);
    unmap(o.m, o.base);
    page_out_everything(o.m->emu);
    assert_int_equal(get32(&o.area->tables_out), TABLES);
    machine_assert_sound(o.m);
    o.base = map(o.m, o.section);
    hold_tables(o.m, o.base, TABLES, 0);
    machine_close(o.m);
}

/* What one of two processes brings back the other has too. */
static void views_of_two_processes(void **state)
{
    (void)state;
    struct out o = open_out(4 * MIB);
    ntmm_handle other = machine_add_process(o.m);
    uint64_t base = map_in(o.m, other, o.section, RW), value = 0;
    must(ntmm_emulated_attach(o.m->emu, 1, other));
    must(ntmm_emulated_load(o.m->emu, 1, base + SPAN, &value, 8, NULL, NULL));
    assert_int_equal(value, 4);
    assert_int_equal(get32(&o.area->tables_out), TABLES - 1);
    value = 77;
    must(ntmm_emulated_store(o.m->emu, 1, base + SPAN + PAGE, &value, 8, NULL, NULL));
    page_out_everything(o.m->emu);
    assert_int_equal(get32(&o.area->tables_out), TABLES);
    hold_tables(o.m, o.base, TABLES, 0);
    assert_int_equal(must_read(o.m, o.base + SPAN + PAGE), 77);
    machine_assert_sound(o.m);
    must(ntmm_end_process(o.m->system, other));
    machine_close(o.m);
}

/* A tree of three levels: what is above idle tables goes when these are gone. */
static void tables_of_two_levels(void **state)
{
    (void)state;
    struct machine *m = open_with_page_file(4 * MIB);
    ntmm_handle section = make_section(m, 3 * GIB, NTMM_SEC_COMMIT, 0);
    struct control_area *area = newest_area(m);
    uint64_t base = map(m, section);
    must_write(m, base, 1);
    must_write(m, base + 8 * MIB, 2);
    must_write(m, base + GIB + 5 * PAGE, 3);
    assert_int_equal(get64(&area->table_pages), 6);
    page_out_everything(m->emu);
    assert_int_equal(get32(&area->tables_out), 5);
    assert_int_equal(prototype_frames(m), 1);
    machine_assert_sound(m);
    must(machine_check_without_storage(m));
    assert_int_equal(must_read(m, base + 8 * MIB), 2);
    assert_int_equal(get32(&area->tables_out), 3); /* one came, then the one below it */
    assert_int_equal(must_read(m, base), 1);
    assert_int_equal(must_read(m, base + GIB + 5 * PAGE), 3);
    machine_assert_sound(m);
    page_out_everything(m->emu);
    uint64_t charge = commit_of(m);
    unmap(m, base);
    must(ntmm_close_section(m->system, section));
    assert_true(commit_of(m) <= charge - (3 * GIB / PAGE) - 6);
    assert_int_equal(must_query_file(m, 0).used_pages, 0);
    machine_close(m);
}

/* What a snapshot has is what it was: tables on lists, in the page file, in memory. */
static void a_snapshot_has_tables_that_are_out(void **state)
{
    (void)state;
    struct out o = open_out(4 * MIB);
    struct call c = machine_call(o.m);
    assert_int_equal(must_read(o.m, o.base), 1);
    must(ntmm_empty_working_set(o.m->system, o.m->process));
    frames_purge_standby(&c, STANDBY_PRIORITIES);
    (void)must_write_modified(o.m, UINT64_MAX);
    must_finish_transfers(o.m);
    frames_purge_standby(&c, STANDBY_PRIORITIES);
    (void)area_tables_sweep(&c, UINT64_MAX, UINT64_MAX);
    must_finish_transfers(o.m);
    must(ntmm_emulated_snapshot(o.m->emu));
    uint64_t hash = ntmm_emulated_hash(o.m->emu);
    hold_tables(o.m, o.base, TABLES, 0);
    page_out_everything(o.m->emu);
    must(ntmm_emulated_restore_snapshot(o.m->emu));
    assert_int_equal(ntmm_emulated_hash(o.m->emu), hash);
    machine_assert_sound(o.m);
    assert_int_equal(get32(&o.area->tables_out), TABLES);
    hold_tables(o.m, o.base, TABLES, 0);
    machine_close(o.m);
}

/* --- what says nothing --- */

static void tables_of_a_file_are_freed(void **state)
{
    (void)state;
    struct machine *m = open_with_page_file(4 * MIB);
    ntmm_handle file = open_file(m, TABLES * SPAN, TABLES * SPAN);
    ntmm_handle section = make_section(m, 0, NTMM_SEC_COMMIT, file);
    struct control_area *area = newest_area(m);
    uint64_t base = map(m, section);
    uint64_t charge = commit_of(m) - machine_process(m).table_pages;
    for (uint64_t i = 0; i < TABLES; i++)
        assert_int_equal(must_read(m, base + i * SPAN), 0);
    assert_int_equal(get64(&area->commit_pages), TABLES + 1);
    page_out_everything(m->emu);
    assert_int_equal(get64(&area->commit_pages), 0);
    assert_int_equal(get64(&area->root_frame), FRAME_NONE);
    assert_int_equal(prototype_frames(m), 0);
    assert_int_equal(commit_of(m) - machine_process(m).table_pages, charge);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PROTOTYPE_TABLES_TRIMMED), 0);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PROTOTYPE_TABLES_FREED), TABLES + 1);
    machine_assert_sound(m);
    fill_tables(m, base, TABLES, 8);
    hold_tables(m, base, TABLES, 8);
    unmap(m, base);
    must(ntmm_flush_file(m->system, file, 0, 0));
    page_out_everything(m->emu);
    assert_int_equal(prototype_frames(m), 0);
    base = map(m, section);
    hold_tables(m, base, TABLES, 8);
    machine_close(m);
}

/* A page that the writer wrote behind valid data is known by its entry alone, until a flush. */
static void what_lies_behind_valid_data_is_kept(void **state)
{
    (void)state;
    struct machine *m = open_with_page_file(4 * MIB);
    ntmm_handle file = open_file(m, TABLES * SPAN, PAGE);
    ntmm_handle section = make_section(m, 0, NTMM_SEC_COMMIT, file);
    struct control_area *area = newest_area(m);
    uint64_t base = map(m, section);
    must_write(m, base, 5);
    must_write(m, base + SPAN, 6);
    must_write(m, base + 3 * SPAN - PAGE, 7);
    unmap(m, base);
    while (ntmm_write_mapped_pages(m->system, UINT64_MAX) != 0)
        must_finish_transfers(m);
    page_out_everything(m->emu);
    assert_int_equal(get64(&area->table_pages), 3); /* the first one says nothing */
    assert_int_equal(get32(&area->tables_out), 0);
    machine_assert_sound(m);
    base = map(m, section);
    assert_int_equal(must_read(m, base), 5);
    assert_int_equal(must_read(m, base + SPAN), 6);
    assert_int_equal(must_read(m, base + 3 * SPAN - PAGE), 7);
    unmap(m, base);
    must(ntmm_flush_file(m->system, file, 0, 0));
    page_out_everything(m->emu);
    assert_int_equal(get64(&area->table_pages), 0);
    base = map(m, section);
    assert_int_equal(must_read(m, base + SPAN), 6);
    assert_int_equal(must_read(m, base + 3 * SPAN - PAGE), 7);
    machine_close(m);
}

/* A purge, and a cut, free what they empty at once. */
static void purge_and_cut_free_what_they_empty(void **state)
{
    (void)state;
    struct machine *m = open_with_page_file(4 * MIB);
    ntmm_handle file = open_file(m, TABLES * SPAN, TABLES * SPAN);
    ntmm_handle section = make_section(m, TABLES * SPAN, NTMM_SEC_COMMIT, file);
    struct control_area *area = newest_area(m);
    uint64_t base = map(m, section);
    fill_tables(m, base, TABLES, 0);
    unmap(m, base);
    must(ntmm_flush_file(m->system, file, 0, 0));
    assert_int_equal(get64(&area->table_pages), TABLES + 1);
    must(ntmm_purge_file(m->system, file));
    assert_int_equal(get64(&area->table_pages), 0);
    machine_assert_sound(m);
    base = map(m, section);
    hold_tables(m, base, TABLES, 0);
    unmap(m, base);
    must(ntmm_close_section(m->system, section));
    must(ntmm_set_file_size(m->system, file, SPAN + 100));
    assert_int_equal(get64(&area->table_pages), 3);
    must(ntmm_set_file_size(m->system, file, 5 * SPAN)); /* its tree grows */
    machine_assert_sound(m);
    section = make_section(m, 5 * SPAN, NTMM_SEC_COMMIT, file);
    base = map(m, section);
    assert_int_equal(must_read(m, base + SPAN), 4);
    assert_int_equal(must_read(m, base + 2 * SPAN), 0);
    page_out_everything(m->emu);
    assert_int_equal(must_read(m, base), 1);
    machine_close(m);
}

static uint64_t sweep_all(struct machine *m)
{
    struct call c = machine_call(m);
    return area_tables_sweep(&c, UINT64_MAX, UINT64_MAX);
}

/* A transfer that looks at an area, a call that changes its file's size, or did since the sweep
 * came: nothing is freed under their eyes. */
static void tables_that_somebody_looks_at_stay(void **state)
{
    (void)state;
    struct machine *m = open_with_page_file(4 * MIB);
    struct call c = machine_call(m);
    ntmm_handle file = open_file(m, TABLES * SPAN, TABLES * SPAN);
    ntmm_handle section = make_section(m, 0, NTMM_SEC_COMMIT, file);
    struct control_area *area = newest_area(m);
    struct file *object = file_at(&c, get64(&area->file));
    uint64_t base = map(m, section);
    fill_tables(m, base, TABLES, 0);
    unmap(m, base);
    must(ntmm_flush_file(m->system, file, 0, 0));
    set32(&area->io_count, 1);
    must(ntmm_purge_file(m->system, file));
    assert_int_equal(get64(&area->table_pages), TABLES + 1);
    assert_int_equal(sweep_all(m), 0);
    set32(&area->io_count, 0);
    set32(&object->is_resizing, 1);
    assert_int_equal(sweep_all(m), 0);
    set32(&object->is_resizing, 0);
    set32(&area->io_count, 1); /* the sweep itself */
    struct prototype_sweep sweep = {.examine = 99, .go = 99, .cuts = get32(&object->cuts) + 1};
    area_lock(&c, area);
    (void)prototype_sweep(&c, area, &sweep);
    area_unlock(&c, area);
    assert_int_equal(sweep.gone, 0);
    sweep = (struct prototype_sweep){.examine = 99, .go = 99, .cuts = get32(&object->cuts)};
    set32(&area->flags, get32(&area->flags) | AREA_ENDING); /* since it came */
    area_lock(&c, area);
    assert_false(prototype_sweep(&c, area, &sweep));
    area_unlock(&c, area);
    set32(&area->flags, get32(&area->flags) & ~(uint32_t)AREA_ENDING);
    set32(&area->io_count, 0);
    assert_int_equal(sweep.gone, 0);
    machine_assert_sound(m);
    assert_int_equal(sweep_all(m), TABLES + 1);
    assert_int_equal(get64(&area->table_pages), 0);
    machine_close(m);
}

/* A sweep of few tables goes on where the last one ended, from area to area, whatever ends. */
static void a_sweep_goes_on(void **state)
{
    (void)state;
    struct machine *m = open_with_page_file(4 * MIB);
    struct call c = machine_call(m);
    ntmm_handle sections[3];
    uint64_t bases[3];
    for (uint32_t i = 0; i < 3; i++) {
        sections[i] = make_section(m, TABLES * SPAN, NTMM_SEC_COMMIT, 0);
        bases[i] = map(m, sections[i]);
        fill_tables(m, bases[i], TABLES, 0);
    }
    must(ntmm_empty_working_set(m->system, m->process));
    (void)must_write_modified(m, UINT64_MAX);
    must_finish_transfers(m);
    frames_purge_standby(&c, STANDBY_PRIORITIES);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(area_tables_sweep(&c, UINT64_MAX, 1), 1);
    struct control_area *last = newest_area(m), *middle = area_at(&c, get64(&last->next));
    assert_int_equal(get32(&last->tables_out), TABLES);
    assert_int_equal(get32(&middle->tables_out), 2);
    unmap(m, bases[1]);
    must(ntmm_close_section(m->system, sections[1])); /* at which the hand was */
    machine_assert_sound(m);
    assert_int_equal(area_tables_sweep(&c, 1, UINT64_MAX), 1);
    assert_int_equal(area_tables_sweep(&c, UINT64_MAX, UINT64_MAX), TABLES - 1);
    hold_tables(m, bases[0], TABLES, 0);
    hold_tables(m, bases[2], TABLES, 0);
    machine_close(m);
}

/* --- reserved sections --- */

/* Whether a page is committed is known, wherever its table is. */
static void reserved_pages_are_known(void **state)
{
    (void)state;
    struct machine *m = open_with_page_file(4 * MIB);
    ntmm_handle section = make_section(m, TABLES * SPAN, NTMM_SEC_RESERVE, 0);
    struct control_area *area = newest_area(m);
    uint64_t base = map(m, section);
    must_commit(m, base, SPAN, RW);        /* all of the first table */
    must_commit(m, base + SPAN, PAGE, RW); /* of the second */
    must_write(m, base + PAGE, 9);
    must_write(m, base + SPAN, 10);
    page_out_everything(m->emu);
    assert_int_equal(get32(&area->tables_out), 1);
    machine_assert_sound(m);
    must(machine_check_without_storage(m));
    struct ntmm_memory_basic_information found = must_query(m, base + 5 * PAGE);
    assert_int_equal(found.state, NTMM_MEM_COMMIT);
    assert_int_equal(found.base_address + found.region_size, base + SPAN + PAGE);
    assert_int_equal(must_query(m, base + SPAN + PAGE).state, NTMM_MEM_RESERVE);
    uint64_t commit = get64(&area->commit_pages);
    must_commit(m, base, 2 * SPAN, RW); /* 511 more */
    assert_int_equal(get64(&area->commit_pages), commit + 511);
    assert_int_equal(get32(&area->tables_out), 1);
    assert_int_equal(must_read(m, base + PAGE), 9);
    assert_int_equal(must_read(m, base + 2 * PAGE), 0);
    page_out_everything(m->emu);
    assert_int_equal(get32(&area->tables_out), 2);
    assert_int_equal(must_read(m, base + SPAN), 10);
    machine_assert_sound(m);
    machine_close(m);
}

/* --- images --- */

static ntmm_handle open_image_file(struct machine *m, uint64_t *first)
{
    struct pe_file *pe = calloc(1, sizeof *pe);
    assert_non_null(pe);
    pe_make(pe, true);
    uint32_t header = pe_add_section(pe, 3 * SPAN, 0x200, PE_READ | PE_WRITE | PE_SHARED);
    *first = pe_get32(pe, header + 12);
    pe_add_relocations(pe, 0x160);
    struct ntmm_emulated_file_config device = {.size = sizeof device,
                                               .version = NTMM_EMULATED_FILE_VERSION,
                                               .contents = pe->bytes,
                                               .size_bytes = pe->size_bytes,
                                               .maximum_bytes = 2 * pe->size_bytes};
    struct ntmm_file_config config = {.size = sizeof config,
                                      .version = NTMM_FILE_CONFIG_VERSION,
                                      .size_bytes = pe->size_bytes,
                                      .valid_bytes = pe->size_bytes};
    ntmm_handle file = 0;
    must(ntmm_emulated_add_file(m->emu, &device, &config.device, NULL));
    must(ntmm_create_file(m->system, &config, NTMM_FILE_READ_DATA | NTMM_FILE_EXECUTE, &file));
    free(pe);
    return file;
}

/* Pages that are written in place lie in page files, the others say nothing; the image ends with
 * its file, tables out. */
static void tables_of_an_image(void **state)
{
    (void)state;
    struct machine *m = open_with_page_file(4 * MIB);
    uint64_t first, size = 0, base = 0;
    ntmm_handle file = open_image_file(m, &first), section = 0;
    must(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &size,
                             NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, file));
    size = 0;
    must(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0, NULL, &size,
                                  NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY));
    struct control_area *area = newest_area(m);
    assert_true(area_is(area, AREA_IMAGE));
    uint64_t text = must_read(m, base + PAGE);
    fill_tables(m, base + first, 3, 8);
    assert_int_equal(get64(&area->table_pages), 1 + 3);
    page_out_everything(m->emu);
    assert_int_equal(get32(&area->tables_out), 3);
    machine_assert_sound(m);
    hold_tables(m, base + first, 3, 8);
    assert_int_equal(must_read(m, base + PAGE), text);
    unmap(m, base);
    page_out_everything(m->emu);
    must(ntmm_close_section(m->system, section));
    assert_int_equal(get32(&area->tables_out), 3); /* the file keeps it */
    must(ntmm_close_file(m->system, file));
    assert_int_equal(get64(&machine_anchor(m)->areas_head), 0);
    assert_int_equal(get32(&machine_anchor(m)->areas_kept), 0);
    machine_assert_sound(m);
    machine_close(m);
}

/* --- who walks --- */

static void queries_and_prefetch_bring_them_in(void **state)
{
    (void)state;
    struct out o = open_out(4 * MIB);
    struct ntmm_memory_page_information pages[2] = {{.virtual_address = o.base + SPAN},
                                                    {.virtual_address = o.base + SPAN + PAGE}};
    uint64_t length;
    must(ntmm_query_virtual_memory_class(o.m->system, o.m->process, 0,
                                         NTMM_MEMORY_WORKING_SET_EX_INFORMATION, pages,
                                         sizeof pages, &length));
    uint64_t place = pages[0].attributes >> NTMM_PAGE_STATE_LOCATION_SHIFT & 3;
    assert_int_equal(place, NTMM_PAGE_LOCATION_PAGE_FILE);
    assert_int_equal(pages[1].attributes >> NTMM_PAGE_STATE_LOCATION_SHIFT & 3, 0);
    assert_int_equal(get32(&o.area->tables_out), TABLES - 1);
    const struct ntmm_memory_range_entry range = {o.base + 2 * SPAN, PAGE};
    uint32_t flags = 0;
    must(ntmm_set_information_virtual_memory(
        o.m->system, o.m->process, NTMM_VM_PREFETCH_INFORMATION, 1, &range, &flags, sizeof flags));
    must_finish_transfers(o.m);
    assert_int_equal(get32(&o.area->tables_out), TABLES - 2);
    uint64_t hard = machine_counter(o.m, NTMM_COUNTER_HARD_FAULTS);
    assert_int_equal(must_read(o.m, o.base + 2 * SPAN), 7);
    assert_int_equal(machine_counter(o.m, NTMM_COUNTER_HARD_FAULTS), hard);
    hold_tables(o.m, o.base, TABLES, 0);
    machine_close(o.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_go_to_the_page_file_and_come_back),
        cmocka_unit_test(tables_come_back_from_a_list),
        cmocka_unit_test(a_section_that_only_a_handle_keeps),
        cmocka_unit_test(views_of_two_processes),
        cmocka_unit_test(tables_of_two_levels),
        cmocka_unit_test(a_snapshot_has_tables_that_are_out),
        cmocka_unit_test(tables_of_a_file_are_freed),
        cmocka_unit_test(what_lies_behind_valid_data_is_kept),
        cmocka_unit_test(purge_and_cut_free_what_they_empty),
        cmocka_unit_test(tables_that_somebody_looks_at_stay),
        cmocka_unit_test(a_sweep_goes_on),
        cmocka_unit_test(reserved_pages_are_known),
        cmocka_unit_test(tables_of_an_image),
        cmocka_unit_test(queries_and_prefetch_bring_them_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
