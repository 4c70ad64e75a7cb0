/*
 * A machine with a system in it, for the tests of the emulated platform: everything goes through
 * the public contract, and the end of a world expects that nothing is left.
 */
#ifndef NTMM_TEST_EMULATED_WORLD_H
#define NTMM_TEST_EMULATED_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ntmm/constants.h>
#include <ntmm/emulated.h>
#include <ntmm/inspect.h>
#include <ntmm/process.h>
#include <ntmm/status.h>
#include <ntmm/virtual.h>

#define MIB (UINT64_C(1) << 20)
#define PAGE UINT64_C(4096)

struct world {
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
};

static inline void make_world(struct world *w, struct ntmm_emulated_config c, uint64_t extra_commit)
{
    struct ntmm_config config = {
        .size = sizeof config,
        .version = NTMM_CONFIG_VERSION,
        .extra_commit_pages = extra_commit,
    };
    c.size = sizeof c;
    c.version = NTMM_EMULATED_CONFIG_VERSION;
    assert_int_equal(ntmm_emulated_create(&c, &w->emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_create_system(w->emu, &config, &w->system), NTMM_STATUS_SUCCESS);
    assert_ptr_equal(ntmm_emulated_system(w->emu), w->system);
}

static inline void check_world(struct world *w)
{
    struct ntmm_check_report report = {0};
    size_t size = ntmm_check_scratch_size(w->system);
    void *scratch = malloc(size);
    assert_non_null(scratch);
    ntmm_status status =
        ntmm_check_with_storage(w->system, scratch, size, ntmm_emulated_read_disk, w->emu, &report);
    free(scratch);
    assert_string_equal(report.invariant, "");
    assert_int_equal(status, NTMM_STATUS_SUCCESS);
}

static inline void end_world(struct world *w)
{
    struct ntmm_teardown teardown;
    struct ntmm_emulated_statistics s;
    check_world(w);
    ntmm_emulated_query(w->emu, &s);
    assert_int_equal(s.violations, 0);
    ntmm_emulated_destroy(w->emu, &teardown);
    assert_int_equal(teardown.lost_pages, 0);
    assert_int_equal(teardown.outstanding_commit, 0);
    assert_int_equal(teardown.live_objects, 0);
    assert_int_equal(teardown.waiters, 0);
}

static inline ntmm_handle make_process(struct world *w)
{
    ntmm_handle process = 0;
    assert_int_equal(ntmm_create_process(w->system, NULL, &process), NTMM_STATUS_SUCCESS);
    return process;
}

static inline uint64_t allocate(struct world *w, ntmm_handle process, uint64_t size,
                                uint32_t protect)
{
    uint64_t base = 0;
    assert_int_equal(ntmm_allocate_virtual_memory(w->system, process, &base, 0, &size,
                                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, protect),
                     NTMM_STATUS_SUCCESS);
    return base;
}

static inline void release(struct world *w, ntmm_handle process, uint64_t base)
{
    uint64_t size = 0;
    assert_int_equal(ntmm_free_virtual_memory(w->system, process, &base, &size, NTMM_MEM_RELEASE),
                     NTMM_STATUS_SUCCESS);
}

static inline void protect_page(struct world *w, ntmm_handle process, uint64_t base,
                                uint32_t protect)
{
    uint64_t size = PAGE;
    uint32_t old;
    assert_int_equal(ntmm_protect_virtual_memory(w->system, process, &base, &size, protect, &old),
                     NTMM_STATUS_SUCCESS);
}

static inline void attach(struct world *w, uint32_t index, ntmm_handle process)
{
    assert_int_equal(ntmm_emulated_attach(w->emu, index, process), NTMM_STATUS_SUCCESS);
}

static inline ntmm_status load64(struct world *w, uint32_t index, uint64_t va, uint64_t *value)
{
    return ntmm_emulated_load(w->emu, index, va, value, sizeof *value, NULL, NULL);
}

static inline ntmm_status store64(struct world *w, uint32_t index, uint64_t va, uint64_t value)
{
    return ntmm_emulated_store(w->emu, index, va, &value, sizeof value, NULL, NULL);
}

#endif
