/*
 * The nodes of the tree of regions: a reservation that needs a VAD and one, two or three nodes, and
 * gets only the first of them; and what a process leaves.
 */
#include "unit/machine.h"

#define FULL 55u /* regions of a leaf */
#define LEFT 43u /* of these stay when regions come in ascending order */
#define STEP (2 * KIB64)
#define OBJECTS_MAX 256u
#define RAM_BYTES (2 * MIB)

/* What the test holds, so that nobody else can. */
struct hoard {
    uint64_t refs[OBJECTS_MAX];
    uint32_t ref_count;
    uint64_t frames[RAM_BYTES / 4096];
    uint32_t frame_count;
};

/* Take all objects of a class that need no frame, and leave `left` of them. */
static void hoard_objects(struct machine *m, struct hoard *hoard, enum slab_kind kind,
                          uint32_t left)
{
    struct call c = machine_call(m);
    uint32_t first = hoard->ref_count;
    while (slab_has_room(&c, kind) || hoard->ref_count - first < left)
        hoard->refs[hoard->ref_count++] = slab_allocate(&c, kind, 0);
    for (; left > 0; left--)
        slab_release(&c, hoard->refs[--hoard->ref_count]);
}

static void hoard_frames(struct machine *m, struct hoard *hoard, uint32_t left)
{
    struct call c = machine_call(m);
    while (frame_allocate_zeroed(&c, NTMM_USE_FREE, &hoard->frames[hoard->frame_count]))
        hoard->frame_count++;
    for (; left > 0; left--)
        frame_free(&c, hoard->frames[--hoard->frame_count]);
}

static void let_go(struct machine *m, struct hoard *hoard)
{
    struct call c = machine_call(m);
    while (hoard->ref_count > 0)
        slab_release(&c, hoard->refs[--hoard->ref_count]);
    while (hoard->frame_count > 0)
        frame_free(&c, hoard->frames[--hoard->frame_count]);
}

static ntmm_status reserve_next(struct machine *m)
{
    uint64_t base = BASE + machine_process(m).region_count * STEP;
    return try_allocate(m, base, KIB64, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
}

/* Regions in ascending order, until the last leaf, and above it `levels` nodes, are full. */
static struct machine *open_full(uint32_t levels)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM_BYTES}};
    struct machine *m = machine_open(&setup);
    uint32_t regions = FULL;
    for (uint32_t i = 0, below = LEFT; i < levels; i++, below *= LEFT)
        regions += (FULL - 1) * below; /* of the other children */
    while (machine_process(m).region_count < regions)
        assert_int_equal(reserve_next(m), NTMM_STATUS_SUCCESS);
    return m;
}

/*
 * With `objects` nodes in slabs, `vads` VADs and `frames` frames the next reservation lacks
 * something: it fails, and nothing has changed. Given all back it succeeds.
 */
static void expect_shortage(uint32_t levels, uint32_t objects, uint32_t vads, uint32_t frames)
{
    struct machine *m = open_full(levels);
    struct hoard hoard = {.ref_count = 0};
    hoard_objects(m, &hoard, SLAB_VAD_NODE, objects);
    hoard_objects(m, &hoard, SLAB_VAD, vads);
    hoard_frames(m, &hoard, frames);
    struct ntmm_memory_information before = machine_memory(m);
    uint64_t regions = machine_process(m).region_count;
    assert_int_equal(reserve_next(m), NTMM_STATUS_NO_MEMORY);
    struct ntmm_memory_information after = machine_memory(m);
    assert_int_equal(after.commit_pages, before.commit_pages);
    assert_int_equal(after.slab_pages, before.slab_pages);
    assert_int_equal(after.zeroed_pages + after.free_pages, frames);
    assert_int_equal(machine_process(m).region_count, regions);
    let_go(m, &hoard);
    machine_assert_sound(m);
    assert_int_equal(reserve_next(m), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    machine_close(m);
}

/* A full root splits: it needs a node on its right and a new root. */
static void two_nodes_and_a_vad(void **state)
{
    (void)state;
    expect_shortage(0, 0, 1, 0); /* the first node */
    expect_shortage(0, 1, 1, 0); /* the second */
    expect_shortage(0, 2, 0, 0); /* the VAD */
    expect_shortage(0, 0, 0, 1); /* the VAD, when the nodes have a new slab, which goes again */
    expect_shortage(0, 1, 0, 1); /* the same, and one of them lay in another */
}

/* A full leaf below a full root. */
static void three_nodes_and_a_vad(void **state)
{
    (void)state;
    expect_shortage(1, 0, 1, 0);
    expect_shortage(1, 1, 1, 0);
    expect_shortage(1, 2, 1, 0);
    expect_shortage(1, 2, 0, 1);
}

/* The middle of a region is released where the rest needs a node. */
static void a_split_needs_nodes(void **state)
{
    (void)state;
    struct machine *m = open_full(0);
    struct hoard hoard = {.ref_count = 0};
    hoard_objects(m, &hoard, SLAB_VAD_NODE, 1);
    hoard_frames(m, &hoard, 0);
    uint64_t commit = machine_memory(m).commit_pages;
    assert_int_equal(try_free(m, BASE + PAGE, PAGE, NTMM_MEM_RELEASE), NTMM_STATUS_NO_MEMORY);
    assert_int_equal(machine_memory(m).commit_pages, commit);
    assert_int_equal(must_query(m, BASE).region_size, KIB64);
    let_go(m, &hoard);
    must_release(m, BASE + PAGE, PAGE);
    machine_assert_sound(m);
    assert_int_equal(must_query(m, BASE).region_size, PAGE);
    assert_int_equal(must_query(m, BASE + 2 * PAGE).region_size, KIB64 - 2 * PAGE);
    assert_int_equal(machine_process(m).region_count, FULL + 1);
    machine_close(m);
}

/* A slab of VADs and one of nodes are kept, empty, until they are trimmed. */
static void a_process_leaves_no_node(void **state)
{
    (void)state;
    struct machine *m = open_full(1);
    struct call c = machine_call(m);
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_SUCCESS);
    m->process = 0;
    machine_assert_sound(m);
    assert_int_equal(machine_memory(m).slab_pages, 2);
    slab_trim(&c);
    assert_int_equal(machine_memory(m).slab_pages, 0);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_and_a_vad),
        cmocka_unit_test(three_nodes_and_a_vad),
        cmocka_unit_test(a_split_needs_nodes),
        cmocka_unit_test(a_process_leaves_no_node),
    };
    return cmocka_run_group_tests_name("space_nodes", tests, NULL, NULL);
}
