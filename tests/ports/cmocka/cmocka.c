/*
 * Assertions and the runner of groups. See cmocka.h.
 */
#include "cmocka.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static jmp_buf after_skip;
static const char *running = "outside of a test";

_Noreturn void shim_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("[  FAILED  ] %s\n%s:%d: ", running, file, line);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    _Exit(1);
}

_Noreturn void shim_skip(void) { longjmp(after_skip, 1); }

void print_message(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
}

void print_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
}

void shim_true(bool holds, const char *text, const char *file, int line)
{
    if (!holds)
        shim_fail(file, line, "%s", text);
}

void shim_equal(uint64_t a, uint64_t b, bool wanted, const char *text, const char *file, int line)
{
    if ((a == b) != wanted)
        shim_fail(file, line, "%s: 0x%" PRIx64 " %s 0x%" PRIx64, text, a, wanted ? "!=" : "==", b);
}

void shim_range(uint64_t value, uint64_t low, uint64_t high, const char *file, int line)
{
    if (value < low || value > high)
        shim_fail(file, line, "0x%" PRIx64 " is not in 0x%" PRIx64 "..0x%" PRIx64, value, low,
                  high);
}

void shim_strings(const char *a, const char *b, bool wanted, const char *file, int line)
{
    if ((strcmp(a, b) == 0) != wanted)
        shim_fail(file, line, "\"%s\" %s \"%s\"", a, wanted ? "!=" : "==", b);
}

void shim_bytes(const void *a, const void *b, size_t size, bool wanted, const char *file, int line)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    size_t at = 0;
    while (at < size && left[at] == right[at])
        at++;
    if ((at == size) == wanted)
        return;
    if (wanted)
        shim_fail(file, line, "byte %u of %u: 0x%02x != 0x%02x", (unsigned)at, (unsigned)size,
                  left[at], right[at]);
    shim_fail(file, line, "%u equal bytes", (unsigned)size);
}

/* Whether a list with commas between its names has this one. */
static bool is_listed(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == 0))
            return true;
    }
    return false;
}

/* Whether the test passed; false: it was skipped, or its set-up failed. */
static bool run_test(const struct CMUnitTest *test, void *group_state, unsigned *skipped)
{
    void *state = test->initial_state != NULL ? test->initial_state : group_state;
    running = test->name;
    if (test->setup_func != NULL && test->setup_func(&state) != 0) {
        printf("[  FAILED  ] %s: its set-up\n", test->name);
        return false;
    }
    if (setjmp(after_skip) == 0) {
        test->test_func(&state);
    } else {
        printf("[  SKIPPED ] %s\n", test->name);
        ++*skipped;
    }
    if (test->teardown_func != NULL && test->teardown_func(&state) != 0) {
        printf("[  FAILED  ] %s: its end\n", test->name);
        return false;
    }
    return true;
}

int _cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                            CMFixtureFunction setup, CMFixtureFunction teardown)
{
    void *state = NULL;
    unsigned skipped = 0, failed = 0;
    if (setup != NULL && setup(&state) != 0)
        shim_fail(SHIM_HERE, "%s: the group's set-up", name);
    for (size_t i = 0; i < count; i++) {
        if (is_listed(getenv("NTMM_PORTS_SKIP"), tests[i].name)) {
            printf("[  SKIPPED ] %s\n", tests[i].name);
            skipped++;
        } else {
            failed += !run_test(&tests[i], state, &skipped);
        }
    }
    if (teardown != NULL && teardown(&state) != 0)
        shim_fail(SHIM_HERE, "%s: the group's end", name);
    printf("%s: %u passed, %u failed, %u skipped\n", name, (unsigned)count - failed - skipped,
           failed, skipped);
    fflush(stdout);
    return (int)failed;
}
