/*
 * Protections: what the short way through the base values says is what their parts say.
 */
#include "space/protection.h"

#include <ntmm/constants.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void the_short_way_says_what_the_parts_say(void **state)
{
    (void)state;
    for (uint32_t win32 = 0; win32 < 1u << 16; win32++) {
        uint32_t code = 77, by_parts = 77;
        assert_int_equal(protection_of_private(win32, &code),
                         protection_of_private_by_parts(win32, &by_parts));
        assert_int_equal(code, by_parts);
        assert_int_equal(protection_of_view(win32, &code),
                         protection_of_view_by_parts(win32, &by_parts));
        assert_int_equal(code, by_parts);
    }
    for (uint32_t bit = 16; bit < 32; bit++) {
        uint32_t code;
        assert_false(protection_of_private(1u << bit | NTMM_PAGE_READWRITE, &code));
    }
}

static void legal_protections_come_back(void **state)
{
    (void)state;
    uint32_t legal = 0;
    for (uint32_t win32 = 0; win32 < 1u << 16; win32++) {
        uint32_t code;
        if (protection_of_private(win32, &code)) {
            assert_int_equal(protection_to_win32(code), win32);
            legal++;
        }
    }
    assert_int_equal(legal, 1 + 5 * 4); /* NOACCESS; five, alone and with each modifier */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_short_way_says_what_the_parts_say),
        cmocka_unit_test(legal_protections_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
