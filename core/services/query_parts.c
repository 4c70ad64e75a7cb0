/*
 * A run of equal pages, looked at in parts: its page tables need not fit into memory together.
 *
 *   |--table--|--table--|--out--|         first look: two tables, and what they say is kept
 *                       |--table--|--     then the rest, joined as long as it says the same
 *
 * As long as tables may fit, each look begins anew, and an answer is of one moment. Once they come
 * more often than that, what was seen is kept, and each part is of a moment of its own.
 */
#include "services/query.h"

static bool is_same_run(const struct ntmm_memory_basic_information *a,
                        const struct ntmm_memory_basic_information *b)
{
    return a->allocation_base == b->allocation_base && a->state == b->state &&
           a->protect == b->protect && a->type == b->type &&
           a->allocation_protect == b->allocation_protect;
}

bool query_go_on(struct call *c, struct process *process, uint64_t page, uint64_t limit,
                 struct query_run *run)
{
    struct ntmm_memory_basic_information part;
    uint64_t at = run->next ? run->next : page;
    query_describe_until(c, process, at, limit, &part);
    bool is_out = c->want.kind != WANT_NOTHING;
    if (part.region_size == 0)
        return false;
    if (!run->next) {
        run->found = part;
    } else if (is_same_run(&run->found, &part)) {
        run->found.region_size += part.region_size;
    } else {
        c->want = (struct want){.kind = WANT_NOTHING};
        return true;
    }
    run->next = at + (part.region_size >> NTMM_PAGE_SHIFT);
    return !is_out;
}

bool query_keeps_parts(struct relief *relief, uint64_t page, uint64_t *reached)
{
    if (relief->tables < relief_tables_expected(relief))
        return false;
    if (page > *reached)
        relief_part_is_done(relief);
    *reached = page;
    return true;
}
