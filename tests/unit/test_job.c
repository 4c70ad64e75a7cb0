/*
 * Jobs: limits that processes share. Expectations: nt_semantics 24 (job limits, messages) and the
 * documentation of job objects; rights of AssignProcessToJobObject: SET_QUOTA and TERMINATE.
 */
#include "emulated_world.h"

#include <ntmm/access.h>
#include <ntmm/job.h>
#include <ntmm/working_set.h>

struct office {
    struct world w;
    ntmm_handle job;
    struct ntmm_job_limits limits;
    uint32_t messages; /* bit (1 << message) of each seen */
};

static void note_message(void *context, const struct ntmm_event *event)
{
    struct office *o = context;
    if (event->kind == NTMM_EVENT_JOB_LIMIT)
        o->messages |= 1u << event->detail;
}

static void begin(struct office *o)
{
    *o = (struct office){.messages = 0};
    make_world(&o->w, (struct ntmm_emulated_config){.ram_bytes = 16 * MIB}, 0);
    assert_int_equal(ntmm_create_job(o->w.system, &o->job), NTMM_STATUS_SUCCESS);
    o->limits =
        (struct ntmm_job_limits){.size = sizeof o->limits, .version = NTMM_JOB_LIMITS_VERSION};
    ntmm_emulated_set_event(o->w.emu, note_message, o);
    ntmm_set_event_mask(o->w.system, 1u << NTMM_EVENT_JOB_LIMIT);
}

static void set_limits(struct office *o)
{
    assert_int_equal(ntmm_set_job_limits(o->w.system, o->job, &o->limits), NTMM_STATUS_SUCCESS);
}

static ntmm_handle make_member(struct office *o)
{
    ntmm_handle process = make_process(&o->w);
    assert_int_equal(ntmm_assign_process_to_job(o->w.system, o->job, process), NTMM_STATUS_SUCCESS);
    return process;
}

