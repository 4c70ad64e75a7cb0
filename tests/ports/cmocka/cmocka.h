/*
 * What the unit tests use of cmocka, for machines that Debian has no cmocka of. Written here; only
 * names and meanings are cmocka's.
 *
 * A failed assertion prints itself and ends the program at once, with status 1, from whatever stack
 * or thread it stands on: the tests after it do not run, and the program's last line is missing, by
 * which tests/ports/run.py knows it. self_test.c expects each assertion to fail.
 *
 * Tests that NTMM_PORTS_SKIP of the environment names, with commas between them, are skipped.
 */
#ifndef NTMM_PORTS_CMOCKA_H
#define NTMM_PORTS_CMOCKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int (*CMFixtureFunction)(void **state);
typedef void (*CMUnitTestFunction)(void **state);

struct CMUnitTest {
    const char *name;
    CMUnitTestFunction test_func;
    CMFixtureFunction setup_func;
    CMFixtureFunction teardown_func;
    void *initial_state;
};

#define cmocka_unit_test(test) ((struct CMUnitTest){#test, test, NULL, NULL, NULL})
#define cmocka_unit_test_setup_teardown(test, setup, teardown)                                     \
    ((struct CMUnitTest){#test, test, setup, teardown, NULL})
#define cmocka_unit_test_prestate(test, state) ((struct CMUnitTest){#test, test, NULL, NULL, state})

#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    _cmocka_run_group_tests(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    cmocka_run_group_tests_name(#tests, tests, setup, teardown)

/* How many tests failed; those of a group whose set-up fails all do. */
int _cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                            CMFixtureFunction setup, CMFixtureFunction teardown);

/* C's own conversions, on Windows too. */
#define SHIM_FORMAT(format_at, first) __attribute__((format(gnu_printf, format_at, first)))

_Noreturn void shim_fail(const char *file, int line, const char *format, ...) SHIM_FORMAT(3, 4);
_Noreturn void shim_skip(void);
void print_message(const char *format, ...) SHIM_FORMAT(1, 2);
void print_error(const char *format, ...) SHIM_FORMAT(1, 2);

void shim_true(bool holds, const char *text, const char *file, int line);
void shim_equal(uint64_t a, uint64_t b, bool wanted, const char *text, const char *file, int line);
void shim_range(uint64_t value, uint64_t low, uint64_t high, const char *file, int line);
void shim_strings(const char *a, const char *b, bool wanted, const char *file, int line);
void shim_bytes(const void *a, const void *b, size_t size, bool wanted, const char *file, int line);

#define SHIM_HERE __FILE__, __LINE__
#define SHIM_POINTER(p) ((uint64_t)(uintptr_t)(p))

#define assert_true(c) shim_true((c) != 0, #c, SHIM_HERE)
#define assert_false(c) shim_true((c) == 0, "!(" #c ")", SHIM_HERE)
#define assert_non_null(p) shim_true((p) != NULL, #p " is not NULL", SHIM_HERE)
#define assert_null(p) shim_true((p) == NULL, #p " is NULL", SHIM_HERE)
#define assert_int_equal(a, b) shim_equal((uint64_t)(a), (uint64_t)(b), true, #a, SHIM_HERE)
#define assert_int_not_equal(a, b) shim_equal((uint64_t)(a), (uint64_t)(b), false, #a, SHIM_HERE)
#define assert_ptr_equal(a, b) shim_equal(SHIM_POINTER(a), SHIM_POINTER(b), true, #a, SHIM_HERE)
#define assert_ptr_not_equal(a, b)                                                                 \
    shim_equal(SHIM_POINTER(a), SHIM_POINTER(b), false, #a, SHIM_HERE)
#define assert_in_range(v, low, high)                                                              \
    shim_range((uint64_t)(v), (uint64_t)(low), (uint64_t)(high), SHIM_HERE)
#define assert_string_equal(a, b) shim_strings(a, b, true, SHIM_HERE)
#define assert_string_not_equal(a, b) shim_strings(a, b, false, SHIM_HERE)
#define assert_memory_equal(a, b, size) shim_bytes(a, b, size, true, SHIM_HERE)
#define assert_memory_not_equal(a, b, size) shim_bytes(a, b, size, false, SHIM_HERE)
#define fail() shim_fail(SHIM_HERE, "fail()")
#define fail_msg(...) shim_fail(SHIM_HERE, __VA_ARGS__)
#define skip() shim_skip()

#endif
