/*
 * The embedder's frames at an address: buffers that processors share with it, devices that it
 * answers for, and what services make of such a region.
 */
#include "unit/storage.h"

#include "paging/page_out.h"
#include "space/borrowed.h"

#include <ntmm/access.h>
#include <ntmm/borrow.h>
#include <ntmm/memory.h>
#include <ntmm/query.h>
#include <ntmm/snapshot.h>

#define BUFFER_PAGES 16u
#define BUFFER_BYTES (BUFFER_PAGES * PAGE)

struct lent {
    uint64_t *words; /* the buffer */
    uint64_t first_frame;
};

static struct lent lend(struct machine *m)
{
    struct lent l = {.words = aligned_alloc(PAGE, BUFFER_BYTES)};
    assert_non_null(l.words);
    for (uint64_t i = 0; i < BUFFER_BYTES / 8; i++)
        l.words[i] = i;
    assert_int_equal(ntmm_emulated_lend(m->emu, l.words, BUFFER_BYTES, &l.first_frame),
                     NTMM_STATUS_SUCCESS);
    return l;
}

static ntmm_status try_map(struct machine *m, uint64_t base, uint64_t size, uint32_t protect,
                           uint64_t first_frame)
{
    return ntmm_map_borrowed(m->system, m->process, &base, &size, protect, first_frame);
}

