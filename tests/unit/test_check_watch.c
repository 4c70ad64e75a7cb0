/*
 * The checker finds each broken invariant of write watch, and names it: M1, M2, S4.
 *
 *   WATCHED  64 pages, 0..3 written, 1 protected since, 8 read
 *   PLAIN    an ordinary region
 */
#include "space/watch.h"
#include "unit/corruption.h"

#define WATCHED_AT BASE
#define PLAIN (BASE + 4 * MIB) /* of the same leaf of marks */

static ntmm_handle other;

static struct machine *open_scene(void)
{
    struct machine *m = machine_open(NULL);
    assert_int_equal(try_allocate(m, WATCHED_AT, 64 * PAGE,
                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_WRITE_WATCH,
                                  NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    must_fill(m, WATCHED_AT, 4 * PAGE);
    must_protect(m, WATCHED_AT + PAGE, PAGE, NTMM_PAGE_EXECUTE_READWRITE);
    must_read(m, WATCHED_AT + 8 * PAGE);
    must_allocate(m, PLAIN, 4 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, PLAIN, 2 * PAGE);
    other = machine_add_process(m);
    return m;
}

static struct watch_node *node_of(struct machine *m, uint32_t level, uint64_t *ref)
{
    struct call c = machine_call(m);
    *ref = get64(&machine_object(m)->watch_root);
    for (uint32_t l = WATCH_LEVELS - 1; l > level; l--) {
        struct watch_node *node = core_at(c.bias, *ref);
        *ref = get64(&node->word[(BASE >> NTMM_PAGE_SHIFT >> watch_shift(l)) % WATCH_FANOUT]);
    }
    return core_at(c.bias, *ref);
}

static le64 *word_of(struct machine *m, uint64_t va)
{
    uint64_t ref;
    return &node_of(m, 0, &ref)->word[va / PAGE / 64 % WATCH_LEAF_WORDS];
}

static void flip(le64 *word, uint64_t va) { set64(word, get64(word) ^ 1ull << va / PAGE % 64); }

static uint64_t mark_plain(struct machine *m)
{
    flip(word_of(m, PLAIN), PLAIN);
    return PLAIN;
}

static uint64_t mark_nothing(struct machine *m)
{
    flip(word_of(m, BASE + MIB), BASE + MIB);
    return BASE + MIB;
}

static uint64_t forget_mark(struct machine *m)
{
    flip(word_of(m, WATCHED_AT), WATCHED_AT + 2 * PAGE);
    return WATCHED_AT + 2 * PAGE;
}

static uint64_t latch_unmarked(struct machine *m)
{
    flip(word_of(m, WATCHED_AT) + WATCH_LEAF_WORDS, WATCHED_AT + 9 * PAGE);
    return WATCHED_AT;
}

static uint64_t forget_watching(struct machine *m)
{
    set32(&machine_object(m)->has_watch, 0);
    return WATCHED_AT;
}

static uint64_t empty_leaf(struct machine *m)
{
    uint64_t ref;
    memset(node_of(m, 0, &ref), 0, sizeof(struct watch_node));
    return ref;
}

static uint64_t lead_astray(struct machine *m)
{
    set64(&machine_object(m)->watch_root, 0xDEAD000000ull);
    return 0xDEAD000000ull;
}

static uint64_t give_to_other(struct machine *m)
{
    uint64_t ref;
    struct call c = machine_call(m);
    uint64_t frame_base = (get64(&machine_object(m)->watch_root)) & ~(PAGE - 1);
    struct slab *slab = core_at(c.bias, frame_base);
    node_of(m, 3, &ref);
    set32(&slab->owners[((ref & (PAGE - 1)) - get32(&slab->first)) / get32(&slab->object_size)],
          (uint32_t)other & HANDLE_SLOT);
    return ref;
}

static uint64_t forget_all(struct machine *m)
{
    must_protect(m, WATCHED_AT, 64 * PAGE, NTMM_PAGE_NOACCESS); /* no entry is dirty */
    set64(&machine_object(m)->watch_root, 0);
    return SLAB_WATCH_NODE;
}

static const struct corruption corruptions[] = {
    {"M1", "a page of an ordinary region is marked", mark_plain},
    {"M1", "a page of no region is marked", mark_nothing},
    {"M1", "a dirty page is not marked", forget_mark},
    {"M1", "a page is latched and not marked", latch_unmarked},
    {"M1", "the process does not know that it is watched", forget_watching},
    {"M2", "a leaf is empty", empty_leaf},
    {"M2", "the root is no node", lead_astray},
    {"S4", "a node belongs to another process", give_to_other},
    {"S4", "nodes belong to no tree", forget_all},
};

int main(void)
{
    static const struct corruption_scene scene = {.open = open_scene, .close = machine_close};
    return corruption_run_in(&scene, "check_watch", corruptions,
                             sizeof corruptions / sizeof *corruptions);
}
