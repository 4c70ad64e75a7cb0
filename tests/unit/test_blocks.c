/*
 * Blocks of transfers: pools, users, submission, and waiting.
 */
#include "unit/storage.h"

static struct machine *open_disk(uint64_t *device)
{
    struct machine *m = machine_open_bare(NULL);
    *device = must_add_disk(m, MIB, 4 * MIB, 0);
    return m;
}

/* --- pools --- */

static void a_pool_gives_each_block_once(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    struct transfer_block *reads[READ_BLOCKS], *writes[WRITE_BLOCKS];
    for (uint32_t i = 0; i < READ_BLOCKS; i++) {
        reads[i] = block_take_read(&c, 1);
        assert_non_null(reads[i]);
        assert_int_equal(block_number(&c, reads[i]), i);
        assert_ptr_equal(block_at(&c, i), reads[i]);
        assert_ptr_equal(reads[i]->io.spans, reads[i]->spans);
        assert_ptr_equal(reads[i]->io.context, reads[i]);
    }
    for (uint32_t i = 0; i < WRITE_BLOCKS; i++) {
        writes[i] = block_take_write(&c);
        assert_non_null(writes[i]);
        writes[i]->spans[NTMM_WRITE_CLUSTER_MAXIMUM - 1].frame = i;
    }
    assert_int_equal(writes[1]->spans[NTMM_WRITE_CLUSTER_MAXIMUM - 1].frame, 1);
    assert_int_equal(c.want.kind, WANT_NOTHING);
    assert_null(block_take_write(&c));
    assert_int_equal(c.want.kind, WANT_NOTHING);
    assert_null(block_take_read(&c, 1));
    assert_int_equal(c.want.kind, WANT_BLOCK);
    assert_int_equal(transfers_in_use(&c), READ_BLOCKS + WRITE_BLOCKS);
    for (uint32_t i = 0; i < READ_BLOCKS; i++)
        block_leave(&c, reads[i]);
    for (uint32_t i = 0; i < WRITE_BLOCKS; i++)
        block_leave(&c, writes[i]);
    assert_int_equal(transfers_in_use(&c), 0);
    machine_close(m);
}

static void the_last_user_frees_a_block(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    struct transfer_block *block = block_take_read(&c, 2);
    block_join(&c, block);
    block_leave(&c, block);
    block_leave(&c, block);
    assert_int_equal(transfers_in_use(&c), 1);
    block_finish(&c, block);
    assert_int_equal(transfers_in_use(&c), 0);
    assert_ptr_equal(block_take_read(&c, 1), block);
    assert_int_equal(block->is_done, 0);
    block_leave(&c, block);
    machine_close(m);
}

static void a_wait_for_a_block_is_woken_when_one_is_free(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    struct ntmm_wait wait = {0};
    assert_false(block_wait_for_read(&c, &wait));
    for (uint32_t i = 0; i < READ_BLOCKS; i++)
        assert_non_null(block_take_read(&c, 1));
    assert_true(block_wait_for_read(&c, &wait));
    assert_int_equal(wait.is_woken, 0);
    block_leave(&c, block_at(&c, 7));
    assert_int_equal(wait.is_woken, 1);
    assert_int_equal(wait.is_queued, 0);
    assert_ptr_equal(block_take_read(&c, 1), block_at(&c, 7));
    for (uint32_t i = 0; i < READ_BLOCKS; i++)
        block_leave(&c, block_at(&c, i));
    machine_close(m);
}

static void finishing_wakes_who_waits_for_the_transfer(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    struct ntmm_wait first = {0}, second = {0};
    struct transfer_block *block = block_take_read(&c, 3);
    waiters_add(&c, &block->waits, &first);
    waiters_add(&c, &block->waits, &second);
    block_finish(&c, block);
    assert_int_equal(first.is_woken, 1);
    assert_int_equal(second.is_woken, 1);
    assert_int_equal(block->is_done, 1);
    block_leave(&c, block);
    block_leave(&c, block);
    machine_close(m);
}

/* --- the reference of a read's target --- */

/* A frame in transition with two references, one of them the block's. */
static void leave_read(ntmm_status status, uint16_t expected)
{
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    uint64_t frame;
    assert_true(frame_allocate(&c, NTMM_USE_PRIVATE, &frame));
    struct pfn *row = machine_row(m, frame);
    set16(&row->reference_count, 2);
    struct transfer_block *block = block_take_read(&c, 2);
    block->target_frame = frame;
    block->io.operation = NTMM_IO_READ;
    block->io.status = status;
    block_finish(&c, block);
    assert_int_equal(get16(&row->reference_count), 2);
    block_leave(&c, block);
    assert_int_equal(get16(&row->reference_count), expected);
    frame_free(&c, frame);
    machine_close(m);
}

static void the_last_user_of_a_read_drops_the_targets_reference(void **state)
{
    (void)state;
    leave_read(NTMM_STATUS_SUCCESS, 1);
    leave_read(NTMM_STATUS_DEVICE_DATA_ERROR, 2); /* it had none: the frame is free by then */
}

