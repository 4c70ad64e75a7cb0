/*
 * Where images go when they may move: each kind in its region, none over another, and where they
 * would like to be when a region is full. Expectations: nt_semantics 5.5, 5.6; what is ours stands
 * in docs/fidelity.md and core/section/image_base.c.
 */
#include "section_world.h"

#include "base/instance.h"
#include "pe_file.h"

#define GRANULE UINT64_C(0x10000)
#define LIBRARY 0x2000u /* Characteristics */
#define MOVES 0x160u    /* DllCharacteristics: NX, dynamic base, high entropy */
#define MOST 16u

#define LIBRARIES_START UINT64_C(0x7FF800000000)
#define LIBRARIES_END UINT64_C(0x7FFFFFFF0000)
#define PROGRAMS_START UINT64_C(0x7FF600000000)
#define PROGRAMS_END UINT64_C(0x7FF7FFFF0000)
#define LOW_START UINT64_C(0x50000000)
#define LOW_END UINT64_C(0x78000000)

struct fixture {
    struct world w;
    ntmm_handle process;
    struct pe_file pe;
    ntmm_handle section[MOST];
    uint64_t base[MOST], size[MOST];
    uint32_t count;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    make_section_world(&f->w, 8 * MIB);
    f->process = make_process(&f->w);
    *state = f;
    return 0;
}

static void close_images(struct fixture *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        close_section(&f->w, f->section[i]);
    f->count = 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_images(f);
    check_ok(ntmm_end_process(f->w.system, f->process));
    end_world(&f->w);
    free(f);
    return 0;
}

/* One relocation, and pages without a file up to a size. */
static void make_movable(struct fixture *f, bool is_64, uint32_t characteristics, uint64_t size)
{
    struct pe_file *pe = &f->pe;
    pe_make(pe, is_64);
    uint32_t header = pe_add_section(pe, 0x40, 0x200, PE_READ);
    uint32_t rva = pe_get32(pe, header + 12), at = pe_get32(pe, header + 20);
    pe_set32(pe, at, 0x1000);
    pe_set32(pe, at + 4, 12);
    pe_set16(pe, at + 8, (is_64 ? 10u : 3u) << 12 | 0x10);
    pe_set16(pe, at + 10, 0);
    pe_set_directory(pe, PE_DIRECTORY_RELOCATION, rva, 12);
    pe_add_section(pe, (uint32_t)size - pe->next_rva, 0, PE_READ);
    pe_set16(pe, PE_CHARACTERISTICS, 2 | characteristics);
    pe_set16(pe, PE_DLL_CHARACTERISTICS, MOVES);
}

/* Its base is where the first view goes, which is unmapped: the base stays the image's. */
static uint64_t place(struct fixture *f, uint64_t size)
{
    uint64_t base = 0, view = 0;
    assert_true(f->count < MOST);
    ntmm_handle file = open_contents(&f->w, f->pe.bytes, f->pe.size_bytes);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, file);
    ntmm_status status =
        ntmm_map_view_of_section(f->w.system, section, f->process, &base, 0, 0, NULL, &view,
                                 NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY);
    assert_int_equal(status,
                     f->pe.is_64 ? NTMM_STATUS_SUCCESS : NTMM_STATUS_IMAGE_MACHINE_TYPE_MISMATCH);
    unmap(&f->w, f->process, base);
    close_file(&f->w, file);
    f->section[f->count] = section;
    f->base[f->count] = base;
    f->size[f->count++] = size;
    check_world(&f->w);
    return base;
}

static void expect_in(uint64_t base, uint64_t size, uint64_t start, uint64_t end)
{
    assert_int_equal(base % GRANULE, 0);
    assert_true(base >= start && base + size <= end);
}

static void expect_apart(const struct fixture *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        for (uint32_t j = 0; j < i; j++)
            assert_true(f->base[i] + f->size[i] <= f->base[j] ||
                        f->base[j] + f->size[j] <= f->base[i]);
}

/* Each below the one before, from a random slot; around the end of the region once. */
static void libraries_go_downwards(void **state)
{
    struct fixture *f = *state;
    uint32_t climbs = 0;
    make_movable(f, true, LIBRARY, 3 * MIB);
    pe_set64(&f->pe, PE_BASE_64, UINT64_C(0x180000000));
    for (uint32_t i = 0; i < 8; i++) {
        expect_in(place(f, 3 * MIB), 3 * MIB, LIBRARIES_START, LIBRARIES_END);
        climbs += i > 0 && f->base[i] > f->base[i - 1];
    }
    expect_apart(f);
    assert_true(climbs <= 1);
}

