/* Words in frames: their bytes are little-endian on every host, whichever accessor wrote them. */
#include "base/le.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t bytes64[8] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
#define VALUE64 UINT64_C(0x1122334455667788)

static void words_are_little_endian_bytes(void **state)
{
    (void)state;
    le16 w16;
    le32 w32;
    le64 w64;
    set16(&w16, 0x7788);
    set32(&w32, 0x55667788);
    set64(&w64, VALUE64);
    assert_memory_equal(&w16, bytes64, 2);
    assert_memory_equal(&w32, bytes64, 4);
    assert_memory_equal(&w64, bytes64, 8);
    assert_int_equal(get16(&w16), 0x7788);
    assert_int_equal(get32(&w32), 0x55667788);
    assert_int_equal(get64(&w64), VALUE64);
}

static void words_are_as_wide_and_aligned_everywhere(void **state)
{
    (void)state;
    struct mixed {
        le16 a;
        le64 b;
        le16 c;
        le32 d;
    };
    assert_int_equal(offsetof(struct mixed, b), 8);
    assert_int_equal(offsetof(struct mixed, d), 20);
    assert_int_equal(sizeof(struct mixed), 24);
}

static void atomic_stores_write_the_same_bytes(void **state)
{
    (void)state;
    le64 released, relaxed, exchanged;
    le32 released32;
    set64(&exchanged, 5);
    store64_release(&released, VALUE64);
    store64_relaxed(&relaxed, VALUE64);
    store32_release(&released32, 0x55667788);
    assert_int_equal(exchange64(&exchanged, VALUE64), 5);
    assert_memory_equal(&released, bytes64, 8);
    assert_memory_equal(&relaxed, bytes64, 8);
    assert_memory_equal(&exchanged, bytes64, 8);
    assert_memory_equal(&released32, bytes64, 4);
}

static void atomic_loads_read_the_same_bytes(void **state)
{
    (void)state;
    le64 w64;
    le32 w32;
    memcpy(&w64, bytes64, 8);
    memcpy(&w32, bytes64, 4);
    assert_int_equal(load64_relaxed(&w64), VALUE64);
    assert_int_equal(load64_acquire(&w64), VALUE64);
    assert_int_equal(load32_relaxed(&w32), 0x55667788);
    assert_int_equal(load32_acquire(&w32), 0x55667788);
    assert_int_equal(exchange32_acquire(&w32, 9), 0x55667788);
    assert_int_equal(get32(&w32), 9);
}

static void compare_and_exchange_tells_what_it_saw(void **state)
{
    (void)state;
    le64 word;
    uint64_t expected = 1;
    set64(&word, VALUE64);
    assert_false(cas64(&word, &expected, 2));
    assert_int_equal(expected, VALUE64);
    assert_memory_equal(&word, bytes64, 8);
    assert_true(cas64(&word, &expected, 2));
    assert_int_equal(expected, VALUE64);
    assert_int_equal(get64(&word), 2);
}

static void compare_and_exchange_of_32_bits(void **state)
{
    (void)state;
    le32 word;
    set32(&word, 7);
    assert_false(cas32_acquire(&word, 8, 9));
    assert_false(cas32_release(&word, 8, 9));
    assert_int_equal(get32(&word), 7);
    assert_true(cas32_acquire(&word, 7, 0x01020304));
    assert_true(cas32_release(&word, 0x01020304, 0x55667788));
    assert_memory_equal(&word, bytes64, 4);
}

/* A core address is no host address: the bias alone relates them, and it may be "negative". */
static void core_addresses_are_biased(void **state)
{
    (void)state;
    uint8_t arena[64];
    uint64_t base = UINT64_C(0xffff800000000000);
    uintptr_t bias = (uintptr_t)arena - (uintptr_t)base;
    assert_ptr_equal(core_at(bias, base), arena);
    assert_ptr_equal(core_at(bias, base + 63), arena + 63);
    bias = (uintptr_t)arena - (uintptr_t)0x1000;
    assert_ptr_equal(core_at(bias, 0x1000 + 8), arena + 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_little_endian_bytes),
        cmocka_unit_test(words_are_as_wide_and_aligned_everywhere),
        cmocka_unit_test(atomic_stores_write_the_same_bytes),
        cmocka_unit_test(atomic_loads_read_the_same_bytes),
        cmocka_unit_test(compare_and_exchange_tells_what_it_saw),
        cmocka_unit_test(compare_and_exchange_of_32_bits),
        cmocka_unit_test(core_addresses_are_biased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
