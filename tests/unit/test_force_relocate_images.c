/*
 * The policies of a process that keep images without DYNAMIC_BASE from the base that they prefer,
 * and refuse those that can be nowhere else. Expectations: nt_semantics 5.4 (collisions), 5.5
 * (mandatory), 5.6 (8 bits, with high entropy 24), 5.7 (from 64 KiB up); what is ours:
 * docs/fidelity.md.
 */
#include "section_world.h"

#include "pe_file.h"

#include "base/le.h"

#define GRANULE UINT64_C(0x10000)
#define PREFERRED UINT64_C(0x140000000) /* of pe_make */
#define BOTTOM GRANULE                  /* of a process without a random layout */
#define DYNAMIC_BASE 0x40u
#define STRIPPED 0x1u /* Characteristics */
#define FORCE NTMM_PROCESS_FORCE_RELOCATE_IMAGES
#define STRICT (NTMM_PROCESS_FORCE_RELOCATE_IMAGES | NTMM_PROCESS_DISALLOW_STRIPPED_IMAGES)
#define MACHINES 48u

struct fixture {
    struct world w;
    ntmm_handle process;
    ntmm_handle section;
    struct pe_file pe;
};

/* A call of NtMapViewOfSection. */
struct wish {
    uint64_t base, offset, size;
    uint32_t type;
};

static ntmm_handle make_with(struct world *w, uint32_t flags, uint64_t highest)
{
    const struct ntmm_process_config config = {.size = sizeof config,
                                               .version = NTMM_PROCESS_CONFIG_VERSION,
                                               .highest_address = highest,
                                               .flags = flags};
    ntmm_handle process = 0;
    check_ok(ntmm_create_process(w->system, &config, &process));
    return process;
}

static void open_pe(struct fixture *f, uint32_t attributes)
{
    ntmm_handle file = open_contents(&f->w, f->pe.bytes, f->pe.size_bytes);
    f->section = make_section(&f->w, 0, NTMM_PAGE_EXECUTE_READ, attributes, file);
    close_file(&f->w, file);
}

/* A process with policies, and an image of 7 pages with relocations. */
static void begin(struct fixture *f, uint32_t flags, uint32_t characteristics)
{
    make_section_world(&f->w, 8 * MIB);
    f->process = make_with(&f->w, flags, 0);
    pe_make(&f->pe, true);
    pe_add_relocations(&f->pe, 0);
    pe_set16(&f->pe, PE_DLL_CHARACTERISTICS, characteristics);
}

static void end(struct fixture *f)
{
    check_world(&f->w);
    close_section(&f->w, f->section);
    check_ok(ntmm_end_process(f->w.system, f->process));
    end_world(&f->w);
}

static ntmm_status map_as(struct fixture *f, ntmm_handle process, struct wish wish, uint64_t *base)
{
    *base = wish.base;
    return ntmm_map_view_of_section(f->w.system, f->section, process, base, 0, 0, &wish.offset,
                                    &wish.size, NTMM_VIEW_SHARE, wish.type, NTMM_PAGE_READONLY);
}

static void expect_at(struct fixture *f, struct wish wish, ntmm_status status, uint64_t expected)
{
    uint64_t base;
    assert_int_equal(map_as(f, f->process, wish, &base), status);
    assert_int_equal(base, expected);
    check_world(&f->w);
}

static const struct wish anywhere;

/* Pages stay those of the section: the loader of that process is told to relocate. */
static void an_image_without_dynamic_base_is_kept_away(void **state)
{
    struct fixture f;
    uint64_t base, bytes;
    le64 shown;
    (void)state;
    begin(&f, FORCE, 0);
    open_pe(&f, NTMM_SEC_IMAGE);
    expect_at(&f, anywhere, NTMM_STATUS_IMAGE_NOT_AT_BASE, BOTTOM);
    attach(&f.w, 0, f.process);
    check_ok(load64(&f.w, 0, BOTTOM + PE_BASE_64, &bytes));
    memcpy(&shown, &bytes, sizeof shown);
    assert_int_equal(get64(&shown), PREFERRED);
    ntmm_handle other = make_process(&f.w);
    check_ok(map_as(&f, other, anywhere, &base));
    assert_int_equal(base, PREFERRED);
    check_ok(ntmm_end_process(f.w.system, other));
    /* nothing is at its base, and a second view goes behind the first */
    expect_at(&f, anywhere, NTMM_STATUS_IMAGE_NOT_AT_BASE, BOTTOM + GRANULE);
    expect_at(&f, (struct wish){.type = NTMM_MEM_DIFFERENT_IMAGE_BASE_OK}, NTMM_STATUS_SUCCESS,
              BOTTOM + 2 * GRANULE);
    end(&f);
}

