/*
 * Counters in NT's layouts: lengths, order of checks, each field against what it counts, and the
 * worked examples of accounting of the fact sheet, 22, that need no sections.
 *
 * Expectations are written from the public headers' layouts (as offsets) and the fact sheet.
 */
#include "paging/page_out.h"
#include "unit/storage.h"

#include <ntmm/access.h>
#include <ntmm/memory.h>
#include <ntmm/physical.h>
#include <ntmm/statistics.h>

#define BUFFER_BYTES 512u
#define UNTOUCHED UINT64_C(0xA5A5A5A5A5A5A5A5)

static char buffer[BUFFER_BYTES];
static uint64_t returned;

static ntmm_status query_process(struct machine *m, ntmm_handle process, uint32_t class,
                                 uint64_t length)
{
    memset(buffer, 0xA5, sizeof buffer);
    returned = UNTOUCHED;
    return ntmm_query_information_process(m->system, process, class, buffer, length, &returned);
}

static ntmm_status query_system(struct machine *m, uint32_t class, uint64_t length)
{
    memset(buffer, 0xA5, sizeof buffer);
    returned = UNTOUCHED;
    return ntmm_query_system_information(m->system, class, buffer, length, &returned);
}

static uint64_t word(uint64_t offset)
{
    uint64_t value;
    memcpy(&value, buffer + offset, sizeof value);
    return value;
}

static uint32_t half(uint64_t offset)
{
    uint32_t value;
    memcpy(&value, buffer + offset, sizeof value);
    return value;
}

static void assert_buffer_untouched(void)
{
    for (uint32_t i = 0; i < BUFFER_BYTES; i += 8)
        assert_int_equal(word(i), UNTOUCHED);
}

/* --- of a process --- */

static void lengths_of_process_classes_match_exactly(void **state)
{
    static const struct {
        uint32_t class;
        uint64_t lengths[4];
    } classes[] = {{3, {88, 96, 112, 0}}, {1, {48, 88, 0, 0}}};
    (void)state;
    struct machine *m = machine_open(NULL);
    for (uint32_t i = 0; i < 2; i++) {
        for (uint64_t length = 0, at = 0; length < 128; length++) {
            ntmm_status status = query_process(m, m->process, classes[i].class, length);
            if (length == classes[i].lengths[at] && length) {
                assert_int_equal(status, NTMM_STATUS_SUCCESS);
                assert_int_equal(returned, length);
                assert_int_equal((unsigned char)buffer[length], 0xA5);
                at++;
                continue;
            }
            assert_int_equal(status, NTMM_STATUS_INFO_LENGTH_MISMATCH);
            assert_int_equal(returned, UNTOUCHED);
            assert_buffer_untouched();
        }
    }
    machine_close(m);
}

