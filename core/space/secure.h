/*
 * Secured ranges: access that nobody takes away while they stand.
 *
 *   VAD --secures--> record [start, end) READ --> record [start, end) WRITE --> 0
 *
 * A secured page leaves its region in no way, so that a record stays in one VAD: a VAD that is cut
 * is cut between its secured ranges, and its records follow their pages. What names a record is
 * where it starts and a number, so that its VAD is found by the page:
 *
 *   number 63:36 | page 35:0        never 0, because no record starts at page 0
 *
 *   V15 a record is in the list of one VAD and has its owner; its range is not empty, inside the
 *       VAD's, and begins at the page that its name says
 *
 * Everything here needs (A) and (W).
 * Source: MmSecureVirtualMemory, Microsoft documentation.
 */
#ifndef NTMM_SPACE_SECURE_H
#define NTMM_SPACE_SECURE_H

#include "space/protection.h"
#include "space/vad.h"

#define SECURE_TAG ((uint32_t)'V' | (uint32_t)'a' << 8 | (uint32_t)'d' << 16 | (uint32_t)'L' << 24)
#define SECURE_PAGE_BITS 36u

enum secure_access { SECURE_READ = 1, SECURE_WRITE = 2 };

struct secure {
    le64 next;       /* of the same VAD, a reference, or 0 */
    le64 name;       /* what its maker got */
    le64 start, end; /* pages, half-open */
    le32 access;     /* enum secure_access */
};

static inline struct secure *secure_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

static inline bool vad_is_secured(const struct vad *vad) { return get64(&vad->secures) != 0; }

/* The page that a name leads to. */
static inline uint64_t secure_page(uint64_t name)
{
    return name & ((1ull << SECURE_PAGE_BITS) - 1);
}

/* Whether a page of a protection grants an access. */
static inline bool secure_is_granted(enum secure_access access, uint32_t code)
{
    return protection_is_mappable(code) && (access == SECURE_READ || protection_can_write(code));
}

bool secure_search_removal(const struct call *c, const struct vad *vad, uint64_t start,
                           uint64_t end);
bool secure_search_protection(const struct call *c, const struct vad *vad, uint64_t start,
                              uint64_t end, uint32_t code);

/* Whether a page of [start, end) is secured, so that it may not go. */
static inline bool secure_forbids_removal(const struct call *c, const struct vad *vad,
                                          uint64_t start, uint64_t end)
{
    return __builtin_expect(vad_is_secured(vad), 0) && secure_search_removal(c, vad, start, end);
}

/* Whether a protection takes away what is secured of [start, end). */
static inline bool secure_forbids_protection(const struct call *c, const struct vad *vad,
                                             uint64_t start, uint64_t end, uint32_t code)
{
    return __builtin_expect(vad_is_secured(vad), 0) &&
           secure_search_protection(c, vad, start, end, code);
}

/* Secure [start, end) of a VAD; its name, or 0 with c->want set. Takes (S), (C), (N). */
uint64_t secure_add(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                    uint64_t end, enum secure_access access);

/* End a secure of a VAD. False: it has none of this name. Takes (S), perhaps (C), (N), (Q). */
bool secure_remove(struct call *c, struct vad *vad, uint64_t name);

/* End all secures of a VAD of a process that ends. */
void secure_remove_all(struct call *c, struct vad *vad);

/* A VAD was cut, and the new one behind it is a copy: each keeps the secures that it contains. */
void secure_divide(struct call *c, struct vad *vad, struct vad *rest);

#endif
