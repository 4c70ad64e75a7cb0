/*
 * What a case says of numbers that it cannot foretell, and of image files: a word that should not
 * hold does not.
 */
#include "conformance/image_words.h"
#include "conformance/named.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct named_table names;
static char text[NAMED_TEXT_SIZE];

/* What was found, after it was named by what was expected. */
static const char *take(const char *expected, const char *actual)
{
    snprintf(text, sizeof(text), "%s", actual);
    named_take(&names, expected, text, sizeof(text));
    return text;
}

static void the_first_number_is_the_name_s(void **state)
{
    (void)state;
    names.count = 0;
    assert_string_equal(take("SUCCESS @v 0", "SUCCESS 0x7FF0 0"), "SUCCESS @v 0");
    assert_string_equal(take("SUCCESS @v 0", "SUCCESS 0x7FF0 0"), "SUCCESS @v 0");
    assert_string_equal(take("SUCCESS @v 0", "SUCCESS 0x7FF1 0"), "SUCCESS 0x7FF1 0");
    assert_string_equal(take("SUCCESS @v 0", "NO_MEMORY"), "NO_MEMORY");
    assert_string_equal(take("SUCCESS @w", "NO_MEMORY FREE"), "NO_MEMORY FREE");
    assert_int_equal(names.count, 1);
}

static void numbers_are_relative_to_names(void **state)
{
    uint64_t value;

    (void)state;
    names.count = 0;
    assert_false(named_value(&names, "@v", &value));
    assert_string_equal(take("@v+0x10", "0x30"), "@v+0x10");
    assert_true(named_value(&names, "@v", &value));
    assert_int_equal(value, 0x20);
    assert_true(named_value(&names, "@v-8 more", &value));
    assert_int_equal(value, 0x18);
    assert_false(named_value(&names, "@vv", &value));
    assert_string_equal(take("@v-0x10 @v+1", "0x10 0x22"), "@v-0x10 0x22");
}

static void bounds_of_numbers(void **state)
{
    (void)state;
    names.count = 0;
    assert_string_equal(take("@v<0x100", "0x100"), "0x100");
    assert_string_equal(take("@v>0x100", "0x100"), "0x100");
    assert_int_equal(names.count, 0);
    assert_string_equal(take("@v<0x100", "0xFF"), "@v<0x100");
    assert_string_equal(take("@v>0xFE", "0xFF"), "@v>0xFE");
    assert_string_equal(take("@v<0xFF", "0xFF"), "0xFF");
    assert_string_equal(take("@v<0x100", "0xFE"), "0xFE");
}

static void regions_begin_with_names(void **state)
{
    (void)state;
    names.count = 0;
    take("@a @b", "0x50000 9");
    snprintf(text, sizeof(text), "0x50000 READONLY r*9\n0x500000 READONLY 9\n");
    named_replace(&names, text, sizeof(text));
    assert_string_equal(text, "@a READONLY r*9\n0x500000 READONLY @b\n");
}

static void words_that_no_image_has(void **state)
{
    static struct pe_file file;

    (void)state;
    assert_null(image_words_build(&file, "", 0));
    assert_int_equal(file.size_bytes, PE_HEADERS);
    assert_null(image_words_build(&file, "verb name READ length:7", 3));
    assert_int_equal(file.size_bytes, 7);
    assert_non_null(image_words_build(&file, "basis:1", 0));
    assert_non_null(image_words_build(&file, "base:", 0));
    assert_non_null(image_words_build(&file, "base:1x", 0));
    assert_non_null(image_words_build(&file, "length:0x20001", 0));
    assert_non_null(image_words_build(&file, "section:.a:q:0x1000:0x200", 0));
    assert_non_null(image_words_build(&file, "section:.a:r:0x1000:0x20000", 0));
    assert_non_null(image_words_build(&file, "relocation:0x1010", 0));
}

static void sections_of_words(void **state)
{
    static struct pe_file file;

    (void)state;
    assert_null(image_words_build(
        &file, "base:0x10000 section:.text:rx:0x1000:0x10 section:b:w:1:1:-:-:7 relocation:0x1001",
        0));
    assert_memory_equal(file.bytes + pe_section(&file, 0), ".text\0\0", 8);
    assert_int_equal(pe_get32(&file, pe_section(&file, 0) + 36), PE_READ | PE_EXECUTE);
    assert_int_equal(pe_get32(&file, pe_section(&file, 1) + 12), 0x2000);
    assert_int_equal(file.bytes[PE_HEADERS], 0xA1);
    assert_int_equal(pe_get32(&file, PE_HEADERS + 1), 0x11001);
    assert_int_equal(file.bytes[PE_HEADERS + 0x10], 0xEE);
    assert_int_equal(file.bytes[PE_HEADERS + 0x200], 7);
    assert_int_equal(file.bytes[PE_HEADERS + 0x201], 0xEE);
    assert_int_equal(pe_get32(&file, PE_HEADERS + 0x400 + 8), 10u << 12 | 1);
    assert_non_null(image_words_build(&file, "section:.text:rx:0x1000:0x10 relocation:0x1009", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_number_is_the_name_s),
        cmocka_unit_test(numbers_are_relative_to_names),
        cmocka_unit_test(bounds_of_numbers),
        cmocka_unit_test(regions_begin_with_names),
        cmocka_unit_test(words_that_no_image_has),
        cmocka_unit_test(sections_of_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