/* Each call breaks two neighbours of the order. */
static void process_checks_come_in_order(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    ntmm_handle other_kind = m->process ^ (0x80ull << 56);
    uint32_t lacks = NTMM_PROCESS_QUERY_LIMITED_INFORMATION | NTMM_PROCESS_QUERY_INFORMATION;
    assert_int_equal(query_process(m, m->process, 2, 0), NTMM_STATUS_INVALID_INFO_CLASS);
    assert_int_equal(ntmm_query_information_process(m->system, 0, 3, NULL, 87, NULL),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(ntmm_query_information_process(m->system, 0, 3, NULL, 88, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(query_process(m, 0, 3, 88), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(query_process(m, other_kind, 3, 88), NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(query_process(m, m->process | (uint64_t)lacks << HANDLE_LACKS_SHIFT, 3, 88),
                     NTMM_STATUS_ACCESS_DENIED);
    assert_buffer_untouched();
    assert_int_equal(returned, UNTOUCHED);
    machine_close(m);
}

static void either_right_to_query_will_do(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    uint64_t limited = (uint64_t)NTMM_PROCESS_QUERY_LIMITED_INFORMATION << HANDLE_LACKS_SHIFT;
    uint64_t full = (uint64_t)NTMM_PROCESS_QUERY_INFORMATION << HANDLE_LACKS_SHIFT;
    assert_int_equal(query_process(m, m->process | limited, 3, 88), NTMM_STATUS_SUCCESS);
    assert_int_equal(query_process(m, m->process | full, 3, 88), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void vm_counters_have_nts_layout(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_reserve(m, BASE, MIB, NTMM_PAGE_READWRITE);
    must_reserve(m, BASE + GIB, MIB, NTMM_PAGE_READWRITE);
    must_release(m, BASE + GIB, MIB);
    must_commit(m, BASE, 16 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 5 * PAGE);
    must_decommit(m, BASE, 3 * PAGE);
    assert_int_equal(query_process(m, m->process, 3, 112), NTMM_STATUS_SUCCESS);
    assert_int_equal(word(0), 2 * MIB);    /* PeakVirtualSize */
    assert_int_equal(word(8), MIB);        /* VirtualSize */
    assert_int_equal(half(16), 5);         /* PageFaultCount */
    assert_int_equal(word(24), 5 * PAGE);  /* PeakWorkingSetSize */
    assert_int_equal(word(32), 2 * PAGE);  /* WorkingSetSize */
    assert_int_equal(word(40), 0);         /* pools */
    assert_int_equal(word(64), 0);         /* pools */
    assert_int_equal(word(72), 13 * PAGE); /* PagefileUsage */
    assert_int_equal(word(80), 16 * PAGE); /* PeakPagefileUsage */
    assert_int_equal(word(88), 13 * PAGE); /* PrivateUsage */
    assert_int_equal(word(96), 2 * PAGE);  /* PrivateWorkingSetSize */
    assert_int_equal(word(104), 0);        /* SharedCommitUsage */
    machine_close(m);
}

static void quota_limits_default_to_nts(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    assert_int_equal(query_process(m, m->process, 1, 88), NTMM_STATUS_SUCCESS);
    assert_int_equal(word(16), 204800);     /* MinimumWorkingSetSize */
    assert_int_equal(word(24), 1413120);    /* MaximumWorkingSetSize */
    assert_int_equal(word(32), UINT64_MAX); /* PagefileLimit */
    assert_int_equal(word(40), UINT64_MAX); /* TimeLimit */
    assert_int_equal(half(80), 2 | 8);      /* both limits soft */
    machine_close(m);
    struct machine_setup setup = {
        .process = {.commit_limit_pages = 77, .working_set_minimum_pages = 100}};
    m = machine_open(&setup);
    assert_int_equal(query_process(m, m->process, 1, 48), NTMM_STATUS_SUCCESS);
    assert_int_equal(word(16), 100 * PAGE);
    assert_int_equal(word(32), 77 * PAGE);
    machine_close(m);
}

/* --- of the system --- */

static const struct {
    uint32_t class;
    uint64_t least;
    uint64_t most;
} system_classes[] = {{0, 64, 64}, {2, 312, 344}, {21, 64, 64}, {80, 176, 176}};

static void system_classes_say_what_they_need(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t class = system_classes[i].class;
        uint64_t least = system_classes[i].least;
        assert_int_equal(query_system(m, class, 0), NTMM_STATUS_INFO_LENGTH_MISMATCH);
        assert_int_equal(query_system(m, class, least - 1), NTMM_STATUS_INFO_LENGTH_MISMATCH);
        assert_int_equal(returned, least);
        assert_buffer_untouched();
        assert_int_equal(query_system(m, class, least), NTMM_STATUS_SUCCESS);
        assert_int_equal(returned, least);
        assert_int_equal((unsigned char)buffer[least], 0xA5);
        assert_int_equal(query_system(m, class, BUFFER_BYTES), NTMM_STATUS_SUCCESS);
        assert_int_equal(returned, system_classes[i].most);
        assert_int_equal(ntmm_query_system_information(m->system, class, NULL, least, NULL),
                         NTMM_STATUS_ACCESS_VIOLATION);
        assert_int_equal(ntmm_query_system_information(m->system, class, NULL, least - 1, NULL),
                         NTMM_STATUS_INFO_LENGTH_MISMATCH);
        assert_int_equal(ntmm_query_system_information(m->system, class, buffer, least, NULL),
                         NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(ntmm_query_system_information(m->system, 1, NULL, 0, NULL),
                     NTMM_STATUS_INVALID_INFO_CLASS);
    assert_int_equal(query_system(m, UINT32_MAX, BUFFER_BYTES), NTMM_STATUS_INVALID_INFO_CLASS);
    assert_int_equal(returned, UNTOUCHED);
    machine_close(m);
}

static void basic_information_has_nts_layout(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL); /* 4 MiB from frame 0 */
    assert_int_equal(query_system(m, 0, 64), NTMM_STATUS_SUCCESS);
    uint32_t lowest = half(16);
    assert_int_equal(half(8), 4096);
    assert_int_equal(half(12), 1024);
    assert_int_equal(half(20), lowest + 1023);
    assert_int_equal(half(24), 65536);
    assert_int_equal(word(32), 0x10000);
    assert_int_equal(word(40), 0x7FFFFFFEFFFF);
    machine_close(m);
}

static void performance_counts_what_happened(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 8 * PAGE);
    must_trim(m, BASE, 2 * PAGE);
    must_hold(m, BASE, 2 * PAGE); /* two transition faults */
    page_out_everything(m->emu);
    must_hold(m, BASE, PAGE);
    struct ntmm_memory_information memory = machine_memory(m);
    assert_int_equal(query_system(m, 2, 344), NTMM_STATUS_SUCCESS);
    uint64_t standby = 0;
    for (uint32_t i = 0; i < 8; i++)
        standby += memory.standby_pages[i];
    assert_int_equal(half(44), memory.zeroed_pages + memory.free_pages + standby);
    assert_int_equal(half(48), memory.commit_pages);
    assert_int_equal(half(52), memory.commit_limit_pages);
    assert_int_equal(half(56), memory.commit_peak_pages);
    assert_int_equal(half(60), machine_counter(m, NTMM_COUNTER_PAGE_FAULTS));
    assert_int_equal(half(64), 0); /* CopyOnWriteCount */
    assert_int_equal(half(68), 2); /* TransitionCount */
    assert_int_equal(half(76), 8); /* DemandZeroCount */
    assert_true(half(80) >= 1);    /* PageReadCount */
    assert_int_equal(half(80), machine_counter(m, NTMM_COUNTER_PAGES_READ));
    assert_true(half(84) >= 1); /* PageReadIoCount */
    assert_int_equal(half(84), machine_counter(m, NTMM_COUNTER_PAGE_READS));
    assert_true(half(96) >= 8); /* DirtyPagesWriteCount */
    assert_int_equal(half(96), machine_counter(m, NTMM_COUNTER_PAGES_WRITTEN));
    assert_int_equal(half(100), machine_counter(m, NTMM_COUNTER_PAGE_WRITES));
    assert_int_equal(half(116), memory.slab_pages + memory.process_pages + memory.paging_pages);
    for (uint64_t offset = 176; offset < 328; offset += 4) /* Cc..., system calls and so on */
        assert_int_equal(half(offset), 0);
    assert_int_equal(word(328), memory.total_pages - memory.metadata_pages - memory.slab_pages -
                                    memory.process_pages - memory.paging_pages - 50);
    machine_close(m);
}

static void memory_lists_are_counted_by_priority(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, 8 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 8 * PAGE);
    must_trim(m, BASE, 8 * PAGE);
    struct ntmm_memory_information memory = machine_memory(m);
    assert_int_equal(query_system(m, 80, 176), NTMM_STATUS_SUCCESS);
    assert_int_equal(word(0), memory.zeroed_pages);
    assert_int_equal(word(8), memory.free_pages);
    assert_int_equal(word(16), 8); /* ModifiedPageCount */
    assert_int_equal(word(24), 0);
    assert_int_equal(word(32), 0);
    assert_int_equal(word(168), 8); /* ModifiedPageCountPageFile */
    must_write_modified(m, 8);
    must_finish_transfers(m);
    assert_int_equal(query_system(m, 80, 176), NTMM_STATUS_SUCCESS);
    assert_int_equal(word(16), 0);
    for (uint64_t priority = 0; priority < 8; priority++) {
        assert_int_equal(word(40 + 8 * priority), priority == 5 ? 8 : 0);
        assert_int_equal(word(104 + 8 * priority), 0);
    }
    page_out_everything(m->emu);
    assert_int_equal(query_system(m, 80, 176), NTMM_STATUS_SUCCESS);
    uint64_t repurposed = machine_counter(m, NTMM_COUNTER_PAGES_REPURPOSED);
    assert_true(repurposed >= 8);
    assert_int_equal(word(40 + 8 * 5), 0);
    assert_int_equal(word(104 + 8 * 5), repurposed);
    assert_int_equal(query_system(m, 21, 64), NTMM_STATUS_SUCCESS);
    assert_int_equal(half(56), repurposed); /* TransitionRePurposeCount */
    assert_int_equal(word(0), 0);
    machine_close(m);
}

/* The entry at an offset: totals, and its name as narrow text. */
static void assert_page_file(uint64_t at, uint32_t size, const char *name)
{
    char text[32] = {0};
    uint16_t length, maximum_length;
    const uint16_t *wide;
    uint64_t address = word(at + 24);
    assert_int_equal(half(at + 4), size);
    memcpy(&length, buffer + at + 16, sizeof length);
    memcpy(&maximum_length, buffer + at + 18, sizeof maximum_length);
    assert_int_equal(length, 2 * strlen(name));
    assert_int_equal(maximum_length, length + 2);
    assert_true(address >= (uintptr_t)buffer && address < (uintptr_t)buffer + BUFFER_BYTES);
    wide = (const uint16_t *)(uintptr_t)address;
    for (uint32_t i = 0; i < length / 2; i++)
        text[i] = (char)wide[i];
    assert_int_equal(wide[length / 2], 0);
    assert_string_equal(text, name);
}

static void page_files_are_listed_with_names(void **state)
{
    static const uint64_t fields[] = {32, 40};
    static const uint32_t classes[] = {18, 144};
    (void)state;
    struct machine *m = machine_open(NULL);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(query_system(m, classes[i], fields[i] - 1),
                         NTMM_STATUS_INFO_LENGTH_MISMATCH);
        assert_int_equal(query_system(m, classes[i], fields[i]), NTMM_STATUS_SUCCESS);
        assert_int_equal(returned, 0); /* there is no page file */
    }
    must_add_file(m, MIB, 0, NULL);
    must_add_file(m, MIB, 2 * MIB, NULL);
    must_allocate(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 4 * PAGE);
    must_trim(m, BASE, 4 * PAGE);
    must_write_modified(m, 4);
    must_finish_transfers(m);
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t entry = fields[i] + 40; /* 17 characters, rounded */
        entry = (fields[i] + 2 * (strlen("\\Device\\PageFile0") + 1) + 7) & ~7ull;
        assert_int_equal(query_system(m, classes[i], 2 * entry - 1),
                         NTMM_STATUS_INFO_LENGTH_MISMATCH);
        assert_int_equal(returned, 2 * entry);
        assert_buffer_untouched();
        assert_int_equal(query_system(m, classes[i], BUFFER_BYTES), NTMM_STATUS_SUCCESS);
        assert_int_equal(returned, 2 * entry);
        assert_int_equal(half(0), entry);
        assert_page_file(0, 256, "\\Device\\PageFile0");
        assert_int_equal(half(entry), 0);
        assert_page_file(entry, 256, "\\Device\\PageFile1");
        assert_int_equal(half(8) + half(entry + 8), 4); /* TotalInUse */
        assert_int_equal(half(12) + half(entry + 12), 4);
    }
    uint64_t entry = half(0);
    assert_int_equal(half(32), 256); /* MinimumSize */
    assert_int_equal(half(36), 256); /* MaximumSize */
    assert_int_equal(half(entry + 36), 512);
    machine_close(m);
}

/* --- worked examples of accounting --- */

/* Pages, and faults by kind. */
struct account {
    int64_t virtual_size, system_commit, commit, working_set, private_set;
    int64_t demand_zero, transition, hard;
    int64_t resident_available;
};

static struct account take_account(struct machine *m)
{
    struct ntmm_memory_information memory = machine_memory(m);
    uint64_t tables = memory.table_pages + memory.slab_pages + memory.process_pages +
                      memory.paging_pages; /* the examples leave these out */
    assert_int_equal(query_system(m, 2, 344), NTMM_STATUS_SUCCESS);
    int64_t resident = (int64_t)word(328) + (int64_t)(memory.slab_pages);
    assert_int_equal(query_process(m, m->process, 3, 112), NTMM_STATUS_SUCCESS);
    return (struct account){
        .resident_available = resident,
        .virtual_size = (int64_t)(word(8) / PAGE),
        .system_commit = (int64_t)(memory.commit_pages - tables),
        .commit = (int64_t)(word(88) / PAGE),
        .working_set = (int64_t)(word(32) / PAGE),
        .private_set = (int64_t)(word(96) / PAGE),
        .demand_zero = (int64_t)machine_counter(m, NTMM_COUNTER_DEMAND_ZERO_FAULTS),
        .transition = (int64_t)machine_counter(m, NTMM_COUNTER_TRANSITION_FAULTS),
        .hard = (int64_t)machine_counter(m, NTMM_COUNTER_HARD_FAULTS),
    };
}

/* What changed since the last account is what the row says. */
static void assert_row(struct machine *m, struct account *last, struct account row)
{
    struct account now = take_account(m);
    assert_int_equal(now.virtual_size - last->virtual_size, row.virtual_size);
    assert_int_equal(now.system_commit - last->system_commit, row.system_commit);
    assert_int_equal(now.commit - last->commit, row.commit);
    assert_int_equal(now.working_set - last->working_set, row.working_set);
    assert_int_equal(now.private_set - last->private_set, row.private_set);
    assert_int_equal(now.demand_zero - last->demand_zero, row.demand_zero);
    assert_int_equal(now.transition - last->transition, row.transition);
    assert_int_equal(now.hard - last->hard, row.hard);
    assert_int_equal(now.resident_available - last->resident_available, row.resident_available);
    *last = now;
}

static void the_worked_examples_hold(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    uint32_t file = must_add_file(m, MIB, 0, NULL);
    struct account last = take_account(m);

    must_reserve(m, BASE, MIB, NTMM_PAGE_READWRITE);
    assert_row(m, &last, (struct account){.virtual_size = 256});
    must_commit(m, BASE, KIB64, NTMM_PAGE_READWRITE);
    assert_row(m, &last, (struct account){.system_commit = 16, .commit = 16});
    must_read(m, BASE);
    assert_row(m, &last, (struct account){.working_set = 1, .private_set = 1, .demand_zero = 1});
    must_write(m, BASE, 7);
    assert_row(m, &last, (struct account){0});

    must_trim(m, BASE, PAGE);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_MODIFIED);
    assert_row(m, &last, (struct account){.working_set = -1, .private_set = -1});
    assert_int_equal(must_read(m, BASE), 7);
    assert_row(m, &last, (struct account){.working_set = 1, .private_set = 1, .transition = 1});

    must_trim(m, BASE, PAGE);
    must_write_modified(m, 1);
    must_finish_transfers(m);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_STANDBY);
    assert_int_equal(must_query_file(m, file).used_pages, 1);
    assert_row(m, &last, (struct account){.working_set = -1, .private_set = -1});

    page_out_everything(m->emu);
    assert_int_equal(must_read(m, BASE), 7);
    assert_row(m, &last, (struct account){.working_set = 1, .private_set = 1, .hard = 1});
    uint64_t slots = must_query_file(m, file).used_pages;
    assert_true(slots >= 1); /* the page's, kept while it is clean; tables may have some too */

    must_decommit(m, BASE, KIB64);
    assert_row(m, &last,
               (struct account){
                   .system_commit = -16, .commit = -16, .working_set = -1, .private_set = -1});
    assert_int_equal(must_query_file(m, file).used_pages, slots - 1);
    must_release(m, BASE, MIB);
    assert_row(m, &last, (struct account){.virtual_size = -256});
    machine_close(m);
}

/* What stays in memory by promise; where the fact sheet has a doubt, the process is charged. */
static void the_examples_of_promised_memory_hold(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 16 * MIB}};
    uint64_t frames[16], count = 16, base = BASE, size = 4 * PAGE;
    (void)state;
    struct machine *m = machine_open(&setup);
    struct account last = take_account(m);

    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &count, frames),
                     NTMM_STATUS_SUCCESS);
    assert_row(m, &last,
               (struct account){.system_commit = 16, .commit = 16, .resident_available = -16});
    assert_int_equal(ntmm_free_user_physical_pages(m->system, m->process, &count, frames),
                     NTMM_STATUS_SUCCESS);
    assert_row(m, &last,
               (struct account){.system_commit = -16, .commit = -16, .resident_available = 16});

    assert_int_equal(try_allocate(m, BASE + GIB, 2 * MIB,
                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES,
                                  NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    assert_row(
        m, &last,
        (struct account){
            .virtual_size = 512, .system_commit = 512, .commit = 512, .resident_available = -512});
    must_release(m, BASE + GIB, 0);
    assert_row(m, &last,
               (struct account){.virtual_size = -512,
                                .system_commit = -512,
                                .commit = -512,
                                .resident_available = 512});

    must_allocate(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    last = take_account(m);
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
    struct account now = take_account(m);
    assert_int_equal(now.working_set - last.working_set, 4);
    assert_int_equal(now.resident_available, last.resident_available);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_of_process_classes_match_exactly),
        cmocka_unit_test(process_checks_come_in_order),
        cmocka_unit_test(either_right_to_query_will_do),
        cmocka_unit_test(vm_counters_have_nts_layout),
        cmocka_unit_test(quota_limits_default_to_nts),
        cmocka_unit_test(system_classes_say_what_they_need),
        cmocka_unit_test(basic_information_has_nts_layout),
        cmocka_unit_test(performance_counts_what_happened),
        cmocka_unit_test(memory_lists_are_counted_by_priority),
        cmocka_unit_test(page_files_are_listed_with_names),
        cmocka_unit_test(the_worked_examples_hold),
        cmocka_unit_test(the_examples_of_promised_memory_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
