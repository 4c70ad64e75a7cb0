/*
 * The checker survives any flipped bit of a scene with sections, two at once, and whole words that
 * lead anywhere; and its scratch memory grows with control areas.
 */
#include "unit/section_scene.h"

#include "base/prng.h"

#define FLIPS 3000u
#define WORDS 3000u

/* A word of a frame that the checker reads as a structure, but for the anchor: its layout of RAM is
 * trusted. Half of them lie in slabs, or in the table of objects. */
static uint8_t *pick_word(struct machine *m, struct prng *prng)
{
    uint8_t *ram = ntmm_emulated_arena(m->emu, NULL);
    uint64_t total = get64(&machine_partition(m)->total_pages);
    bool is_object = prng_below(prng, 2) != 0;
    for (;;) {
        uint64_t frame = prng_between(prng, 1, total - 1);
        enum ntmm_frame_use use = pfn_use(machine_row(m, frame));
        bool is_wanted =
            is_object ? use == NTMM_USE_SLAB || use == NTMM_USE_OBJECT || use == NTMM_USE_PROTOTYPE
                      : use != NTMM_USE_FREE && use != NTMM_USE_PRIVATE;
        if (is_wanted)
            return ram + frame * PAGE + prng_below(prng, PAGE / 8) * 8;
    }
}

static bool is_found(struct machine *m)
{
    bool found = machine_check(m) == NTMM_STATUS_INTERNAL_ERROR;
    if (found)
        assert_true(m->report.invariant[0] != 0);
    (void)machine_check_without_storage(m);
    return found;
}

static void any_flipped_bits_are_survived(void **state)
{
    uint32_t found = 0;
    struct prng prng;
    (void)state;
    struct machine *m = section_scene_open();
    prng_seed(&prng, 3);
    for (uint32_t i = 0; i < FLIPS; i++) {
        uint8_t *first = pick_word(m, &prng) + prng_below(&prng, 8);
        uint8_t *second = pick_word(m, &prng) + prng_below(&prng, 8);
        uint8_t bit = (uint8_t)(1u << prng_below(&prng, 8));
        uint8_t other = i % 2 ? (uint8_t)(1u << prng_below(&prng, 8)) : 0;
        *first ^= bit;
        *second ^= other;
        found += is_found(m);
        *second ^= other;
        *first ^= bit;
    }
    print_message("%u of %u flips are found\n", found, FLIPS);
    assert_true(found > FLIPS / 3);
    machine_assert_sound(m);
    section_scene_close(m);
}

/* What another word of a structure says, or the reference of any frame, or of any place in one. */
static uint64_t pick_value(struct machine *m, struct prng *prng)
{
    uint64_t total = get64(&machine_partition(m)->total_pages);
    uint64_t frame = prng_below(prng, total + 2);
    uint64_t value;
    switch (prng_below(prng, 4)) {
    case 0:
        memcpy(&value, pick_word(m, prng), sizeof value);
        return value;
    case 1:
        return m->system->core_base + frame * PAGE + prng_below(prng, PAGE / 64) * 64;
    case 2:
        return prng_below(prng, 1ull << prng_below(prng, 40));
    default:
        return prng_next(prng);
    }
}

static void any_word_is_survived(void **state)
{
    uint32_t found = 0;
    struct prng prng;
    (void)state;
    struct machine *m = section_scene_open();
    prng_seed(&prng, 5);
    for (uint32_t i = 0; i < WORDS; i++) {
        uint8_t *word = pick_word(m, &prng);
        uint64_t value = pick_value(m, &prng);
        uint64_t before;
        memcpy(&before, word, sizeof before);
        memcpy(word, &value, sizeof value);
        found += is_found(m);
        memcpy(word, &before, sizeof before);
    }
    print_message("%u of %u words are found\n", found, WORDS);
    assert_true(found > WORDS / 3);
    machine_assert_sound(m);
    section_scene_close(m);
}

static void scratch_grows_with_areas(void **state)
{
    const uint64_t size = PAGE;
    ntmm_handle section;
    (void)state;
    struct machine *m = machine_open(NULL);
    size_t before = ntmm_check_scratch_size(m->system);
    assert_int_equal(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &size,
                                         NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0),
                     NTMM_STATUS_SUCCESS);
    uint32_t capacity = get32(&machine_anchor(m)->slabs[SLAB_CONTROL_AREA].capacity);
    assert_int_equal(ntmm_check_scratch_size(m->system), before + 8 + 12 * capacity);
    void *scratch = malloc(before);
    assert_non_null(scratch);
    assert_int_equal(ntmm_check(m->system, scratch, before, &m->report),
                     NTMM_STATUS_BUFFER_TOO_SMALL);
    free(scratch);
    machine_assert_sound(m);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_flipped_bits_are_survived),
        cmocka_unit_test(any_word_is_survived),
        cmocka_unit_test(scratch_grows_with_areas),
    };
    return cmocka_run_group_tests_name("check_sections_survival", tests, NULL, NULL);
}
