/*
 * The checker's view of write watch: the tree of marks, and entries of watched regions.
 *
 * Each reference is looked at before it is followed. Marks are compared with the regions, whose
 * tree has been proved, and dirty entries with the marks.
 */
#include "inspect/checker.h"
#include "space/watch.h"

/* The node that a reference names, owned by the process; NULL, with the report filled. */
static const struct watch_node *node_at(struct checker *k, const struct process *process,
                                        uint64_t ref)
{
    uint32_t owner;
    if (!check_is_object(k, SLAB_WATCH_NODE, ref, &owner)) {
        check_fail(k, "M2", ref, 1, 0);
        return NULL;
    }
    if (!check_equal(k, "S4", ref, process_index(process), owner))
        return NULL;
    k->watch_nodes++;
    return core_at(k->c->bias, ref);
}

/* M1: the pages of one word. */
static bool check_word(struct checker *k, const struct process *process, uint64_t page,
                       uint64_t written, uint64_t latched)
{
    struct gap_range range = {.start = 0};
    uint64_t va = page << NTMM_PAGE_SHIFT;
    if (latched & ~written)
        return check_fail(k, "M1", va, written, latched);
    for (uint32_t i = 0; i < 64; i++) {
        bool is_found = range.end > page + i;
        if (!(written >> i & 1))
            continue;
        if (!is_found)
            is_found = gap_tree_find_at_or_after(k->c->bias, &process->vads, page + i, &range);
        bool is_inside = is_found && range.start <= page + i;
        if (!is_inside || !vad_is_watched(vad_at(k->c, range.ref)))
            return check_fail(k, "M1", va + i * NTMM_PAGE_SIZE, 0, 1);
    }
    return true;
}

static bool check_leaf_node(struct checker *k, const struct process *process,
                            const struct watch_node *node, uint64_t page)
{
    for (uint32_t i = 0; i < WATCH_LEAF_WORDS; i++) {
        if (!check_word(k, process, page + i * 64ull, get64(&node->word[i]),
                        get64(&node->word[WATCH_LEAF_WORDS + i])))
            return false;
    }
    return true;
}

/* M2, M1: a node and what is below it; the depth is that of the tree. */
static bool check_node(struct checker *k, const struct process *process, uint64_t ref,
                       uint32_t level, uint64_t page)
{
    const struct watch_node *node = node_at(k, process, ref);
    uint64_t any = 0;
    if (!node)
        return false;
    for (uint32_t i = 0; i < WATCH_FANOUT; i++)
        any |= get64(&node->word[i]);
    if (any == 0)
        return check_fail(k, "M2", ref, 1, 0);
    if (level == 0)
        return check_leaf_node(k, process, node, page);
    for (uint32_t i = 0; i < WATCH_FANOUT; i++) {
        uint64_t below = get64(&node->word[i]);
        uint64_t first = page + ((uint64_t)i << watch_shift(level));
        if (below && !check_node(k, process, below, level - 1, first))
            return false;
    }
    return true;
}

bool check_watch(struct checker *k, const struct process *process)
{
    uint64_t root = get64(&process->watch_root);
    return !root || check_node(k, process, root, WATCH_LEVELS - 1, 0);
}

bool check_watched_entry(struct walk *w, const struct vad *vad, uint64_t page, uint64_t raw)
{
    bool is_dirty = (raw & FIELD_MASK(HW_VALID)) && (raw & FIELD_MASK(HW_DIRTY));
    if (!vad_is_watched(vad))
        return true;
    bool is_sound =
        get32(&w->process->has_watch) && (!is_dirty || watch_is_marked(w->k->c, w->process, page));
    return is_sound || check_fail(w->k, "M1", page << NTMM_PAGE_SHIFT, 1, 0);
}