static void an_image_without_execution_is_too(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, FORCE, 0);
    open_pe(&f, NTMM_SEC_IMAGE_NO_EXECUTE);
    expect_at(&f, anywhere, NTMM_STATUS_IMAGE_NOT_AT_BASE, BOTTOM);
    end(&f);
}

/* Its base is the image's in every process, whatever their policies. */
static void an_image_with_dynamic_base_lies_where_it_lies_for_all(void **state)
{
    struct fixture f;
    uint64_t base;
    (void)state;
    begin(&f, STRICT, DYNAMIC_BASE);
    open_pe(&f, NTMM_SEC_IMAGE);
    ntmm_handle other = make_process(&f.w);
    check_ok(map_as(&f, other, anywhere, &base));
    assert_true(base >= UINT64_C(0x7FF600000000));
    check_ok(ntmm_end_process(f.w.system, other));
    expect_at(&f, anywhere, NTMM_STATUS_SUCCESS, base);
    end(&f);
    /* also where it could not be moved */
    begin(&f, STRICT, DYNAMIC_BASE);
    pe_set16(&f.pe, PE_CHARACTERISTICS, 2 | STRIPPED);
    open_pe(&f, NTMM_SEC_IMAGE);
    expect_at(&f, anywhere, NTMM_STATUS_SUCCESS, PREFERRED);
    end(&f);
}

static void a_base_that_is_given_is_taken(void **state)
{
    static const struct wish there = {.base = PREFERRED}, elsewhere = {.base = 0x50000000};
    struct fixture f;
    (void)state;
    for (uint32_t stripped = 0; stripped <= STRIPPED; stripped++) {
        begin(&f, STRICT, 0);
        pe_set16(&f.pe, PE_CHARACTERISTICS, 2 | stripped);
        open_pe(&f, NTMM_SEC_IMAGE);
        expect_at(&f, there, NTMM_STATUS_SUCCESS, PREFERRED);
        expect_at(&f, there, NTMM_STATUS_CONFLICTING_ADDRESSES, PREFERRED);
        expect_at(&f, elsewhere, NTMM_STATUS_IMAGE_NOT_AT_BASE, 0x50000000);
        end(&f);
    }
}

/* Stripped is what is marked so: one without relocations that is not has nothing to relocate. */
static void a_stripped_image_stays_or_is_refused(void **state)
{
    static const struct {
        uint32_t flags;
        bool is_mapped;
    } rows[] = {
        {FORCE, true},
        {NTMM_PROCESS_DISALLOW_STRIPPED_IMAGES, true}, /* says nothing alone */
        {STRICT, false},
    };
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(&f, rows[i].flags, 0);
        pe_set16(&f.pe, PE_CHARACTERISTICS, 2 | STRIPPED);
        open_pe(&f, NTMM_SEC_IMAGE);
        uint64_t regions = about(&f.w, f.process).region_count;
        if (rows[i].is_mapped)
            expect_at(&f, anywhere, NTMM_STATUS_SUCCESS, PREFERRED);
        expect_at(&f, anywhere, NTMM_STATUS_CONFLICTING_ADDRESSES, 0);
        assert_int_equal(about(&f.w, f.process).region_count, regions + rows[i].is_mapped);
        end(&f);
    }
    begin(&f, STRICT, 0);
    pe_make(&f.pe, true);
    open_pe(&f, NTMM_SEC_IMAGE);
    expect_at(&f, anywhere, NTMM_STATUS_IMAGE_NOT_AT_BASE, BOTTOM);
    end(&f);
}

