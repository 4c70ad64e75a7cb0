/*
 * The checker finds each broken invariant of tables of prototypes that are out, and names it: PT4,
 * and what such tables add to PT2, P8 and G1.
 *
 *   table 0     1                2             3
 *         in use  in transition  a page file   a page file
 */
#include "unit/corruption.h"
#include "unit/prototype_world.h"

#include <ntmm/working_set.h>

#define TABLES 4u
#define TRIMMED 1u
#define PAGED 2u

static struct control_area *area;

static struct machine *open_tables(void)
{
    struct machine *m = open_with_page_file(4 * MIB);
    struct call c = machine_call(m);
    ntmm_handle section = make_section(m, TABLES * SPAN, NTMM_SEC_COMMIT, 0);
    area = newest_area(m);
    uint64_t base = map(m, section);
    fill_tables(m, base, TABLES, 0);
    page_out_everything(m->emu);
    assert_int_equal(must_read(m, base + TRIMMED * SPAN), TRIMMED * 3 + 1);
    must(ntmm_empty_working_set(m->system, m->process));
    (void)must_write_modified(m, UINT64_MAX);
    must_finish_transfers(m);
    frames_purge_standby(&c, STANDBY_PRIORITIES);
    assert_int_equal(area_tables_sweep(&c, UINT64_MAX, UINT64_MAX), 1);
    assert_int_equal(must_read(m, base), 1);
    assert_int_equal(get32(&area->tables_out), 3);
    return m;
}

static void close_tables(struct machine *m) { machine_close(m); }

/* The entry above a table. */
static le64 *above(struct machine *m, uint64_t table)
{
    struct call c = machine_call(m);
    return (le64 *)table_at(&c, get64(&area->root_frame)) + table;
}

static uint64_t ref_of(struct machine *m, const le64 *entry)
{
    struct call c = machine_call(m);
    return core_ref(&c, entry);
}

static uint64_t value_of(struct machine *m, const le64 *entry)
{
    return invalid_decode(get64(entry), m->system->invalid_mask);
}

static uint64_t set_field(struct machine *m, uint64_t table, uint16_t field, uint64_t to)
{
    le64 *entry = above(m, table);
    uint64_t value = field_set(value_of(m, entry), field, to);
    set64(entry, invalid_encode(value, m->system->invalid_mask));
    return ref_of(m, entry);
}

static uint64_t trimmed_frame(struct machine *m)
{
    return field_get(value_of(m, above(m, TRIMMED)), TR_FRAME);
}

static uint64_t area_itself(struct machine *m)
{
    struct call c = machine_call(m);
    return area_ref(&c, area);
}

static uint64_t miscount_tables_out(struct machine *m)
{
    set32(&area->tables_out, 2);
    return area_itself(m);
}

static uint64_t sweep_nowhere(struct machine *m)
{
    set64(&machine_partition(m)->area_hand, area_itself(m) + 64);
    return 0;
}

/* Then nobody knows which pages are committed. */
static uint64_t be_reserved(struct machine *m)
{
    set32(&area->flags, get32(&area->flags) | AREA_RESERVE);
    return area_itself(m);
}

static uint64_t protect_a_table(struct machine *m)
{
    return set_field(m, PAGED, SW_PROTECTION, PROT_READONLY);
}

static uint64_t protect_a_trimmed_table(struct machine *m)
{
    return set_field(m, TRIMMED, TR_PROTECTION, PROT_READONLY);
}

static uint64_t miscount_used_of_a_slot(struct machine *m)
{
    return set_field(m, PAGED, SW_USED, 2);
}

static uint64_t have_nothing_in_a_slot(struct machine *m)
{
    return set_field(m, PAGED, SW_USED, 0);
}

static uint64_t miscount_used_of_a_frame(struct machine *m)
{
    pfn_add_used(machine_row(m, trimmed_frame(m)), 1);
    return ref_of(m, above(m, TRIMMED));
}

static uint64_t say_more_in_the_row(struct machine *m)
{
    uint64_t frame = trimmed_frame(m);
    set64(&machine_row(m, frame)->original_pte, entry_software(PROT_READONLY));
    return frame;
}

static uint64_t have_a_page_in_memory(struct machine *m)
{
    struct call c = machine_call(m);
    le64 *table = table_at(&c, trimmed_frame(m));
    uint64_t value = entry_transition(PROT_READWRITE, 1);
    set64(table, invalid_encode(value, m->system->invalid_mask));
    return ref_of(m, above(m, TRIMMED));
}

static uint64_t be_clean(struct machine *m)
{
    uint64_t frame = field_get(get64(above(m, 0)), HW_FRAME);
    pfn_change_state(machine_row(m, frame), PFN_MODIFIED, 0);
    return frame;
}

static uint64_t name_a_slot_twice(struct machine *m)
{
    set64(above(m, 3), get64(above(m, PAGED)));
    uint64_t value = value_of(m, above(m, PAGED));
    return (uint64_t)slot_file(value) << 32 | slot_of(value);
}

static const struct corruption of_tables[] = {
    {"PT4", "tables that are out are miscounted", miscount_tables_out},
    {"PT4", "the sweep goes on nowhere", sweep_nowhere},
    {"PT4", "a table of a reserved section is out", be_reserved},
    {"PT2", "a slot's entry has another protection", protect_a_table},
    {"PT2", "a trimmed table's entry has another protection", protect_a_trimmed_table},
    {"PT2", "a used count in an entry is off", miscount_used_of_a_slot},
    {"PT2", "a table in a slot has no entry", have_nothing_in_a_slot},
    {"PT2", "a used count in a row is off", miscount_used_of_a_frame},
    {"PT2", "a row's original entry says more", say_more_in_the_row},
    {"PT2", "a trimmed table has a page in memory", have_a_page_in_memory},
    {"P8", "a table in use is not modified", be_clean},
    {"G1", "two entries name one slot", name_a_slot_twice},
};

/* What is known without the page file. */
static const struct corruption of_unread_tables[] = {
    {"PT4", "tables that are out are miscounted", miscount_tables_out},
    {"PT4", "a table of a reserved section is out", be_reserved},
    {"PT2", "a slot's entry has another protection", protect_a_table},
    {"PT2", "a table in a slot has no entry", have_nothing_in_a_slot},
};

int main(void)
{
#define RUN(where, name, rows) corruption_run_in(where, name, rows, sizeof(rows) / sizeof *(rows))
    const struct corruption_scene where = {.open = open_tables, .close = close_tables};
    const struct corruption_scene blind = {
        .open = open_tables, .close = close_tables, .is_blind = true};
    int failed = RUN(&where, "check_prototype_tables", of_tables);
    failed += RUN(&blind, "check_prototype_tables_unread", of_unread_tables);
    return failed;
}
