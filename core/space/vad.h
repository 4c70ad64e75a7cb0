/*
 * VADs: one a region of a process, in a tree by page number.
 *
 * V1 VADs are disjoint and ordered, inside the process's bounds (the tree's own invariants)
 * V4 commit_pages is the number of committed pages of the region
 * V8 a process's vad_hint is a VAD of its own, or 0
 *
 * What a page is, when its entry is zero, the VAD decides: committed with the VAD's protection if
 * VAD_MEM_COMMIT is set, reserved otherwise. Any other entry speaks for itself.
 */
#ifndef NTMM_SPACE_VAD_H
#define NTMM_SPACE_VAD_H

#include "base/gap_tree.h"
#include "space/process.h"

#define VAD_TAG ((uint32_t)'V' | (uint32_t)'a' << 8 | (uint32_t)'d' << 16 | (uint32_t)'S' << 24)

/* What a region is; the numbers are NT's VadType. */
enum vad_type { VAD_PRIVATE = 0 };

enum {
    VAD_MEM_COMMIT = 1u << 0, /* pages with a zero entry are committed */
};

struct vad {
    struct gap_node node;  /* start and end in pages (A, W) */
    le32 type;             /* enum vad_type; fixed */
    le32 flags;            /* VAD_* bits (A, W) */
    le32 protection;       /* PROT_* code given when reserving; fixed */
    le32 win32_protection; /* the same as NTMM_PAGE_*; fixed */
    le64 commit_pages;     /* committed pages (W) */
};

static inline struct vad *vad_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

static inline uint64_t vad_ref(const struct call *c, const struct vad *vad)
{
    return (uint64_t)((uintptr_t)vad - c->bias);
}

static inline uint64_t vad_start(const struct vad *vad) { return get64(&vad->node.start); }
static inline uint64_t vad_end(const struct vad *vad) { return get64(&vad->node.end); }

static inline bool vad_is_committed_by_default(const struct vad *vad)
{
    return (get32(&vad->flags) & VAD_MEM_COMMIT) != 0;
}

/* The VAD that contains a page, or NULL. (W) is held. */
struct vad *vad_find(struct call *c, struct process *process, uint64_t page);

/* A new VAD in the tree; NULL with c->want set. (A) and (W) are held. */
struct vad *vad_create(struct call *c, struct process *process, uint64_t start, uint64_t end);

/* Take a VAD without committed pages out of the tree and free it. (A) and (W) are held. */
void vad_delete(struct call *c, struct process *process, struct vad *vad);

#endif