/* --- transfers --- */

static void a_transfer_is_waited_for(void **state)
{
    (void)state;
    uint64_t device, size;
    struct machine *m = open_disk(&device);
    struct call c = machine_call(m);
    assert_int_equal(transfer_and_wait(&c, device, NTMM_IO_EXTEND, 2 * MIB), NTMM_STATUS_SUCCESS);
    assert_non_null(ntmm_emulated_disk_image(m->emu, device, &size));
    assert_int_equal(size, 2 * MIB);
    assert_int_equal(transfer_and_wait(&c, device, NTMM_IO_EXTEND, MIB), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer_and_wait(&c, device, NTMM_IO_FLUSH, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer_and_wait(&c, device, NTMM_IO_EXTEND, 5 * MIB), NTMM_STATUS_DISK_FULL);
    assert_int_equal(transfer_and_wait(&c, device + 1, NTMM_IO_FLUSH, 0),
                     NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(transfers_in_use(&c), 0);
    machine_close(m);
}

static void a_platform_that_only_pumps_is_pumped(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_disk(&device);
    struct call c = machine_call(m);
    m->system->platform.wait = NULL;
    assert_int_equal(transfer_and_wait(&c, device, NTMM_IO_EXTEND, 2 * MIB), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfers_in_use(&c), 0);
    machine_close(m);
}

/* The block outlives the call that gave up, and is free once the transfer is complete. */
static void a_platform_that_cannot_wait_keeps_the_block_until_the_end(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_disk(&device);
    struct call c = machine_call(m);
    void (*pump)(void *) = m->system->platform.pump;
    m->system->platform.wait = NULL;
    m->system->platform.pump = NULL;
    assert_int_equal(transfer_and_wait(&c, device, NTMM_IO_EXTEND, 2 * MIB), NTMM_STATUS_CANT_WAIT);
    assert_int_equal(transfers_in_use(&c), 1);
    must_finish_transfers(m);
    assert_int_equal(transfers_in_use(&c), 0);
    m->system->platform.pump = pump;
    machine_close(m);
}

static void a_transfer_that_completes_at_once_needs_no_waiting(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    uint64_t device = must_add_disk(m, MIB, 2 * MIB, NTMM_EMULATED_DISK_INLINE);
    m->system->platform.wait = NULL;
    m->system->platform.pump = NULL;
    assert_int_equal(transfer_and_wait(&c, device, NTMM_IO_EXTEND, 2 * MIB), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfers_in_use(&c), 0);
    machine_close(m);
}

static void without_storage_a_transfer_is_not_supported(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    m->system->platform.submit = NULL;
    assert_int_equal(transfer_and_wait(&c, 0, NTMM_IO_FLUSH, 0), NTMM_STATUS_NOT_SUPPORTED);
    assert_int_equal(transfers_in_use(&c), 0);
    machine_close(m);
}

/* All blocks are in use, one of them by a transfer: its end lets the waiting one begin. */
static void a_transfer_waits_for_a_block(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_disk(&device);
    struct call c = machine_call(m);
    void (*pump)(void *) = m->system->platform.pump;
    ntmm_status (*wait)(void *, struct ntmm_wait *, uint64_t) = m->system->platform.wait;
    m->system->platform.wait = NULL;
    m->system->platform.pump = NULL;
    assert_int_equal(transfer_and_wait(&c, device, NTMM_IO_EXTEND, 2 * MIB), NTMM_STATUS_CANT_WAIT);
    for (uint32_t i = 1; i < READ_BLOCKS; i++)
        assert_non_null(block_take_read(&c, 1));
    assert_int_equal(transfer_and_wait(&c, device, NTMM_IO_FLUSH, 0), NTMM_STATUS_CANT_WAIT);
    m->system->platform.wait = wait;
    m->system->platform.pump = pump;
    assert_int_equal(transfer_and_wait(&c, device, NTMM_IO_EXTEND, 3 * MIB), NTMM_STATUS_SUCCESS);
    for (uint32_t i = 1; i < READ_BLOCKS; i++)
        block_leave(&c, block_at(&c, i));
    assert_int_equal(transfers_in_use(&c), 0);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_gives_each_block_once),
        cmocka_unit_test(the_last_user_frees_a_block),
        cmocka_unit_test(a_wait_for_a_block_is_woken_when_one_is_free),
        cmocka_unit_test(finishing_wakes_who_waits_for_the_transfer),
        cmocka_unit_test(the_last_user_of_a_read_drops_the_targets_reference),
        cmocka_unit_test(a_transfer_is_waited_for),
        cmocka_unit_test(a_platform_that_only_pumps_is_pumped),
        cmocka_unit_test(a_platform_that_cannot_wait_keeps_the_block_until_the_end),
        cmocka_unit_test(a_transfer_that_completes_at_once_needs_no_waiting),
        cmocka_unit_test(without_storage_a_transfer_is_not_supported),
        cmocka_unit_test(a_transfer_waits_for_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
