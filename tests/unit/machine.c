/*
 * See machine.h. The accessors walk the tables by themselves and take no lock: one thread, and no
 * call in progress.
 */
#include "unit/machine.h"

#include "x64/formats.h"

#define DEFAULT_RAM_BYTES (4 * MIB)

static void create_emulator(struct machine *m, struct ntmm_emulated_config hardware)
{
    hardware.size = sizeof hardware;
    hardware.version = NTMM_EMULATED_CONFIG_VERSION;
    if (hardware.ram_bytes == 0)
        hardware.ram_bytes = DEFAULT_RAM_BYTES;
    assert_int_equal(ntmm_emulated_create(&hardware, &m->emu), NTMM_STATUS_SUCCESS);
}

static void create_system(struct machine *m, struct ntmm_config core)
{
    core.size = sizeof core;
    core.version = NTMM_CONFIG_VERSION;
    assert_int_equal(ntmm_emulated_create_system(m->emu, &core, &m->system), NTMM_STATUS_SUCCESS);
}

/* A fresh system promises nothing and holds nothing but its metadata. */
static void assert_fresh(struct machine *m)
{
    struct ntmm_memory_information memory = machine_memory(m);
    machine_assert_sound(m);
    assert_int_equal(memory.commit_pages, 0);
    assert_int_equal(memory.active_pages, 0);
    assert_int_equal(memory.zeroed_pages + memory.free_pages,
                     memory.total_pages - memory.metadata_pages);
}

struct machine *machine_open_bare(const struct machine_setup *setup)
{
    const struct machine_setup defaults = {0};
    struct machine *m = calloc(1, sizeof *m);
    assert_non_null(m);
    if (setup == NULL)
        setup = &defaults;
    create_emulator(m, setup->hardware);
    create_system(m, setup->core);
    assert_fresh(m);
    return m;
}

