/*
 * Who may touch whom: what a handle grants, what services need, and the rule of protected
 * processes. Expectations: nt_semantics 1.6 (rights of services) and 15 (dominance, denied rights).
 */
#include "emulated_world.h"

#include <ntmm/access.h>

#define TYPE_LIGHT NTMM_PROTECTION_LIGHT
#define TYPE_FULL NTMM_PROTECTION_FULL

struct opening {
    struct world w;
    struct ntmm_caller caller;
};

static void begin(struct opening *o)
{
    make_world(&o->w, (struct ntmm_emulated_config){.ram_bytes = 16 * MIB}, 0);
    o->caller = (struct ntmm_caller){.size = sizeof o->caller, .version = NTMM_CALLER_VERSION};
}

static ntmm_handle make_protected(struct opening *o, uint32_t protection)
{
    const struct ntmm_process_config config = {
        .size = sizeof config, .version = NTMM_PROCESS_CONFIG_VERSION, .protection = protection};
    ntmm_handle process;
    assert_int_equal(ntmm_create_process(o->w.system, &config, &process), NTMM_STATUS_SUCCESS);
    return process;
}

static ntmm_status open_for(struct opening *o, ntmm_handle caller, ntmm_handle target,
                            uint32_t desired, ntmm_handle *handle)
{
    o->caller.process = caller;
    return ntmm_open_process(o->w.system, &o->caller, target, desired, handle);
}

static ntmm_handle with_rights(struct opening *o, ntmm_handle target, uint32_t rights)
{
    ntmm_handle handle = 0;
    assert_int_equal(open_for(o, 0, target, rights, &handle), NTMM_STATUS_SUCCESS);
    return handle;
}

