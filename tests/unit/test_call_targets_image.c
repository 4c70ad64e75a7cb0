/*
 * Call targets of an image: all that is executable of it, while it is mapped.
 */
#include "unit/section_scene.h"

#include <ntmm/call_target.h>
#include <ntmm/query.h>

static bool is_target(struct machine *m, ntmm_handle process, uint64_t va)
{
    struct ntmm_call_target found;
    assert_int_equal(ntmm_query_call_target(m->system, process, va, &found), NTMM_STATUS_SUCCESS);
    return found.is_valid != 0;
}

static bool is_executable(struct machine *m, ntmm_handle process, uint64_t va)
{
    struct ntmm_memory_basic_information found;
    assert_int_equal(ntmm_query_virtual_memory(m->system, process, va, &found),
                     NTMM_STATUS_SUCCESS);
    return (found.protect & 0xF0) != 0;
}

static void executable_pages_of_an_image_hold_targets(void **state)
{
    struct machine *m = section_scene_open();
    struct ntmm_process_config config = {.size = sizeof config,
                                         .version = NTMM_PROCESS_CONFIG_VERSION,
                                         .flags = NTMM_PROCESS_CONTROL_FLOW_GUARD};
    struct ntmm_process_information before, after;
    ntmm_handle process = 0;
    uint64_t base = 0;
    uint64_t size = 0;
    uint64_t code = 0;
    (void)state;
    assert_int_equal(ntmm_create_process(m->system, &config, &process), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_query_process(m->system, process, &before), NTMM_STATUS_SUCCESS);
    assert_true(NTMM_SUCCEEDED(ntmm_map_view_of_section(m->system, section_scene()->image, process,
                                                        &base, 0, 0, NULL, &size, NTMM_VIEW_UNMAP,
                                                        0, NTMM_PAGE_EXECUTE_WRITECOPY)));
    for (uint64_t va = base; va < base + size; va += PAGE) {
        assert_int_equal(is_target(m, process, va + 32), is_executable(m, process, va));
        code += is_target(m, process, va + 32);
    }
    assert_true(code > 0 && code < size / PAGE);
    assert_int_equal(ntmm_unmap_view_of_section(m->system, process, base, 0), NTMM_STATUS_SUCCESS);
    for (uint64_t va = base; va < base + size; va += PAGE)
        assert_false(is_target(m, process, va + 32));
    assert_int_equal(ntmm_query_process(m->system, process, &after), NTMM_STATUS_SUCCESS);
    assert_int_equal(after.commit_pages, before.commit_pages);
    assert_int_equal(ntmm_end_process(m->system, process), NTMM_STATUS_SUCCESS);
    section_scene_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executable_pages_of_an_image_hold_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