static ntmm_status commit(struct office *o, ntmm_handle process, uint64_t pages)
{
    uint64_t base = 0, size = pages * PAGE;
    return ntmm_allocate_virtual_memory(o->w.system, process, &base, 0, &size,
                                        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
}

static struct ntmm_job_information query(struct office *o)
{
    struct ntmm_job_information information;
    assert_int_equal(ntmm_query_job(o->w.system, o->job, &information), NTMM_STATUS_SUCCESS);
    return information;
}

static void each_process_has_the_limit(void **state)
{
    struct office o;
    (void)state;
    begin(&o);
    o.limits.flags = NTMM_JOB_LIMIT_PROCESS_MEMORY;
    o.limits.process_memory_pages = 10;
    set_limits(&o);
    ntmm_handle one = make_member(&o), two = make_member(&o);
    assert_int_equal(commit(&o, one, 11), NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(o.messages, 1u << 9);
    assert_int_equal(commit(&o, one, 10), NTMM_STATUS_SUCCESS);
    assert_int_equal(commit(&o, one, 1), NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(commit(&o, two, 10), NTMM_STATUS_SUCCESS);
    assert_int_equal(query(&o).commit_pages, 20);
    end_world(&o.w);
}

static void all_share_the_limit_of_the_job(void **state)
{
    struct office o;
    (void)state;
    begin(&o);
    o.limits.flags = NTMM_JOB_LIMIT_JOB_MEMORY;
    o.limits.job_memory_pages = 10;
    set_limits(&o);
    ntmm_handle one = make_member(&o), two = make_member(&o), other = make_process(&o.w);
    assert_int_equal(commit(&o, one, 6), NTMM_STATUS_SUCCESS);
    assert_int_equal(commit(&o, two, 5), NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(o.messages, 1u << 10);
    assert_int_equal(commit(&o, two, 4), NTMM_STATUS_SUCCESS);
    assert_int_equal(commit(&o, other, 100), NTMM_STATUS_SUCCESS);
    assert_int_equal(query(&o).commit_pages, 10);
    assert_int_equal(ntmm_end_process(o.w.system, one), NTMM_STATUS_SUCCESS);
    assert_int_equal(query(&o).commit_pages, 4);
    assert_int_equal(query(&o).process_count, 1);
    assert_int_equal(query(&o).peak_commit_pages, 10);
    assert_int_equal(commit(&o, two, 6), NTMM_STATUS_SUCCESS);
    end_world(&o.w);
}

/* A charge that something else refuses is not the job's either. */
static void a_refused_charge_is_given_back(void **state)
{
    struct office o;
    (void)state;
    begin(&o);
    const struct ntmm_process_config config = {
        .size = sizeof config, .version = NTMM_PROCESS_CONFIG_VERSION, .commit_limit_pages = 5};
    ntmm_handle process;
    assert_int_equal(ntmm_create_process(o.w.system, &config, &process), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_assign_process_to_job(o.w.system, o.job, process), NTMM_STATUS_SUCCESS);
    assert_int_equal(commit(&o, process, 6), NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED);
    ntmm_handle member = make_member(&o);
    assert_int_equal(commit(&o, member, 0x100000), NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(query(&o).commit_pages, 0);
    assert_int_equal(o.messages, 0);
    end_world(&o.w);
}

static void who_joins_brings_what_it_has(void **state)
{
    struct office o;
    (void)state;
    begin(&o);
    o.limits.flags = NTMM_JOB_LIMIT_JOB_MEMORY;
    o.limits.job_memory_pages = 3;
    set_limits(&o);
    ntmm_handle process = make_process(&o.w);
    assert_int_equal(commit(&o, process, 7), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_assign_process_to_job(o.w.system, o.job, process), NTMM_STATUS_SUCCESS);
    assert_int_equal(query(&o).commit_pages, 7);
    assert_int_equal(commit(&o, process, 1), NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(ntmm_assign_process_to_job(o.w.system, o.job, process),
                     NTMM_STATUS_ACCESS_DENIED);
    end_world(&o.w);
}

static void working_sets_take_the_limits(void **state)
{
    struct office o;
    struct ntmm_process_information information;
    (void)state;
    begin(&o);
    ntmm_handle before = make_member(&o);
    o.limits.flags = NTMM_JOB_LIMIT_WORKING_SET;
    o.limits.working_set_minimum_pages = 25;
    o.limits.working_set_maximum_pages = 77;
    set_limits(&o);
    ntmm_handle members[] = {before, make_member(&o)};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ntmm_query_process(o.w.system, members[i], &information),
                         NTMM_STATUS_SUCCESS);
        assert_int_equal(information.working_set_minimum_pages, 25);
        assert_int_equal(information.working_set_maximum_pages, 77);
        assert_int_equal(
            ntmm_set_working_set_limits(o.w.system, members[i], 30 * PAGE, 90 * PAGE, 0),
            NTMM_STATUS_ACCESS_DENIED);
        assert_int_equal(ntmm_set_working_set_limits(o.w.system, members[i], NTMM_WORKING_SET_EMPTY,
                                                     NTMM_WORKING_SET_EMPTY, 0),
                         NTMM_STATUS_SUCCESS);
    }
    end_world(&o.w);
}

static void a_closed_job_still_limits(void **state)
{
    struct office o;
    (void)state;
    begin(&o);
    o.limits.flags = NTMM_JOB_LIMIT_JOB_MEMORY;
    o.limits.job_memory_pages = 3;
    set_limits(&o);
    ntmm_handle process = make_member(&o);
    assert_int_equal(ntmm_close_job(o.w.system, o.job), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_close_job(o.w.system, o.job), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(commit(&o, process, 4), NTMM_STATUS_COMMITMENT_LIMIT);
    for (unsigned i = 0; i < 100; i++) { /* new jobs keep off its slot */
        ntmm_handle job;
        assert_int_equal(ntmm_create_job(o.w.system, &job), NTMM_STATUS_SUCCESS);
        assert_int_equal(
            ntmm_set_job_limits(o.w.system, job,
                                &(struct ntmm_job_limits){.size = sizeof o.limits,
                                                          .version = NTMM_JOB_LIMITS_VERSION}),
            NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(commit(&o, process, 4), NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(commit(&o, process, 3), NTMM_STATUS_SUCCESS);
    end_world(&o.w);
}

static void bad_arguments_are_refused(void **state)
{
    struct office o;
    struct ntmm_job_information information;
    (void)state;
    begin(&o);
    ntmm_handle process = make_process(&o.w), some = 0;
    struct ntmm_caller caller = {.size = sizeof caller, .version = NTMM_CALLER_VERSION};
    assert_int_equal(ntmm_open_process(o.w.system, &caller, process, NTMM_PROCESS_SET_QUOTA, &some),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_create_job(o.w.system, NULL), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_query_job(o.w.system, o.job, NULL), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_query_job(o.w.system, 0, &information), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_query_job(o.w.system, process, &information),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_query_job(o.w.system, o.job ^ 1, &information),
                     NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_query_job(o.w.system, o.job + 5000, &information),
                     NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_assign_process_to_job(o.w.system, process, process),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_assign_process_to_job(o.w.system, o.job, o.job),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_assign_process_to_job(o.w.system, o.job, some),
                     NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_set_job_limits(o.w.system, o.job, NULL), NTMM_STATUS_ACCESS_VIOLATION);
    o.limits.flags = 0x400;
    assert_int_equal(ntmm_set_job_limits(o.w.system, o.job, &o.limits),
                     NTMM_STATUS_INVALID_PARAMETER);
    o.limits.flags = NTMM_JOB_LIMIT_WORKING_SET;
    assert_int_equal(ntmm_set_job_limits(o.w.system, o.job, &o.limits),
                     NTMM_STATUS_BAD_WORKING_SET_LIMIT);
    o.limits.size = 8;
    assert_int_equal(ntmm_set_job_limits(o.w.system, o.job, &o.limits),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(query(&o).limits.flags, 0);
    end_world(&o.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_process_has_the_limit),
        cmocka_unit_test(all_share_the_limit_of_the_job),
        cmocka_unit_test(a_refused_charge_is_given_back),
        cmocka_unit_test(who_joins_brings_what_it_has),
        cmocka_unit_test(working_sets_take_the_limits),
        cmocka_unit_test(a_closed_job_still_limits),
        cmocka_unit_test(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