/* Where a search would find the image's own base it goes on, and no view lies over a part of it. */
static void its_place_counts_as_taken(void **state)
{
    static const struct {
        uint64_t preferred;
        struct wish wish;
        uint64_t expected;
    } rows[] = {
        {BOTTOM, {.size = GRANULE}, BOTTOM + GRANULE},
        {BOTTOM + GRANULE, {0}, BOTTOM + 4 * GRANULE}, /* three granules: below it is only one */
        {BOTTOM + 3 * GRANULE, {0}, BOTTOM},
        {BOTTOM, {.offset = GRANULE, .size = GRANULE}, BOTTOM}, /* would lie a granule higher */
        {BOTTOM,
         {.size = GRANULE, .type = NTMM_MEM_TOP_DOWN},
         NTMM_HIGHEST_VAD_ADDRESS + 1 - GRANULE},
        {NTMM_HIGHEST_VAD_ADDRESS + 1 - 3 * GRANULE,
         {.type = NTMM_MEM_TOP_DOWN},
         NTMM_HIGHEST_VAD_ADDRESS + 1 - 6 * GRANULE},
    };
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(&f, FORCE, 0);
        pe_add_section(&f.pe, 3 * (uint32_t)GRANULE - f.pe.next_rva, 0, PE_READ);
        pe_set64(&f.pe, PE_BASE_64, rows[i].preferred);
        open_pe(&f, NTMM_SEC_IMAGE);
        expect_at(&f, rows[i].wish, NTMM_STATUS_IMAGE_NOT_AT_BASE, rows[i].expected);
        end(&f);
    }
}

/* Two granules, of which the second is the image's own. A search looks below a bottom and above a
 * top that were drawn, which in so small a space lie at its ends. */
static void no_room_but_its_place_is_no_room(void **state)
{
    static const struct {
        uint32_t flags, type;
        ntmm_status status; /* of mapping it while the first granule is taken */
    } rows[] = {
        {0, 0, NTMM_STATUS_SUCCESS},
        {FORCE, 0, NTMM_STATUS_NO_MEMORY},
        {FORCE | NTMM_PROCESS_RANDOM_LAYOUT, 0, NTMM_STATUS_NO_MEMORY},
        {FORCE | NTMM_PROCESS_RANDOM_LAYOUT, NTMM_MEM_TOP_DOWN, NTMM_STATUS_NO_MEMORY},
    };
    struct fixture f;
    (void)state;
    begin(&f, 0, 0);
    pe_set64(&f.pe, PE_BASE_64, BOTTOM + GRANULE);
    open_pe(&f, NTMM_SEC_IMAGE);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct wish wish = {.type = rows[i].type};
        ntmm_handle narrow = make_with(&f.w, rows[i].flags, BOTTOM + 2 * GRANULE - 1);
        uint64_t base = BOTTOM, size = GRANULE;
        check_ok(ntmm_allocate_virtual_memory(f.w.system, narrow, &base, 0, &size, NTMM_MEM_RESERVE,
                                              NTMM_PAGE_READWRITE));
        assert_int_equal(map_as(&f, narrow, wish, &base), rows[i].status);
        release(&f.w, narrow, BOTTOM);
        assert_int_equal(map_as(&f, narrow, wish, &base), NTMM_STATUS_IMAGE_NOT_AT_BASE);
        assert_int_equal(base, BOTTOM);
        check_ok(ntmm_end_process(f.w.system, narrow));
    }
    end(&f);
}

/* 5.4: what is said of the machine comes first. */
static void images_of_32_bits(void **state)
{
    struct fixture f;
    uint64_t base;
    (void)state;
    begin(&f, FORCE, 0);
    pe_make(&f.pe, false);
    open_pe(&f, NTMM_SEC_IMAGE);
    expect_at(&f, anywhere, NTMM_STATUS_IMAGE_MACHINE_TYPE_MISMATCH, BOTTOM);
    ntmm_handle narrow = make_with(&f.w, FORCE | NTMM_PROCESS_WOW64, 0);
    assert_int_equal(map_as(&f, narrow, anywhere, &base), NTMM_STATUS_IMAGE_NOT_AT_BASE);
    assert_int_equal(base, BOTTOM);
    check_ok(ntmm_end_process(f.w.system, narrow));
    end(&f);
}

