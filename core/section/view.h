/*
 * Views: regions of a process that show pages of a control area.
 *
 *   page p of the view <-> prototype entry first_prototype + (p - start)
 *
 *   entry of the view     the page
 *   empty                 not touched here; protection of the view, or of an image's part
 *   prototype, lookup     not valid here; protection in the entry
 *   valid, ENTRY_SHARED   the section's frame, of which it is a share; protection in the entry
 *   anything else         copied on write: a private page of the process, as of private memory,
 *                         and so perhaps one that clones share (space/clone_page.h)
 *
 * A page that may be copied on write is charged to the process when the view is mapped, or when it
 * is protected so; a page that is copied keeps its charge.
 *
 * A view of large pages has leaves of 2 MiB instead: large_area.h.
 *
 *   V13 commit_pages of a view is the number of its pages that are copied, or may be
 *   V14 a view is of its area's kind and shows pages that the area has; of a file's data it may
 *       reach past the end
 *
 * Everything here needs (A) and (W), but view_query and view_state_at, which need (W).
 */
#ifndef NTMM_SECTION_VIEW_H
#define NTMM_SECTION_VIEW_H

#include "section/prototype.h"
#include "space/private.h"
#include "space/protection.h"
#include "space/vad.h"

/* How a view is made. */
struct view_config {
    struct control_area *area; /* referred to by the caller, who gives its reference as a view's */
    uint64_t first_prototype;
    uint32_t protection; /* PROT_* code */
    uint32_t win32;      /* NTMM_PAGE_* */
    uint32_t flags;      /* VAD_* of a view */
};

static inline struct control_area *view_area(const struct call *c, const struct vad *vad)
{
    return area_at(c, get64(&vad->detail));
}

static inline uint64_t view_prototype(const struct vad *vad, uint64_t page)
{
    return get64(&vad->first_prototype) + (page - vad_start(vad));
}

/* Which of an area's references a view is. */
static inline enum area_user view_user(const struct vad *vad)
{
    return get32(&vad->flags) & VAD_WRITES_FILE ? AREA_WRITING_VIEW : AREA_VIEW;
}

/* A new view in a place that is free. NO_MEMORY, COMMITMENT_LIMIT, PAGEFILE_QUOTA_EXCEEDED. */
ntmm_status view_map(struct call *c, struct process *process, const struct vad_place *place,
                     const struct view_config *config);

/* A placeholder of its size becomes a view. Statuses as view_map. */
ntmm_status view_replace(struct call *c, struct process *process, struct vad *vad,
                         const struct view_config *config);

/* What becomes of the section's pages that nobody maps any more: frame_end_share, or _boosted. */
enum view_parting { VIEW_PAGES_AS_THEY_ARE, VIEW_PAGES_BOOSTED };

/* Empty all entries, and give the charge back. WANT_TABLE: a table is out, nothing has changed. */
ntmm_status view_empty(struct call *c, struct process *process, struct vad *vad,
                       enum view_parting parting);

/* Empty what is in memory of a view, from its start to `end`, a page: not of one of large pages. */
void view_discard(struct call *c, struct process *process, struct vad *vad, uint64_t end,
                  enum view_parting parting);

/* Empty a view of a process that ends, table by table from page *reached on: before it all is
 * empty, and is not looked at again for each table. False: WANT_TABLE, and *reached is where to go
 * on. Start with 0. */
bool view_run_down(struct call *c, struct process *process, struct vad *vad, uint64_t *reached);

/* The region of an emptied view goes, or becomes a placeholder. The caller then releases the area,
 * with no lock held. */
void view_remove(struct call *c, struct process *process, struct vad *vad, bool is_placeholder);

/* --- pages --- */

/* The protection that a page has while its entry is empty. */
uint32_t view_default_protection(const struct call *c, const struct vad *vad, uint64_t page);

/* Pages that may be copied while all entries are empty. */
uint64_t view_default_copies(const struct call *c, const struct vad *vad);

/* What a page is, by its entry. Takes (X) for a section whose pages are committed one by one. */
struct page_state view_state_of(struct call *c, const struct vad *vad, uint64_t page, uint64_t raw);

/* As private_query. */
struct page_state view_query(struct call *c, struct process *process, const struct vad *vad,
                             uint64_t page, uint64_t limit, uint64_t *end);

/* In the protection of view_protect: pages that were copied are the section's again. */
#define VIEW_REVERT 0x100u

/* Protect [start, end): NOT_COMMITTED, SECTION_PROTECTION, INVALID_PAGE_PROTECTION,
 * COMMITMENT_LIMIT, PAGEFILE_QUOTA_EXCEEDED, NO_MEMORY; WANT_TABLE. */
ntmm_status view_protect(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                         uint64_t end, uint32_t protection, uint32_t *old);

/* Commit pages of the section that [start, end) shows, and give them the protection here:
 * ALREADY_COMMITTED for a file's, SECTION_PROTECTION; statuses as view_protect. */
ntmm_status view_commit(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                        uint64_t end, uint32_t protection);

/* Commit pages of an area that are committed one by one. (A), (W) are not needed; takes (X).
 * NO_MEMORY, COMMITMENT_LIMIT. */
ntmm_status area_commit(struct call *c, struct control_area *area, uint64_t start, uint64_t end);

/* --- rules, pure --- */

/* Whether a section of a protection allows a view of another: NTMM_PAGE_* base values. */
bool view_is_allowed(uint32_t section, uint32_t view);

/* Whether a view mapped with one code allows its pages another (nt_semantics 3.2). */
bool view_may_protect(uint32_t mapped, uint32_t wanted);

static inline uint32_t protection_without_execute(uint32_t code)
{
    static const uint8_t plain[8] = {0,
                                     PROT_READONLY,
                                     PROT_READONLY,
                                     PROT_READONLY,
                                     PROT_READWRITE,
                                     PROT_WRITECOPY,
                                     PROT_READWRITE,
                                     PROT_WRITECOPY};
    return (code & ~(uint32_t)PROT_ACCESS_MASK) | plain[code & PROT_ACCESS_MASK];
}

/* Whether an entry of a view names a private page, copied on write. */
static inline bool view_entry_is_private(const struct call *c, uint64_t raw)
{
    if (raw & FIELD_MASK(HW_VALID))
        return (raw & (ENTRY_SHARED | ENTRY_CLONED)) != ENTRY_SHARED;
    return raw != 0 &&
           (entry_kind(c, raw) != PTE_PROTOTYPE || !proto_is_lookup_needed(entry_value(c, raw)));
}

#endif