static ntmm_status try_allocate(struct opening *o, ntmm_handle handle)
{
    uint64_t base = 0, size = PAGE;
    return ntmm_allocate_virtual_memory(o->w.system, handle, &base, 0, &size,
                                        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
}

static ntmm_status try_query(struct opening *o, ntmm_handle handle)
{
    struct ntmm_memory_basic_information information;
    return ntmm_query_virtual_memory(o->w.system, handle, 0x10000, &information);
}

static void a_handle_grants_what_was_asked_for(void **state)
{
    struct opening o;
    (void)state;
    begin(&o);
    ntmm_handle own = make_process(&o.w);
    assert_int_equal(ntmm_granted_access(own), NTMM_PROCESS_ALL);
    ntmm_handle some = with_rights(&o, own, NTMM_PROCESS_VM_READ | NTMM_PROCESS_SET_QUOTA);
    assert_int_equal(ntmm_granted_access(some), NTMM_PROCESS_VM_READ | NTMM_PROCESS_SET_QUOTA);
    assert_int_equal(ntmm_granted_access(with_rights(&o, some, NTMM_MAXIMUM_ALLOWED)),
                     NTMM_PROCESS_ALL);
    assert_int_equal(ntmm_granted_access(0), 0);
    assert_int_equal(ntmm_granted_access(own ^ 1ull << 60), 0);
    end_world(&o.w);
}

static void a_handle_carries_the_privileges_of_its_opener(void **state)
{
    struct opening o;
    const uint64_t all = NTMM_PRIVILEGE_LOCK_MEMORY | NTMM_PRIVILEGE_INCREASE_QUOTA |
                         NTMM_PRIVILEGE_PROFILE_SINGLE_PROCESS |
                         NTMM_PRIVILEGE_INCREASE_WORKING_SET;
    (void)state;
    begin(&o);
    ntmm_handle own = make_process(&o.w);
    assert_int_equal(ntmm_held_privileges(own), all);
    o.caller.privileges = NTMM_PRIVILEGE_LOCK_MEMORY;
    assert_int_equal(ntmm_held_privileges(with_rights(&o, own, NTMM_PROCESS_ALL)),
                     NTMM_PRIVILEGE_LOCK_MEMORY);
    o.caller.privileges = NTMM_PRIVILEGE_INCREASE_WORKING_SET;
    assert_int_equal(ntmm_held_privileges(with_rights(&o, own, NTMM_PROCESS_VM_READ)),
                     NTMM_PRIVILEGE_INCREASE_WORKING_SET);
    end_world(&o.w);
}

static void services_need_their_rights(void **state)
{
    struct opening o;
    (void)state;
    begin(&o);
    ntmm_handle own = make_process(&o.w);
    ntmm_handle all_but = with_rights(&o, own, NTMM_PROCESS_ALL & ~NTMM_PROCESS_VM_OPERATION);
    ntmm_handle only = with_rights(&o, own, NTMM_PROCESS_VM_OPERATION);
    struct ntmm_process_information information;

    assert_int_equal(try_allocate(&o, all_but), NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(try_query(&o, all_but), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_allocate(&o, only), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_query(&o, only), NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_query_process(o.w.system, only, &information), NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_end_process(o.w.system, only), NTMM_STATUS_ACCESS_DENIED);
    ntmm_handle end = with_rights(&o, own, NTMM_PROCESS_TERMINATE);
    assert_int_equal(ntmm_end_process(o.w.system, end), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_allocate(&o, all_but), NTMM_STATUS_INVALID_HANDLE);
    end_world(&o.w);
}

/* What of the rights in a row each signer denies a caller that is not protected. */
static void an_unprotected_caller_gets_the_rest(void **state)
{
    static const struct {
        uint32_t signer;
        bool may_terminate;
    } rows[] = {
        {NTMM_SIGNER_AUTHENTICODE, true}, {NTMM_SIGNER_CODEGEN, true},
        {NTMM_SIGNER_ANTIMALWARE, false}, {NTMM_SIGNER_LSA, false},
        {NTMM_SIGNER_WINDOWS, true},      {NTMM_SIGNER_WINTCB, false},
        {NTMM_SIGNER_WINSYSTEM, false},   {NTMM_SIGNER_APP, true},
    };
    const uint32_t always = NTMM_PROCESS_QUERY_LIMITED_INFORMATION |
                            NTMM_PROCESS_SET_LIMITED_INFORMATION | NTMM_PROCESS_SUSPEND_RESUME;
    struct opening o;
    (void)state;
    begin(&o);
    ntmm_handle caller = make_process(&o.w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ntmm_handle target = make_protected(&o, NTMM_PROTECTION(TYPE_LIGHT, rows[i].signer));
        ntmm_handle handle = 0x55;
        uint32_t end = rows[i].may_terminate ? NTMM_PROCESS_TERMINATE : 0;
        assert_int_equal(open_for(&o, caller, target, NTMM_MAXIMUM_ALLOWED, &handle),
                         NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_granted_access(handle), always | end);
        for (uint32_t right = 1; right <= NTMM_PROCESS_ALL; right <<= 1) {
            bool is_left = (right & (always | end)) != 0;
            handle = 0x55;
            assert_int_equal(open_for(&o, caller, target, right, &handle),
                             is_left ? NTMM_STATUS_SUCCESS : NTMM_STATUS_ACCESS_DENIED);
            assert_int_equal(handle == 0x55, !is_left);
        }
        assert_int_equal(open_for(&o, 0, target, NTMM_PROCESS_ALL, &handle), NTMM_STATUS_SUCCESS);
    }
    end_world(&o.w);
}

static void dominance_decides_between_protected_processes(void **state)
{
    static const struct {
        uint32_t caller, target;
        bool is_granted;
    } rows[] = {
        {0x31, 0x31, true},  {0x41, 0x31, false}, {0x51, 0x31, true},  {0x61, 0x51, true},
        {0x51, 0x61, false}, {0x61, 0x62, false}, {0x62, 0x61, true},  {0x62, 0x62, true},
        {0x72, 0x62, true},  {0x62, 0x72, false}, {0x71, 0x62, false}, {0x61, 0x81, false},
        {0x81, 0x81, true},  {0x11, 0x21, false}, {0x51, 0x21, true},  {0x31, 0x00, true},
        {0x00, 0x31, false},
    };
    struct opening o;
    (void)state;
    begin(&o);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ntmm_handle handle;
        ntmm_status status =
            open_for(&o, make_protected(&o, rows[i].caller), make_protected(&o, rows[i].target),
                     NTMM_PROCESS_VM_WRITE, &handle);
        assert_int_equal(status,
                         rows[i].is_granted ? NTMM_STATUS_SUCCESS : NTMM_STATUS_ACCESS_DENIED);
    }
    end_world(&o.w);
}

static void bad_arguments_are_refused(void **state)
{
    struct opening o;
    ntmm_handle handle = 0x55;
    (void)state;
    begin(&o);
    ntmm_handle process = make_process(&o.w);
    ntmm_handle gone = make_process(&o.w);
    assert_int_equal(ntmm_end_process(o.w.system, gone), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_open_process(o.w.system, NULL, process, 0, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(open_for(&o, 0, 0, 0, &handle), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(open_for(&o, 0, gone, 0, &handle), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(open_for(&o, 0, process ^ 3ull << 56, 0, &handle),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(open_for(&o, gone, process, 0, &handle), NTMM_STATUS_INVALID_PARAMETER_2);
    o.caller.version = 0;
    assert_int_equal(open_for(&o, 0, process, 0, &handle), NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(handle, 0x55);
    end_world(&o.w);
}

static void a_protection_must_be_one(void **state)
{
    static const uint32_t bad[] = {0x30, 0x03, 0x91, 0x131, 0x37};
    struct opening o;
    (void)state;
    begin(&o);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct ntmm_process_config config = {
            .size = sizeof config, .version = NTMM_PROCESS_CONFIG_VERSION, .protection = bad[i]};
        ntmm_handle process = 0x55;
        assert_int_equal(ntmm_create_process(o.w.system, &config, &process),
                         NTMM_STATUS_INVALID_PARAMETER_2);
        assert_int_equal(process, 0x55);
    }
    end_world(&o.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_grants_what_was_asked_for),
        cmocka_unit_test(a_handle_carries_the_privileges_of_its_opener),
        cmocka_unit_test(services_need_their_rights),
        cmocka_unit_test(an_unprotected_caller_gets_the_rest),
        cmocka_unit_test(dominance_decides_between_protected_processes),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_protection_must_be_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