static void must_map(struct machine *m, uint64_t base, uint64_t size, uint32_t protect,
                     uint64_t first_frame)
{
    assert_int_equal(try_map(m, base, size, protect, first_frame), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
}

static void must_unmap(struct machine *m, uint64_t va)
{
    assert_int_equal(ntmm_unmap_borrowed(m->system, m->process, va), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
}

static void the_processor_and_the_embedder_share_bytes(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    (void)state;
    uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
    must_map(m, BASE, BUFFER_BYTES, NTMM_PAGE_READWRITE, l.first_frame);
    assert_int_equal(must_read(m, BASE + 3 * PAGE + 8), 3 * 512 + 1);
    must_write(m, BASE + 5 * PAGE, 0x1234);
    assert_int_equal(l.words[5 * 512], 0x1234);
    l.words[5 * 512] = 0x5678;
    assert_int_equal(must_read(m, BASE + 5 * PAGE), 0x5678);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
    must_unmap(m, BASE + PAGE);
    uint64_t value;
    assert_int_equal(try_read(m, BASE, &value), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(l.words[5 * 512], 0x5678);
    machine_close(m);
    free(l.words);
}

static uint64_t bump(struct machine *m, uint32_t cpu, uint64_t va)
{
    uint64_t value;
    assert_int_equal(ntmm_emulated_load(m->emu, cpu, va, &value, 8, NULL, NULL),
                     NTMM_STATUS_SUCCESS);
    value++;
    assert_int_equal(ntmm_emulated_store(m->emu, cpu, va, &value, 8, NULL, NULL),
                     NTMM_STATUS_SUCCESS);
    return value;
}

/* The same frames twice in one process, once in another, at different offsets. */
static void aliases_are_the_same_bytes(void **state)
{
    const struct machine_setup setup = {.hardware = {.cpu_count = 2}};
    struct machine *m = machine_open(&setup);
    struct lent l = lend(m);
    uint64_t base = 0, size = 2 * PAGE;
    (void)state;
    ntmm_handle other = machine_add_process(m);
    must_map(m, BASE, BUFFER_BYTES, NTMM_PAGE_READWRITE, l.first_frame);
    must_map(m, BASE + MIB, 4 * PAGE, NTMM_PAGE_READWRITE, l.first_frame + 6);
    assert_int_equal(
        ntmm_map_borrowed(m->system, other, &base, &size, NTMM_PAGE_READWRITE, l.first_frame + 7),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_attach(m->emu, 1, other), NTMM_STATUS_SUCCESS);
    l.words[7 * 512] = 10;
    assert_int_equal(bump(m, 0, BASE + 7 * PAGE), 11);
    assert_int_equal(bump(m, 0, BASE + MIB + PAGE), 12);
    assert_int_equal(bump(m, 1, base), 13);
    assert_int_equal(bump(m, 0, BASE + 7 * PAGE), 14);
    assert_int_equal(l.words[7 * 512], 14);
    assert_int_equal(ntmm_end_process(m->system, other), NTMM_STATUS_SUCCESS);
    assert_int_equal(bump(m, 0, BASE + MIB + PAGE), 15);
    machine_close(m); /* with regions mapped */
    free(l.words);
}

static void arguments_are_checked_in_order(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    uint64_t base = BASE, size = PAGE;
    const uint64_t frame = l.first_frame;
    (void)state;
    /* each call also has every later fault */
    assert_int_equal(ntmm_map_borrowed(m->system, 0, NULL, &size, 3, 1),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(ntmm_map_borrowed(m->system, 0, NULL, &size, NTMM_PAGE_READWRITE, 1),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_map_borrowed(m->system, 0, &base, NULL, NTMM_PAGE_READWRITE, 1),
                     NTMM_STATUS_ACCESS_VIOLATION);
    size = 0;
    base = NTMM_HIGHEST_VAD_ADDRESS + 1;
    assert_int_equal(
        ntmm_map_borrowed(m->system, 0, &base, &size, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD, 1),
        NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(ntmm_map_borrowed(m->system, 0, &base, &size, NTMM_PAGE_READWRITE, 1),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    base = BASE;
    assert_int_equal(ntmm_map_borrowed(m->system, 0, &base, &size, NTMM_PAGE_READWRITE, 1),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    size = NTMM_HIGHEST_VAD_ADDRESS;
    assert_int_equal(ntmm_map_borrowed(m->system, 0, &base, &size, NTMM_PAGE_READWRITE, 1),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    assert_int_equal(try_map(m, PAGE, PAGE, NTMM_PAGE_READWRITE, 1),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(try_map(m, BASE, PAGE, NTMM_PAGE_READWRITE, 1),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    assert_int_equal(try_map(m, BASE + MIB, PAGE, NTMM_PAGE_READWRITE, 1),
                     NTMM_STATUS_INVALID_PARAMETER_6);
    assert_int_equal(try_map(m, BASE + MIB, 2 * PAGE, NTMM_PAGE_READWRITE,
                             (UINT64_C(1) << 34) - 1), /* past the end of 46 bits */
                     NTMM_STATUS_INVALID_PARAMETER_6);
    size = PAGE;
    assert_int_equal(ntmm_map_borrowed(m->system, 0, &base, &size, NTMM_PAGE_READWRITE, frame),
                     NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(base, BASE);
    assert_int_equal(size, PAGE);
    assert_int_equal(ntmm_unmap_borrowed(m->system, 0, BASE), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_unmap_borrowed(m->system, m->process, BASE), NTMM_STATUS_NOT_MAPPED_VIEW);
    assert_int_equal(ntmm_unmap_borrowed(m->system, m->process, BASE + MIB),
                     NTMM_STATUS_NOT_MAPPED_VIEW);
    machine_close(m);
    free(l.words);
}

static void handles_and_charges_are_checked(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    const ntmm_handle without = m->process | (uint64_t)NTMM_PROCESS_VM_OPERATION << 12;
    const ntmm_handle wrong = m->process ^ UINT64_C(3) << 56;
    uint64_t base = BASE, size = PAGE;
    (void)state;
    assert_int_equal(
        ntmm_map_borrowed(m->system, wrong, &base, &size, NTMM_PAGE_READWRITE, l.first_frame),
        NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_unmap_borrowed(m->system, wrong, BASE), NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(
        ntmm_map_borrowed(m->system, without, &base, &size, NTMM_PAGE_READWRITE, l.first_frame),
        NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_unmap_borrowed(m->system, without, BASE), NTMM_STATUS_ACCESS_DENIED);
    set32(&machine_object(m)->state, PROCESS_ENDING);
    assert_int_equal(try_map(m, BASE, PAGE, NTMM_PAGE_READWRITE, l.first_frame),
                     NTMM_STATUS_PROCESS_IS_TERMINATING);
    assert_int_equal(ntmm_unmap_borrowed(m->system, m->process, BASE),
                     NTMM_STATUS_PROCESS_IS_TERMINATING);
    set32(&machine_object(m)->state, PROCESS_LIVE);

    struct partition *partition = machine_partition(m);
    uint64_t limit = get64(&partition->commit_limit);
    for (uint64_t room = 0; room < 3; room++) { /* tables at three levels */
        set64(&partition->commit_limit, get64(&partition->commit) + room);
        assert_int_equal(try_map(m, BASE, PAGE, NTMM_PAGE_READWRITE, l.first_frame),
                         NTMM_STATUS_COMMITMENT_LIMIT);
    }
    set64(&partition->commit_limit, limit);
    machine_assert_sound(m);
    assert_int_equal(machine_process(m).table_pages, 1);
    machine_close(m);
    free(l.words);
}

static void sizes_are_rounded(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    uint64_t base = BASE + PAGE + 5, size = 1;
    (void)state;
    assert_int_equal(
        ntmm_map_borrowed(m->system, m->process, &base, &size, NTMM_PAGE_READONLY, l.first_frame),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(base, BASE);
    assert_int_equal(size, 2 * PAGE);
    assert_int_equal(must_read(m, BASE + PAGE), 512);
    machine_close(m);
    free(l.words);
}

static void a_query_says_mapped_and_committed(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    (void)state;
    struct ntmm_process_information before = machine_process(m);
    must_map(m, BASE, BUFFER_BYTES, NTMM_PAGE_READWRITE, l.first_frame);
    struct ntmm_memory_basic_information i = must_query(m, BASE + 2 * PAGE);
    assert_int_equal(i.base_address, BASE + 2 * PAGE);
    assert_int_equal(i.allocation_base, BASE);
    assert_int_equal(i.allocation_protect, NTMM_PAGE_READWRITE);
    assert_int_equal(i.region_size, BUFFER_BYTES - 2 * PAGE);
    assert_int_equal(i.state, NTMM_MEM_COMMIT);
    assert_int_equal(i.protect, NTMM_PAGE_READWRITE);
    assert_int_equal(i.type, NTMM_MEM_MAPPED);
    struct ntmm_process_information after = machine_process(m);
    assert_int_equal(after.commit_pages, before.commit_pages);
    assert_int_equal(after.working_set_pages, before.working_set_pages);
    assert_int_equal(after.virtual_size_bytes, before.virtual_size_bytes + BUFFER_BYTES);
    must_unmap(m, BASE);
    assert_int_equal(must_query(m, BASE).state, NTMM_MEM_FREE);
    assert_int_equal(machine_process(m).table_pages, before.table_pages);
    machine_close(m);
    free(l.words);
}

static void protection_stays_within_what_was_given(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    uint64_t value;
    (void)state;
    must_map(m, BASE, BUFFER_BYTES, NTMM_PAGE_READWRITE, l.first_frame);
    assert_int_equal(must_protect(m, BASE + PAGE, 2 * PAGE, NTMM_PAGE_READONLY),
                     NTMM_PAGE_READWRITE);
    machine_assert_sound(m);
    assert_int_equal(must_query(m, BASE).region_size, PAGE);
    assert_int_equal(must_query(m, BASE + PAGE).protect, NTMM_PAGE_READONLY);
    assert_int_equal(must_query(m, BASE + PAGE).region_size, 2 * PAGE);
    assert_int_equal(must_read(m, BASE + PAGE), 512);
    assert_int_equal(try_write(m, BASE + PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_NOACCESS), NTMM_PAGE_READONLY);
    machine_assert_sound(m);
    assert_int_equal(try_read(m, BASE + PAGE, &value), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(must_query(m, BASE + PAGE).protect, NTMM_PAGE_NOACCESS);
    assert_int_equal(must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_READWRITE), NTMM_PAGE_NOACCESS);
    must_write(m, BASE + PAGE, 77);
    assert_int_equal(l.words[512], 77);
    assert_int_equal(try_protect(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ),
                     NTMM_STATUS_SECTION_PROTECTION);
    assert_int_equal(try_protect(m, BASE, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    must_map(m, BASE + MIB, PAGE, NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_NOCACHE, l.first_frame);
    assert_int_equal(must_query(m, BASE + MIB).protect, NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_NOCACHE);
    assert_int_equal(try_execute(m, BASE + MIB), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_protect(m, BASE + MIB, PAGE, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SECTION_PROTECTION);
    machine_close(m);
    free(l.words);
}

/* What is about a working set has nothing to do here, and does nothing. */
static void ignore_hints(struct machine *m)
{
    const struct ntmm_memory_range_entry range = {BASE, BUFFER_BYTES};
    const uint32_t classes[] = {NTMM_VM_PAGE_PRIORITY_INFORMATION, NTMM_VM_PREFETCH_INFORMATION,
                                NTMM_VM_REMOVE_FROM_WORKING_SET_INFORMATION};
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t value = classes[i] == NTMM_VM_PAGE_PRIORITY_INFORMATION ? 3 : 0;
        assert_int_equal(ntmm_set_information_virtual_memory(m->system, m->process, classes[i], 1,
                                                             &range, &value, sizeof value),
                         NTMM_STATUS_SUCCESS);
    }
    struct ntmm_memory_page_information page = {BASE + PAGE, 0};
    assert_int_equal(ntmm_query_virtual_memory_class(m->system, m->process, 0,
                                                     NTMM_MEMORY_WORKING_SET_EX_INFORMATION, &page,
                                                     sizeof page, NULL),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(page.attributes & NTMM_PAGE_STATE_VALID, NTMM_PAGE_STATE_VALID);
}

static void other_services_refuse_it(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    uint64_t base = BASE, size = PAGE;
    (void)state;
    must_map(m, BASE, BUFFER_BYTES, NTMM_PAGE_READWRITE, l.first_frame);
    assert_int_equal(try_free(m, BASE, 0, NTMM_MEM_RELEASE), NTMM_STATUS_UNABLE_TO_DELETE_SECTION);
    assert_int_equal(try_free(m, BASE, PAGE, NTMM_MEM_DECOMMIT),
                     NTMM_STATUS_UNABLE_TO_DELETE_SECTION);
    assert_int_equal(try_allocate(m, BASE, PAGE, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    assert_int_equal(try_allocate(m, BASE, PAGE, NTMM_MEM_RESET, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_INCOMPATIBLE_FILE_MAP);
    assert_int_equal(
        ntmm_unlock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_NOT_LOCKED);
    ignore_hints(m);
    machine_assert_sound(m);
    assert_int_equal(must_read(m, BASE + 8), 1);
    machine_close(m);
    free(l.words);
}

static void read_and_write_reach_the_buffer(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    uint64_t bytes[600], copied;
    (void)state;
    must_map(m, BASE, BUFFER_BYTES, NTMM_PAGE_READWRITE, l.first_frame);
    must_allocate(m, BASE + MIB, 2 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(ntmm_read_virtual_memory(m->system, m->process, BASE + PAGE - 64, bytes,
                                              sizeof bytes, &copied),
                     NTMM_STATUS_SUCCESS);
    assert_memory_equal(bytes, &l.words[512 - 8], sizeof bytes);
    memset(bytes, 0x3C, sizeof bytes);
    assert_int_equal(ntmm_write_virtual_memory(m->system, m->process, BASE + 4 * PAGE - 8, bytes,
                                               sizeof bytes, &copied),
                     NTMM_STATUS_SUCCESS);
    assert_memory_equal(bytes, &l.words[4 * 512 - 1], sizeof bytes);
    assert_int_equal(ntmm_copy_virtual_memory(m->system, m->process, BASE + 4 * PAGE, m->process,
                                              BASE + MIB, 2 * PAGE, &copied),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(must_read(m, BASE + MIB + 8), l.words[4 * 512 + 1]);
    must_write(m, BASE + MIB + PAGE, 99);
    assert_int_equal(ntmm_copy_virtual_memory(m->system, m->process, BASE + MIB, m->process, BASE,
                                              2 * PAGE, &copied),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(l.words[512], 99);
    machine_assert_sound(m);
    machine_close(m);
    free(l.words);
}

/* Under the harshest pressure the region stays as it is, beside pages that go. */
static void it_is_never_paged(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    (void)state;
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_allocate(m, BASE + BUFFER_BYTES, 32 * PAGE, NTMM_PAGE_READWRITE);
    must_map(m, BASE, BUFFER_BYTES, NTMM_PAGE_READWRITE, l.first_frame);
    must_map(m, BASE + 64 * MIB, BUFFER_BYTES, NTMM_PAGE_READWRITE, l.first_frame);
    must_fill(m, BASE + BUFFER_BYTES, 32 * PAGE);
    (void)must_protect(m, BASE + 64 * MIB, BUFFER_BYTES, NTMM_PAGE_NOACCESS); /* its table may go */
    for (uint32_t round = 0; round < 3; round++) {
        page_out_everything(m->emu);
        machine_assert_sound(m);
        assert_int_equal(machine_process(m).working_set_pages, 0);
        uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
        assert_int_equal(must_read(m, BASE + 2 * PAGE), 2 * 512);
        assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
        assert_int_equal(must_query(m, BASE + 64 * MIB + PAGE).protect, NTMM_PAGE_NOACCESS);
        page_out_everything(m->emu);
        if (round == 1)
            (void)must_protect(m, BASE + 64 * MIB, PAGE, NTMM_PAGE_READONLY);
    }
    assert_int_equal(must_read(m, BASE + 64 * MIB + 16), 2);
    must_hold(m, BASE + BUFFER_BYTES, 32 * PAGE);
    page_out_everything(m->emu);
    must_unmap(m, BASE + 64 * MIB);
    must_unmap(m, BASE);
    machine_close(m);
    free(l.words);
}

/* Out of frames at the 1st, 2nd ... allocation: nothing is left of the attempt. */
static void shortage_changes_nothing(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    (void)state;
    struct ntmm_memory_information before = machine_memory(m);
    uint64_t tables = machine_process(m).table_pages;
    uint32_t failed = 0;
    for (uint64_t after = 0;; after++) {
        m->system->failures.after = after;
        m->system->failures.count = 1;
        ntmm_status status =
            try_map(m, BASE + 2 * MIB - KIB64, BUFFER_BYTES, NTMM_PAGE_READWRITE, l.first_frame);
        m->system->failures.count = 0;
        if (status == NTMM_STATUS_SUCCESS)
            break;
        assert_int_equal(status, NTMM_STATUS_NO_MEMORY);
        machine_assert_sound(m);
        assert_int_equal(machine_memory(m).commit_pages, before.commit_pages);
        assert_int_equal(machine_process(m).table_pages, tables);
        failed++;
    }
    assert_true(failed >= 3); /* tables at three levels, and perhaps the region's own frames */
    machine_close(m);
    free(l.words);
}

static void the_checker_looks_at_its_entries(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    (void)state;
    must_map(m, BASE, BUFFER_BYTES, NTMM_PAGE_READONLY, l.first_frame);
    le64 *entry = machine_entry(m, BASE + PAGE, 1);
    uint64_t saved = get64(entry);
    set64(entry, saved | FIELD_MASK(HW_DIRTY1));
    machine_assert_broken(m, "V7", BASE + PAGE);
    set64(entry, saved + PAGE);
    machine_assert_broken(m, "V7", BASE + PAGE);
    set64(entry, saved & ~ENTRY_BORROWED);
    machine_assert_broken(m, "V7", BASE + PAGE);
    set64(entry, entry_software(PROT_READONLY));
    machine_assert_broken(m, "V9", BASE + PAGE);
    set64(entry, saved);
    machine_close(m);
    free(l.words);
}

/* --- devices --- */

#define DEVICE_LOG 64u

struct device {
    uint64_t registers[1024];
    uint32_t count;
    struct {
        uint64_t address, value;
        uint32_t size;
        bool is_write;
    } log[DEVICE_LOG];
    uint64_t base;
};

static void log_access(struct device *d, uint64_t address, uint32_t size, uint64_t value,
                       bool is_write)
{
    assert_true(d->count < DEVICE_LOG);
    assert_int_equal(address % size, 0);
    d->log[d->count].address = address - d->base;
    d->log[d->count].value = value;
    d->log[d->count].size = size;
    d->log[d->count++].is_write = is_write;
}

static uint64_t read_device(void *context, uint64_t address, uint32_t size)
{
    struct device *d = context;
    uint64_t value = 0;
    memcpy(&value, (uint8_t *)d->registers + (address - d->base), size);
    value = machine_word(value);
    log_access(d, address, size, value, false);
    return value;
}

static void write_device(void *context, uint64_t address, uint32_t size, uint64_t value)
{
    struct device *d = context;
    uint64_t bytes = machine_word(value);
    memcpy((uint8_t *)d->registers + (address - d->base), &bytes, size);
    log_access(d, address, size, value, true);
}

static void add_device(struct machine *m, struct device *d, uint64_t *frame)
{
    const struct ntmm_emulated_device device = {
        .size = sizeof device, .read = read_device, .write = write_device, .context = d};
    assert_int_equal(ntmm_emulated_map_io(m->emu, &device, 2 * PAGE, frame), NTMM_STATUS_SUCCESS);
    d->base = *frame << NTMM_PAGE_SHIFT;
}

static void must_have_logged(struct device *d, uint32_t i, uint64_t address, uint32_t size,
                             bool is_write)
{
    assert_true(i < d->count);
    assert_int_equal(d->log[i].address, address);
    assert_int_equal(d->log[i].size, size);
    assert_int_equal(d->log[i].is_write, is_write);
}

static bool increment(void *bytes, uint32_t size, void *context)
{
    (void)context;
    assert_int_equal(size, 4);
    ++*(uint8_t *)bytes;
    return true;
}

static void devices_see_each_access(void **state)
{
    struct machine *m = machine_open(NULL);
    static struct device d;
    uint64_t frame = 0;
    uint8_t odd[11];
    (void)state;
    d = (struct device){.count = 0};
    add_device(m, &d, &frame);
    must_map(m, BASE, 2 * PAGE, NTMM_PAGE_READWRITE, frame);
    struct ntmm_cpu *cpu = ntmm_emulated_cpu(m->emu, 0);
    uint32_t value32;
    uint16_t value16;
    must_write(m, BASE + 16, machine_word(0x1122334455667788u));
    assert_int_equal(must_read(m, BASE + 16), machine_word(0x1122334455667788u));
    assert_int_equal(ntmm_cpu_read32(cpu, BASE + 20, &value32), NTMM_CPU_OK); /* always a miss */
    assert_int_equal(value32, 0x11223344);
    assert_int_equal(ntmm_cpu_read16(cpu, BASE + 18, &value16), NTMM_CPU_OK);
    assert_int_equal(value16, 0x5566);
    assert_int_equal(ntmm_cpu_write8(cpu, BASE + 17, 0xEE), NTMM_CPU_OK);
    must_have_logged(&d, 0, 16, 8, true);
    must_have_logged(&d, 1, 16, 8, false);
    must_have_logged(&d, 2, 20, 4, false);
    must_have_logged(&d, 3, 18, 2, false);
    must_have_logged(&d, 4, 17, 1, true);
    assert_int_equal(d.count, 5);
    assert_int_equal(d.registers[2], machine_word(0x112233445566EE88u));

    d.count = 0; /* 11 bytes from 4091: 1, 4 | 4, 2 over the end of a page */
    assert_int_equal(ntmm_emulated_load(m->emu, 0, BASE + PAGE - 5, odd, sizeof odd, NULL, NULL),
                     NTMM_STATUS_SUCCESS);
    must_have_logged(&d, 0, PAGE - 5, 1, false);
    must_have_logged(&d, 1, PAGE - 4, 4, false);
    must_have_logged(&d, 2, PAGE, 4, false);
    must_have_logged(&d, 3, PAGE + 4, 2, false);
    assert_int_equal(d.count, 4);

    d.count = 0;
    assert_int_equal(ntmm_emulated_update(m->emu, 0, BASE + 16, 4, increment, NULL, NULL, NULL),
                     NTMM_STATUS_SUCCESS);
    must_have_logged(&d, 0, 16, 4, false);
    must_have_logged(&d, 1, 16, 4, true);
    assert_int_equal(d.registers[2], machine_word(0x112233445566EE89u));

    uint64_t word, copied;
    assert_int_equal(ntmm_read_virtual_memory(m->system, m->process, BASE, &word, 8, &copied),
                     NTMM_STATUS_INVALID_PARAMETER);
    machine_close(m);
}

/* A denied access does not reach the device; nor does a page beside it that faults. */
static void devices_see_no_access_that_faults(void **state)
{
    struct machine *m = machine_open(NULL);
    static struct device d;
    uint64_t frame = 0, bytes[2] = {0};
    (void)state;
    d = (struct device){.count = 0};
    add_device(m, &d, &frame);
    must_map(m, BASE, PAGE, NTMM_PAGE_READONLY, frame);
    assert_int_equal(try_write(m, BASE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_emulated_load(m->emu, 0, BASE + PAGE - 8, bytes, 16, NULL, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(d.count, 0);
    machine_close(m);
}

static void what_is_lent_is_checked(void **state)
{
    const struct machine_setup setup = {.hardware = {.physical_address_bits = 36}};
    struct machine *m = machine_open(&setup);
    struct lent l = lend(m);
    struct ntmm_emulated_device device = {.size = sizeof device, .read = read_device};
    uint64_t frame = 0, value;
    (void)state;
    assert_int_equal(l.first_frame, GIB >> 12); /* RAM ends below the first GiB */
    assert_int_equal(ntmm_emulated_lend(m->emu, NULL, PAGE, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_lend(m->emu, (uint8_t *)l.words + 8, PAGE, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_lend(m->emu, l.words, PAGE + 8, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(ntmm_emulated_lend(m->emu, l.words, 0, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    frame = 5;
    assert_int_equal(ntmm_emulated_lend(m->emu, l.words, PAGE, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    frame = l.first_frame + BUFFER_PAGES - 1;
    assert_int_equal(ntmm_emulated_lend(m->emu, l.words, PAGE, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    frame = (UINT64_C(1) << 52) + l.first_frame + BUFFER_PAGES; /* its address has 65 bits */
    assert_int_equal(ntmm_emulated_lend(m->emu, l.words, PAGE, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    frame = (UINT64_C(1) << 24) - 1;
    assert_int_equal(ntmm_emulated_lend(m->emu, l.words, 2 * PAGE, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    assert_int_equal(ntmm_emulated_map_io(m->emu, &device, PAGE, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    device.size = 1;
    assert_int_equal(ntmm_emulated_map_io(m->emu, &device, PAGE, &frame),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    frame = 0;
    for (uint32_t i = 1; i < NTMM_EMULATED_MAXIMUM_LENT; i++, frame = 0)
        assert_int_equal(ntmm_emulated_lend(m->emu, l.words, PAGE, &frame), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_lend(m->emu, l.words, PAGE, &frame),
                     NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(ntmm_emulated_take_back(m->emu, 7), NTMM_STATUS_INVALID_PARAMETER_2);

    must_map(m, BASE, PAGE, NTMM_PAGE_READWRITE, l.first_frame);
    assert_int_equal(must_read(m, BASE), 0);
    ntmm_cpu_enter(ntmm_emulated_cpu(m->emu, 0));
    assert_int_equal(ntmm_emulated_take_back(m->emu, l.first_frame), NTMM_STATUS_CANT_WAIT);
    assert_int_equal(ntmm_emulated_lend(m->emu, l.words, PAGE, &frame),
                     NTMM_STATUS_INSUFFICIENT_RESOURCES);
    ntmm_cpu_leave(ntmm_emulated_cpu(m->emu, 0));
    assert_int_equal(ntmm_emulated_take_back(m->emu, l.first_frame), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_read(m, BASE, &value), NTMM_STATUS_INTERNAL_ERROR); /* a bus error */
    machine_close(m);
    free(l.words);
}

/* The buffer is the embedder's, whatever machine looks at it. */
static void forks_share_what_is_lent(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    struct ntmm_emulated *fork;
    uint64_t value = 41;
    (void)state;
    must_map(m, BASE, BUFFER_BYTES, NTMM_PAGE_READWRITE, l.first_frame);
    must_write(m, BASE, 40);
    assert_int_equal(ntmm_emulated_fork(m->emu, &fork), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_store(fork, 0, BASE, &value, 8, NULL, NULL),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(must_read(m, BASE), 41);
    assert_int_equal(ntmm_emulated_restore_snapshot(m->emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(must_read(m, BASE), 41);
    ntmm_emulated_destroy(fork, NULL);
    machine_close(m);
    free(l.words);
}

static void it_is_translated_like_any_page(void **state)
{
    struct ntmm_translation t = {.size = sizeof t};
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    (void)state;
    must_map(m, BASE, BUFFER_BYTES, NTMM_PAGE_READWRITE, l.first_frame);
    assert_int_equal(ntmm_translate(m->system, m->process, BASE + 3 * PAGE + 1,
                                    NTMM_TRANSLATE_READ | NTMM_TRANSLATE_WRITE, &t),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(t.physical_address, ((l.first_frame + 3) << NTMM_PAGE_SHIFT) + 1);
    assert_int_equal(t.run_bytes, (BUFFER_PAGES - 3) * PAGE);
    machine_close(m);
    free(l.words);
}

/* What public conformance tests see of KUSER_SHARED_DATA, and what they cannot do to it:
 * covers 3.3#shared */
static void the_shared_user_data_page_is_everybodys(void **state)
{
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    uint64_t base = NTMM_SHARED_USER_DATA_ADDRESS, size = 0, value = 0;
    uint32_t old;
    (void)state;
    assert_int_equal(ntmm_map_shared_user_data(m->system, m->process, 3),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(ntmm_map_shared_user_data(m->system, m->process, l.first_frame),
                     NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(ntmm_map_shared_user_data(m->system, m->process, l.first_frame),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    struct ntmm_memory_basic_information found = must_query(m, base);
    assert_int_equal(found.allocation_base, base);
    assert_int_equal(found.allocation_protect, NTMM_PAGE_READONLY);
    assert_int_equal(found.region_size, 0x1000);
    assert_int_equal(found.state, NTMM_MEM_COMMIT);
    assert_int_equal(found.protect, NTMM_PAGE_READONLY);
    assert_int_equal(found.type, NTMM_MEM_PRIVATE);
    l.words[1] = 77;
    assert_int_equal(ntmm_emulated_load(m->emu, 0, base + 8, &value, 8, NULL, NULL),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(value, 77);
    assert_int_equal(ntmm_emulated_store(m->emu, 0, base + 8, &value, 8, NULL, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(
        ntmm_free_virtual_memory(m->system, m->process, &base, &size, NTMM_MEM_RELEASE),
        NTMM_STATUS_INVALID_PAGE_PROTECTION);
    size = PAGE;
    assert_int_equal(
        ntmm_protect_virtual_memory(m->system, m->process, &base, &size, NTMM_PAGE_NOACCESS, &old),
        NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_allocate(m, base, PAGE, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(ntmm_unmap_borrowed(m->system, m->process, base), NTMM_STATUS_NOT_MAPPED_VIEW);
    machine_close(m);
    free(l.words);
}

/* Also where a 32-bit process cannot reserve any more. */
static void a_process_below_2_gib_has_it_too(void **state)
{
    const struct ntmm_process_config config = {
        .size = sizeof config, .version = NTMM_PROCESS_CONFIG_VERSION, .flags = NTMM_PROCESS_WOW64};
    struct machine *m = machine_open(NULL);
    struct lent l = lend(m);
    ntmm_handle process;
    (void)state;
    assert_int_equal(ntmm_create_process(m->system, &config, &process), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_map_shared_user_data(m->system, process, l.first_frame),
                     NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(ntmm_end_process(m->system, process), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    machine_close(m);
    free(l.words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_processor_and_the_embedder_share_bytes),
        cmocka_unit_test(aliases_are_the_same_bytes),
        cmocka_unit_test(arguments_are_checked_in_order),
        cmocka_unit_test(handles_and_charges_are_checked),
        cmocka_unit_test(sizes_are_rounded),
        cmocka_unit_test(a_query_says_mapped_and_committed),
        cmocka_unit_test(protection_stays_within_what_was_given),
        cmocka_unit_test(other_services_refuse_it),
        cmocka_unit_test(read_and_write_reach_the_buffer),
        cmocka_unit_test(it_is_never_paged),
        cmocka_unit_test(shortage_changes_nothing),
        cmocka_unit_test(the_checker_looks_at_its_entries),
        cmocka_unit_test(devices_see_each_access),
        cmocka_unit_test(devices_see_no_access_that_faults),
        cmocka_unit_test(what_is_lent_is_checked),
        cmocka_unit_test(forks_share_what_is_lent),
        cmocka_unit_test(it_is_translated_like_any_page),
        cmocka_unit_test(the_shared_user_data_page_is_everybodys),
        cmocka_unit_test(a_process_below_2_gib_has_it_too),
    };
    return cmocka_run_group_tests_name("borrowed", tests, NULL, NULL);
}
