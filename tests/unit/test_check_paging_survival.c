/*
 * The checker survives any flipped bit of a paging scene, of its tables in page files too; it says
 * no more than it can see; and it knows a process whose end failed.
 */
#include "unit/paging_scene.h"

#include "base/prng.h"

static ntmm_status read_nothing(void *context, uint64_t device, uint64_t offset_bytes, void *buffer,
                                size_t size_bytes)
{
    uint32_t *calls = context;
    (void)device;
    assert_int_equal(offset_bytes % PAGE, 0);
    assert_int_equal(size_bytes, PAGE);
    memset(buffer, 0xFF, size_bytes); /* what a failed read leaves is not looked at */
    ++*calls;
    return NTMM_STATUS_DEVICE_DATA_ERROR;
}

/* What lies on the disk is unknown to it, and is not asked for where a table is in memory. */
static void a_reader_that_fails_is_no_reader(void **state)
{
    uint32_t calls = 0;
    (void)state;
    struct machine *m = paging_scene_open();
    assert_int_equal(ntmm_check_with_storage(m->system, m->scratch, m->scratch_size, read_nothing,
                                             &calls, &m->report),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(calls, 3); /* LEAF_OUT, above ABOVE_OUT, and the table being read */
    paging_scene_close(m);
}

/* A change inside the bounds is not seen without a reader, and is with one. */
static void bounds_are_not_exact(void **state)
{
    (void)state;
    struct machine *m = paging_scene_open();
    struct vad *vad = machine_vad(m, SCENE_LEAF_OUT);
    struct process *process = machine_object(m);
    struct partition *partition = machine_partition(m);
    set64(&vad->commit_pages, get64(&vad->commit_pages) - 1);
    set64(&process->commit_pages, get64(&process->commit_pages) - 1);
    store64_relaxed(&partition->commit, load64_relaxed(&partition->commit) - 1);
    assert_int_equal(machine_check_without_storage(m), NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_check(m), NTMM_STATUS_INTERNAL_ERROR);
    assert_string_equal(m->report.invariant, "V4");
    set64(&vad->commit_pages, get64(&vad->commit_pages) + 1);
    set64(&process->commit_pages, get64(&process->commit_pages) + 1);
    store64_relaxed(&partition->commit, load64_relaxed(&partition->commit) + 1);
    paging_scene_close(m);
}

/* Four pages of scratch, a bit a slot of each file, four bytes a frame. */
static void scratch_grows_with_page_files(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    uint64_t frames = get64(&machine_partition(m)->total_pages);
    assert_int_equal(ntmm_check_scratch_size(m->system), 4 * frames + 4 * PAGE);
    must_add_file(m, 16 * MIB, 0, NULL);
    assert_int_equal(ntmm_check_scratch_size(m->system), 4 * frames + 4 * PAGE + 4096 / 8);
    machine_close(m);
}

/* Its tables come back one by one until one cannot be read: it is there, half released. */
static void a_process_whose_end_failed_is_sound(void **state)
{
    (void)state;
    struct machine *m = paging_scene_open();
    must_fail_disk(m, 0, NTMM_IO_READ, UINT64_MAX, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(get32(&machine_object(m)->state), PROCESS_END_FAILED);
    machine_assert_sound(m);
    assert_int_equal(machine_check_without_storage(m), NTMM_STATUS_SUCCESS);
    must_fail_disk(m, 0, NTMM_IO_READ, 0, 0, 0, 0);
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_SUCCESS);
    paging_scene_close(m);
}

/* --- flipped bits --- */

/* Frames that the checker reads as structures, but for the anchor: its layout of RAM is trusted. */
static uint8_t *pick_structure(struct machine *m, struct prng *prng)
{
    uint8_t *ram = ntmm_emulated_arena(m->emu, NULL);
    uint64_t total = get64(&machine_partition(m)->total_pages);
    for (;;) {
        uint64_t frame = prng_between(prng, 1, total - 1);
        enum ntmm_frame_use use = pfn_use(machine_row(m, frame));
        if (use != NTMM_USE_FREE && use != NTMM_USE_PRIVATE)
            return ram + frame * PAGE;
    }
}

/* A table in the page file, of leaves or above them. */
static uint8_t *pick_stored(struct machine *m, struct prng *prng)
{
    le64 *table = prng_below(prng, 2) ? scene_stored_table(m, SCENE_LEAF_OUT, 2)
                                      : scene_stored_table(m, SCENE_ABOVE_OUT, 3);
    return (uint8_t *)table;
}

static uint32_t flip_and_check(struct machine *m, struct prng *prng,
                               uint8_t *(*pick)(struct machine *m, struct prng *prng))
{
    uint8_t *byte = pick(m, prng) + prng_below(prng, PAGE);
    uint8_t bit = (uint8_t)(1u << prng_below(prng, 8));
    *byte ^= bit;
    bool is_found = machine_check(m) == NTMM_STATUS_INTERNAL_ERROR;
    (void)machine_check_without_storage(m);
    *byte ^= bit;
    return is_found;
}

static void any_flipped_bit_is_survived(void **state)
{
    const uint32_t flips = 3000;
    uint32_t found = 0;
    uint32_t found_stored = 0;
    struct prng prng;
    (void)state;
    struct machine *m = paging_scene_open();
    prng_seed(&prng, 2);
    for (uint32_t i = 0; i < flips; i++)
        found += flip_and_check(m, &prng, pick_structure);
    for (uint32_t i = 0; i < flips; i++)
        found_stored += flip_and_check(m, &prng, pick_stored);
    print_message("%u of %u flipped bits are found, of stored tables %u\n", found, flips,
                  found_stored);
    assert_true(found > flips / 2);
    assert_true(found_stored > flips - flips / 20); /* the mark of a stored swizzle means nothing */
    paging_scene_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_that_fails_is_no_reader),
        cmocka_unit_test(bounds_are_not_exact),
        cmocka_unit_test(scratch_grows_with_page_files),
        cmocka_unit_test(a_process_whose_end_failed_is_sound),
        cmocka_unit_test(any_flipped_bit_is_survived),
    };
    return cmocka_run_group_tests_name("check_paging_survival", tests, NULL, NULL);
}
