/*
 * VADs: one a region of a process, in a tree by page number.
 *
 * The tree's nodes come from a slab of their own. What a change may need of either is obtained
 * before anything changes; shortage of frames or commit is the call's status.
 *
 * V1 VADs are disjoint and ordered, inside the process's bounds (the tree's own invariants), and
 *    each has the start and end that the tree has for it
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
#define VAD_NODE_TAG                                                                               \
    ((uint32_t)'V' | (uint32_t)'a' << 8 | (uint32_t)'d' << 16 | (uint32_t)'T' << 24)

/* What a region is; the numbers are NT's VadType. */
enum vad_type {
    VAD_PRIVATE = 0,
    VAD_DEVICE_PHYSICAL = 1, /* the embedder's frames */
    VAD_IMAGE_MAP = 2,       /* a view of an image */
    VAD_AWE = 3,
    VAD_WRITE_WATCH = 4, /* private memory in all else */
    VAD_LARGE_PAGES = 5,
    VAD_LARGE_PAGE_SECTION = 7, /* a view of a section of large pages */
    VAD_DATA_MAP = 8,           /* a view of data; NT says 0, and tells it by PrivateMemory */
};

enum {
    VAD_MEM_COMMIT = 1u << 0,        /* pages with a zero entry are committed */
    VAD_PLACEHOLDER = 1u << 1,       /* address space held for a replacement */
    VAD_REPLACED = 1u << 2,          /* took the place of a placeholder, and may become one again */
    VAD_HUGE_PAGES = 1u << 4,        /* of VAD_LARGE_PAGES: leaves of 1 GiB */
    VAD_SMALL_PAGES = 1u << 9,       /* of VAD_LARGE_PAGES: 4 KiB each, not paged all the same */
    VAD_NO_CHANGE = 1u << 3,         /* the system's own: services refuse to free or protect it */
    VAD_UNMAP_IN_CLONE = 1u << 5,    /* of a view: a clone of the process has it not */
    VAD_SECTION_NO_CHANGE = 1u << 6, /* of a view: its protection stays */
    VAD_WRITES_FILE = 1u << 7,       /* of a view: counts among the views that may write */
    VAD_NOT_EXECUTABLE = 1u << 8,    /* of a view of an image: nothing of it may be executed */
};

struct vad {
    le64 start, end;       /* pages, half-open (A, W) */
    le32 type;             /* enum vad_type; fixed */
    le32 flags;            /* VAD_* bits (A, W) */
    le32 protection;       /* PROT_* code given when reserving; fixed */
    le32 win32_protection; /* the same as NTMM_PAGE_*; fixed */
    le64 commit_pages;     /* committed pages (W) */
    le64 detail;           /* what its type keeps elsewhere, a reference, or 0 (A, W) */
    le64 first_prototype;  /* of a view: the page of its section that it begins with; fixed */
    le64 secures;          /* first of its secured ranges, a reference, or 0 (A, W) */
};

static inline struct vad *vad_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

static inline uint64_t vad_ref(const struct call *c, const struct vad *vad)
{
    return core_ref(c, vad);
}

static inline uint64_t vad_start(const struct vad *vad) { return get64(&vad->start); }
static inline uint64_t vad_end(const struct vad *vad) { return get64(&vad->end); }

static inline enum vad_type vad_type(const struct vad *vad)
{
    return (enum vad_type)get32(&vad->type);
}

/* Whether its pages are private, committed one by one, and pageable. */
static inline bool vad_is_private(const struct vad *vad)
{
    uint32_t type = get32(&vad->type);
    return type == VAD_PRIVATE || type == VAD_WRITE_WATCH;
}

static inline bool vad_is_view(const struct vad *vad)
{
    const uint32_t views = 1u << VAD_DATA_MAP | 1u << VAD_IMAGE_MAP | 1u << VAD_LARGE_PAGE_SECTION;
    return (views >> (get32(&vad->type) & 31u) & 1u) != 0;
}