struct machine *machine_open(const struct machine_setup *setup)
{
    struct machine *m = machine_open_bare(setup);
    struct ntmm_process_config process = {0};
    if (setup != NULL)
        process = setup->process;
    process.size = sizeof process;
    process.version = NTMM_PROCESS_CONFIG_VERSION;
    assert_int_equal(ntmm_create_process(m->system, &process, &m->process), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_attach(m->emu, 0, m->process), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    return m;
}

void machine_close(struct machine *m)
{
    struct ntmm_teardown left;
    machine_assert_sound(m);
    ntmm_emulated_destroy(m->emu, &left);
    assert_int_equal(left.lost_pages, 0);
    assert_int_equal(left.outstanding_commit, 0);
    assert_int_equal(left.live_objects, 0);
    assert_int_equal(left.waiters, 0);
    assert_int_equal(left.transfers, 0);
    free(m->scratch);
    free(m);
}

ntmm_handle machine_add_process(struct machine *m)
{
    ntmm_handle process = 0;
    assert_int_equal(ntmm_create_process(m->system, NULL, &process), NTMM_STATUS_SUCCESS);
    return process;
}

/* What the checker needs grows with the page files. */
static void fit_scratch(struct machine *m)
{
    size_t size = ntmm_check_scratch_size(m->system);
    if (size <= m->scratch_size)
        return;
    free(m->scratch);
    m->scratch = malloc(size);
    assert_non_null(m->scratch);
    m->scratch_size = size;
}

ntmm_status machine_check(struct machine *m)
{
    fit_scratch(m);
    return ntmm_check_with_storage(m->system, m->scratch, m->scratch_size, ntmm_emulated_read_disk,
                                   m->emu, &m->report);
}

ntmm_status machine_check_without_storage(struct machine *m)
{
    fit_scratch(m);
    return ntmm_check(m->system, m->scratch, m->scratch_size, &m->report);
}

void machine_assert_sound(struct machine *m)
{
    ntmm_status status = machine_check(m);
    if (status != NTMM_STATUS_SUCCESS) {
        fail_msg("%s is broken: object %llx, counted %llx, found %llx", m->report.invariant,
                 (unsigned long long)m->report.object, (unsigned long long)m->report.expected,
                 (unsigned long long)m->report.found);
    }
    assert_string_equal(m->report.invariant, "");
}

static void expect_broken(struct machine *m, ntmm_status status, const char *invariant,
                          uint64_t object)
{
    assert_int_equal(status, NTMM_STATUS_INTERNAL_ERROR);
    assert_string_equal(m->report.invariant, invariant);
    assert_int_equal(m->report.object, object);
    assert_true(m->report.expected != m->report.found);
}

void machine_assert_broken(struct machine *m, const char *invariant, uint64_t object)
{
    expect_broken(m, machine_check(m), invariant, object);
}

void machine_assert_broken_blind(struct machine *m, const char *invariant, uint64_t object)
{
    expect_broken(m, machine_check_without_storage(m), invariant, object);
}

ntmm_status try_allocate(struct machine *m, uint64_t base, uint64_t size, uint32_t type,
                         uint32_t protect)
{
    return ntmm_allocate_virtual_memory(m->system, m->process, &base, 0, &size, type, protect);
}

ntmm_status try_free(struct machine *m, uint64_t base, uint64_t size, uint32_t type)
{
    return ntmm_free_virtual_memory(m->system, m->process, &base, &size, type);
}

ntmm_status try_protect(struct machine *m, uint64_t base, uint64_t size, uint32_t protect)
{
    uint32_t old;
    return ntmm_protect_virtual_memory(m->system, m->process, &base, &size, protect, &old);
}

void must_reserve(struct machine *m, uint64_t base, uint64_t size, uint32_t protect)
{
    assert_int_equal(try_allocate(m, base, size, NTMM_MEM_RESERVE, protect), NTMM_STATUS_SUCCESS);
}

void must_commit(struct machine *m, uint64_t base, uint64_t size, uint32_t protect)
{
    assert_int_equal(try_allocate(m, base, size, NTMM_MEM_COMMIT, protect), NTMM_STATUS_SUCCESS);
}

void must_allocate(struct machine *m, uint64_t base, uint64_t size, uint32_t protect)
{
    assert_int_equal(try_allocate(m, base, size, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, protect),
                     NTMM_STATUS_SUCCESS);
}

void must_decommit(struct machine *m, uint64_t base, uint64_t size)
{
    assert_int_equal(try_free(m, base, size, NTMM_MEM_DECOMMIT), NTMM_STATUS_SUCCESS);
}

void must_release(struct machine *m, uint64_t base, uint64_t size)
{
    assert_int_equal(try_free(m, base, size, NTMM_MEM_RELEASE), NTMM_STATUS_SUCCESS);
}

uint32_t must_protect(struct machine *m, uint64_t base, uint64_t size, uint32_t protect)
{
    uint32_t old = 0;
    assert_int_equal(
        ntmm_protect_virtual_memory(m->system, m->process, &base, &size, protect, &old),
        NTMM_STATUS_SUCCESS);
    return old;
}

struct ntmm_memory_basic_information must_query(struct machine *m, uint64_t va)
{
    struct ntmm_memory_basic_information information;
    assert_int_equal(ntmm_query_virtual_memory(m->system, m->process, va, &information),
                     NTMM_STATUS_SUCCESS);
    return information;
}

ntmm_status try_read(struct machine *m, uint64_t va, uint64_t *value)
{
    return ntmm_emulated_load(m->emu, 0, va, value, sizeof *value, m->stack, &m->fault);
}

ntmm_status try_write(struct machine *m, uint64_t va, uint64_t value)
{
    return ntmm_emulated_store(m->emu, 0, va, &value, sizeof value, m->stack, &m->fault);
}

ntmm_status try_execute(struct machine *m, uint64_t va)
{
    uint8_t byte;
    return ntmm_emulated_fetch(m->emu, 0, va, &byte, sizeof byte, m->stack, &m->fault);
}

uint64_t must_read(struct machine *m, uint64_t va)
{
    uint64_t value = 0;
    assert_int_equal(try_read(m, va, &value), NTMM_STATUS_SUCCESS);
    return value;
}

void must_write(struct machine *m, uint64_t va, uint64_t value)
{
    assert_int_equal(try_write(m, va, value), NTMM_STATUS_SUCCESS);
}

void must_fill(struct machine *m, uint64_t base, uint64_t size)
{
    for (uint64_t va = base; va < base + size; va += PAGE)
        must_write(m, va, va);
}

void must_hold(struct machine *m, uint64_t base, uint64_t size)
{
    for (uint64_t va = base; va < base + size; va += PAGE)
        assert_int_equal(must_read(m, va), va);
}

uint64_t machine_counter(struct machine *m, enum ntmm_counter counter)
{
    uint64_t values[NTMM_COUNTER_COUNT];
    ntmm_query_counters(m->system, values, NTMM_COUNTER_COUNT);
    return values[counter];
}

struct ntmm_process_information machine_process(struct machine *m)
{
    struct ntmm_process_information information;
    assert_int_equal(ntmm_query_process(m->system, m->process, &information), NTMM_STATUS_SUCCESS);
    return information;
}

struct ntmm_memory_information machine_memory(struct machine *m)
{
    struct ntmm_memory_information information;
    ntmm_query_memory(m->system, &information);
    return information;
}

struct call machine_call(struct machine *m) { return call_begin(m->system); }

struct anchor *machine_anchor(struct machine *m)
{
    struct call c = machine_call(m);
    return anchor_of(&c);
}

struct partition *machine_partition(struct machine *m) { return &machine_anchor(m)->partition; }

void machine_set_commit_limit(struct machine *m, uint64_t pages)
{
    struct partition *partition = machine_partition(m);
    uint64_t difference = pages - get64(&partition->commit_limit);
    set64(&partition->commit_limit, pages);
    set64(&partition->commit_extra, get64(&partition->commit_extra) + difference);
}

struct process *machine_object(struct machine *m)
{
    struct call c = machine_call(m);
    return process_in_slot(&c, (uint32_t)m->process);
}

struct vad *machine_vad(struct machine *m, uint64_t va)
{
    struct call c = machine_call(m);
    uint64_t ref = gap_tree_find(c.bias, &machine_object(m)->vads, va >> NTMM_PAGE_SHIFT);
    assert_true(ref != 0);
    return vad_at(&c, ref);
}

uint64_t machine_table_frame(struct machine *m, uint64_t va, uint32_t level)
{
    struct call c = machine_call(m);
    uint64_t frame = get64(&machine_object(m)->root_frame);
    for (uint32_t l = m->system->levels; l > level; l--) {
        uint64_t entry = get64((le64 *)table_at(&c, frame) + x64_index(va, l));
        assert_true(entry & FIELD_MASK(HW_VALID));
        frame = field_get(entry, HW_FRAME);
    }
    return frame;
}

le64 *machine_entry(struct machine *m, uint64_t va, uint32_t level)
{
    struct call c = machine_call(m);
    return (le64 *)table_at(&c, machine_table_frame(m, va, level)) + x64_index(va, level);
}

uint64_t machine_frame(struct machine *m, uint64_t va)
{
    uint64_t raw = get64(machine_entry(m, va, 1));
    if (raw & FIELD_MASK(HW_VALID))
        return field_get(raw, HW_FRAME);
    uint64_t value = invalid_decode(raw, m->system->invalid_mask);
    assert_int_equal(pte_kind(raw, 1, m->system->invalid_mask), PTE_TRANSITION);
    return field_get(value, TR_FRAME);
}

struct pfn *machine_row(struct machine *m, uint64_t frame)
{
    struct call c = machine_call(m);
    struct pfn *row = pfn_find(&c, frame);
    assert_non_null(row);
    return row;
}