/* 17 bits: a slot of its own each. */
static void programs_go_anywhere(void **state)
{
    struct fixture *f = *state;
    uint64_t first = 0;
    bool is_ordered = true;
    make_movable(f, true, 0, 0x10000);
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t base = place(f, 0x10000);
        expect_in(base, 0x10000, PROGRAMS_START, PROGRAMS_END);
        is_ordered &= i == 0 || base < first;
        first = base;
    }
    expect_apart(f);
    assert_false(is_ordered);
}

/* 32-bit ones, and 64-bit ones that would like to be there. */
static void libraries_below_4_gib_stay_there(void **state)
{
    struct fixture *f = *state;
    make_movable(f, false, LIBRARY, MIB);
    pe_set32(&f->pe, PE_BASE_32, 0x10000000);
    for (uint32_t i = 0; i < 4; i++)
        expect_in(place(f, MIB), MIB, LOW_START, LOW_END);
    make_movable(f, true, LIBRARY, MIB);
    pe_set64(&f->pe, PE_BASE_64, 0x10000000);
    expect_in(place(f, MIB), MIB, LOW_START, LOW_END);
    expect_apart(f);
}

/* The region has 640 MiB, room for 6.67 images of 96 MiB: wherever the first one went, above it and
 * below it less than one is lost each, so that five fit; seven never do. */
static void a_full_region_leaves_libraries_where_they_want_to_be(void **state)
{
    const uint64_t size = 96 * MIB;
    struct fixture *f = *state;
    uint32_t inside = 0;
    make_movable(f, false, LIBRARY, size);
    pe_set32(&f->pe, PE_BASE_32, 0x10000000);
    for (uint32_t i = 0; i < 9; i++) {
        uint64_t base = place(f, size);
        if (base == 0x10000000)
            continue;
        assert_int_equal(inside, i); /* once it is full it stays so */
        expect_in(base, size, LOW_START, LOW_END);
        inside++;
    }
    assert_in_range(inside, 5, 6);
    uint32_t count = f->count;
    f->count = inside;
    expect_apart(f);
    f->count = count;
    /* an image that is larger than the region never fits */
    make_movable(f, false, LIBRARY, 640 * MIB + GRANULE);
    assert_int_equal(place(f, 640 * MIB + GRANULE), 0x400000);
}

/* When images are gone their place is free again. */
static void a_place_is_given_back(void **state)
{
    struct fixture *f = *state;
    make_movable(f, false, LIBRARY, 400 * MIB);
    pe_set32(&f->pe, PE_BASE_32, 0x10000000);
    for (uint32_t round = 0; round < 4; round++) {
        expect_in(place(f, 400 * MIB), 400 * MIB, LOW_START, LOW_END);
        assert_int_equal(place(f, 400 * MIB), 0x10000000); /* no second one fits */
        close_images(f);
        check_world(&f->w);
    }
}

static bool is_over_another(const struct fixture *f, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (f->base[n] < f->base[i] + f->size[i] && f->base[i] < f->base[n] + f->size[n])
            return true;
    return false;
}

/* 8 bits: at most 255 slots above the preferred base. Of the 256 places to begin at each image
 * takes from 64 to 127, so that three or four find one. */
static void programs_below_4_gib_go_near(void **state)
{
    struct fixture *f = *state;
    const uint64_t size = 64 * GRANULE;
    uint32_t inside = 0;
    make_movable(f, false, 0, size);
    pe_set32(&f->pe, PE_BASE_32, 0x400000);
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t base = place(f, size);
        expect_in(base, size, 0x400000, 0x400000 + 255 * GRANULE + size);
        if (is_over_another(f, i))
            assert_int_equal(base, 0x400000); /* where it wants to be */
        else
            inside++;
    }
    assert_in_range(inside, 3, 4);
}