/* Whether services may free and protect it. */
static inline bool vad_may_change(const struct vad *vad)
{
    return (get32(&vad->flags) & VAD_NO_CHANGE) == 0;
}

static inline void vad_forbid_change(struct vad *vad)
{
    set32(&vad->flags, get32(&vad->flags) | VAD_NO_CHANGE);
}

static inline bool vad_is_committed_by_default(const struct vad *vad)
{
    return (get32(&vad->flags) & VAD_MEM_COMMIT) != 0;
}

static inline bool vad_contains(const struct vad *vad, uint64_t page)
{
    return page - vad_start(vad) < vad_end(vad) - vad_start(vad);
}

/* The VAD found last, if it contains the page. (W) is held. */
static inline struct vad *vad_look_at_hint(const struct call *c, const struct process *process,
                                           uint64_t page)
{
    uint64_t hint = get64(&process->vad_hint);
    NTMM_ASSERT(lock_is_held(c, LOCK_WORKING_SET));
    if (!hint)
        return NULL;
    struct vad *vad = vad_at(c, hint);
    return vad_contains(vad, page) ? vad : NULL;
}

/* As vad_find, without a look at the hint, which it sets. */
struct vad *vad_search(struct call *c, struct process *process, uint64_t page);

/* As vad_find_or_next, of a reader, which has a hint of its own. */
struct vad *vad_search_as_reader(struct call *c, struct process *process, uint64_t page,
                                 uint64_t *next);

/* The VAD that contains a page, or NULL. (W) is held. */
static inline struct vad *vad_find(struct call *c, struct process *process, uint64_t page)
{
    struct vad *vad = vad_look_at_hint(c, process, page);
    return vad ? vad : vad_search(c, process, page);
}

/* The same; where it is NULL, *next is the page that the next VAD starts at, or GAP_TREE_OPEN, and
 * otherwise nothing. */
static inline struct vad *vad_find_or_next(struct call *c, struct process *process, uint64_t page,
                                           uint64_t *next)
{
    struct vad *vad = vad_look_at_hint(c, process, page);
    if (vad)
        return vad;
    if (__builtin_expect(c->reader != 0, 0))
        return vad_search_as_reader(c, process, page, next);
    uint64_t ref = gap_tree_find_or_next(c->bias, &process->vads, page, next);
    if (!ref)
        return NULL;
    set64(&process->vad_hint, ref);
    return vad_at(c, ref);
}

/* Where a VAD can be made: pages, half-open, and the way to start, which holds until a VAD is made,
 * deleted or resized. */
struct vad_place {
    uint64_t start, end;
    struct gap_place way;
};

/* A new VAD in the tree, in a place that is free; NULL with c->want set. (A) and (W) are held. */
struct vad *vad_create(struct call *c, struct process *process, const struct vad_place *place);

/* Take a VAD without committed pages out of the tree and free it. (A) and (W) are held. */
void vad_delete(struct call *c, struct process *process, struct vad *vad);

/* Free the VAD that a process keeps for the next one, if it does. (A) and (W) are held. */
void vad_drop_spare(struct call *c, struct process *process);

/* Move the ends of a VAD; it meets no other. (A) and (W) are held. */
void vad_resize(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                uint64_t end);

/* A VAD that is in no tree yet, and the nodes that the tree needs to take it. */
struct vad_spare {
    uint64_t ref;
    struct gap_nodes nodes;
};

/* What vad_split needs, for a VAD that is to begin at `start`; false with c->want set. */
bool vad_spare_take(struct call *c, struct process *process, uint64_t start,
                    struct vad_spare *spare);

/*
 * Cut [start, end) out of the middle of a VAD: it keeps what lies before. Returns the VAD of what
 * lies behind, a copy in all but its range; the caller divides commit_pages. No VAD was made or
 * deleted since the spare was taken, for `end`. (A) and (W) are held.
 */
struct vad *vad_split(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                      uint64_t end, struct vad_spare *spare);

#endif