/* Views stay where they are, and the child's own are kept away too. */
static void a_clone_has_its_parent_s_policies(void **state)
{
    struct fixture f;
    ntmm_handle child = 0;
    uint64_t base;
    (void)state;
    begin(&f, STRICT, 0);
    open_pe(&f, NTMM_SEC_IMAGE);
    expect_at(&f, anywhere, NTMM_STATUS_IMAGE_NOT_AT_BASE, BOTTOM);
    check_ok(ntmm_clone_process(f.w.system, f.process, NULL, &child));
    assert_int_equal(query(&f.w, child, BOTTOM).type, NTMM_MEM_IMAGE);
    assert_int_equal(map_as(&f, child, anywhere, &base), NTMM_STATUS_IMAGE_NOT_AT_BASE);
    assert_int_equal(base, BOTTOM + GRANULE);
    check_ok(ntmm_end_process(f.w.system, child));
    end(&f);
}

/* In granules from 64 KiB up, on a machine of its own. */
static uint64_t slot_of(uint64_t seed, uint32_t flags, bool is_64)
{
    struct fixture f;
    uint64_t base;
    make_world(
        &f.w, (struct ntmm_emulated_config){.ram_bytes = 2 * MIB, .cpu_count = 1, .seed = seed}, 0);
    f.process = make_with(&f.w, flags, 0);
    pe_make(&f.pe, is_64);
    open_pe(&f, NTMM_SEC_IMAGE);
    assert_int_equal(map_as(&f, f.process, anywhere, &base), NTMM_STATUS_IMAGE_NOT_AT_BASE);
    assert_int_equal(base % GRANULE, 0);
    end(&f);
    return base / GRANULE - 1;
}

/* Every bit takes both values, and no bit more is there; 8 and 24 bits that are added may carry
 * into one.
 * covers 5.6#mandatory */
static void entropy_is_that_of_nt(void **state)
{
    const uint32_t random = FORCE | NTMM_PROCESS_RANDOM_LAYOUT;
    const struct {
        uint32_t flags;
        bool is_64;
        unsigned bits;
    } rows[] = {
        {random, true, 8},
        {random | NTMM_PROCESS_HIGH_ENTROPY, true, 24},
        {random | NTMM_PROCESS_WOW64, false, 8},
        {random | NTMM_PROCESS_WOW64 | NTMM_PROCESS_HIGH_ENTROPY, false, 8},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t ones = 0, zeros = 0, all = (UINT64_C(1) << rows[i].bits) - 1;
        for (uint64_t seed = 1; seed <= MACHINES; seed++) {
            uint64_t slot = slot_of(seed, rows[i].flags, rows[i].is_64);
            assert_in_range(slot, 0, rows[i].bits > 8 ? all + 255 : all);
            ones |= slot;
            zeros |= ~slot;
        }
        assert_int_equal(ones & all, all);
        assert_int_equal(zeros & all, all);
    }
}

/* One draw a process, not one an image. */
static void each_process_has_its_own_place(void **state)
{
    struct fixture f;
    uint64_t base, first;
    (void)state;
    begin(&f, FORCE | NTMM_PROCESS_RANDOM_LAYOUT | NTMM_PROCESS_HIGH_ENTROPY, 0);
    open_pe(&f, NTMM_SEC_IMAGE);
    assert_int_equal(map_as(&f, f.process, anywhere, &first), NTMM_STATUS_IMAGE_NOT_AT_BASE);
    ntmm_handle other =
        make_with(&f.w, FORCE | NTMM_PROCESS_RANDOM_LAYOUT | NTMM_PROCESS_HIGH_ENTROPY, 0);
    assert_int_equal(map_as(&f, other, anywhere, &base), NTMM_STATUS_IMAGE_NOT_AT_BASE);
    assert_int_not_equal(base, first);
    check_ok(ntmm_end_process(f.w.system, other));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_without_dynamic_base_is_kept_away),
        cmocka_unit_test(an_image_without_execution_is_too),
        cmocka_unit_test(an_image_with_dynamic_base_lies_where_it_lies_for_all),
        cmocka_unit_test(a_base_that_is_given_is_taken),
        cmocka_unit_test(a_stripped_image_stays_or_is_refused),
        cmocka_unit_test(its_place_counts_as_taken),
        cmocka_unit_test(no_room_but_its_place_is_no_room),
        cmocka_unit_test(images_of_32_bits),
        cmocka_unit_test(a_clone_has_its_parent_s_policies),
        cmocka_unit_test(entropy_is_that_of_nt),
        cmocka_unit_test(each_process_has_its_own_place),
    };
    return cmocka_run_group_tests_name("force_relocate_images", tests, NULL, NULL);
}