/* Not over the shared page below 2 GiB. */
static void a_program_at_the_top_stays_below_it(void **state)
{
    struct fixture *f = *state;
    make_movable(f, false, 0, 2 * GRANULE);
    pe_set32(&f->pe, PE_BASE_32, 0x7FF00000);
    for (uint32_t i = 0; i < 4; i++)
        expect_in(place(f, 2 * GRANULE), 2 * GRANULE, 0x7FF00000, 0x7FFE0000);
    expect_apart(f);
    make_movable(f, false, 0, 64 * GRANULE);
    pe_set32(&f->pe, PE_BASE_32, 0x7FF00000);
    /* there is no room near: its base is the one it wants; this process has no shared page */
    assert_int_equal(place(f, 64 * GRANULE), 0x7FF00000);
}

/* Without entropy the seed alone says where they go. */
static void the_seed_says_where(void **state)
{
    struct fixture *f = *state;
    struct fixture other = {.count = 0};
    make_section_world(&other.w, 8 * MIB);
    other.process = make_process(&other.w);
    for (uint32_t i = 0; i < 2; i++) {
        struct fixture *each = i == 0 ? f : &other;
        each->w.system->platform.entropy = NULL;
        make_movable(each, true, LIBRARY, MIB);
        expect_in(place(each, MIB), MIB, LIBRARIES_START, LIBRARIES_END);
        make_movable(each, true, 0, MIB);
        expect_in(place(each, MIB), MIB, PROGRAMS_START, PROGRAMS_END);
    }
    assert_int_equal(f->base[0], other.base[0]);
    assert_int_equal(f->base[1], other.base[1]);
    close_images(&other);
    check_ok(ntmm_end_process(other.w.system, other.process));
    end_world(&other.w);
}

/* Of the first image of each kind on so many machines, the slots in its region: every bit of the
 * entropy takes both values, and no other bit is there. */
#define MACHINES 48u

struct kind {
    bool is_64;
    uint32_t characteristics;
    uint64_t preferred, start, slots; /* slots: of 64 KiB, so many that it may begin at */
};

static uint64_t first_slot(uint64_t seed, const struct kind *kind)
{
    struct fixture f = {.count = 0};
    make_world(
        &f.w, (struct ntmm_emulated_config){.ram_bytes = 2 * MIB, .cpu_count = 1, .seed = seed}, 0);
    f.process = make_process(&f.w);
    make_movable(&f, kind->is_64, kind->characteristics, GRANULE);
    if (kind->is_64)
        pe_set64(&f.pe, PE_BASE_64, kind->preferred);
    else
        pe_set32(&f.pe, PE_BASE_32, (uint32_t)kind->preferred);
    uint64_t slot = (place(&f, GRANULE) - kind->start) / GRANULE;
    close_images(&f);
    check_ok(ntmm_end_process(f.w.system, f.process));
    end_world(&f.w);
    return slot;
}

static void entropy_is_that_of_nt(void **state)
{
    static const struct kind kinds[] = {
        {true, LIBRARY, UINT64_C(0x180000000), LIBRARIES_START, 1u << 19}, /* 19 bits */
        {true, 0, UINT64_C(0x140000000), PROGRAMS_START, 1u << 17},        /* 17 bits */
        {false, LIBRARY, 0x10000000, LOW_START, 0x2800},                   /* nearly 14 bits */
        {true, LIBRARY, UINT64_C(0xFFFF0000), LOW_START, 0x2800},          /* below 4 GiB too */
        {false, 0, 0x400000, 0x400000, 1u << 8},                           /* 8 bits */
        {true, 0, 0x400000, 0x400000, 1u << 8},                            /* 8: below 4 GiB */
    };
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        uint64_t ones = 0, zeros = 0;
        for (uint64_t seed = 1; seed <= MACHINES; seed++) {
            uint64_t slot = first_slot(seed, &kinds[i]);
            assert_true(slot < kinds[i].slots);
            ones |= slot;
            zeros |= ~slot;
        }
        for (uint64_t bit = 1; bit < kinds[i].slots; bit <<= 1)
            assert_true((ones & bit) != 0 && (zeros & bit) != 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(libraries_go_downwards),
        TEST(programs_go_anywhere),
        TEST(libraries_below_4_gib_stay_there),
        TEST(a_full_region_leaves_libraries_where_they_want_to_be),
        TEST(a_place_is_given_back),
        TEST(programs_below_4_gib_go_near),
        TEST(a_program_at_the_top_stays_below_it),
        TEST(the_seed_says_where),
        cmocka_unit_test(entropy_is_that_of_nt),
    };
    return cmocka_run_group_tests_name("image_base", tests, NULL, NULL);
}
