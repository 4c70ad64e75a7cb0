/*
 * The array of regions and pages, for the model's own files. Ranges are whole pages, [base, end),
 * and lie in the region given; a pointer to a region is good until the next insert or release.
 */
#ifndef MODEL_PAGES_H
#define MODEL_PAGES_H

#include "model/model.h"

/* Committed pages of a range. */
uint64_t pages_committed(const struct model_region *region, uint64_t base, uint64_t end);
/* Every page of the range is committed with `protect` (no cache attribute); contents stay.
 * Charges. */
void pages_commit(struct model_process *process, struct model_region *region, uint64_t base,
                  uint64_t end, uint32_t protect);
/* Whether that protection takes a lock away. */
bool pages_lose_locks(const struct model_region *region, uint64_t base, uint64_t end,
                      uint32_t protect);
/* No page of the range is committed; contents are lost. Returns the charge. */
void pages_decommit(struct model_process *process, struct model_region *region, uint64_t base,
                    uint64_t end);
/* The contents of a page, and their loose flags, made when first asked for. */
uint8_t *pages_bytes(struct model_page *page);
uint8_t *pages_loose(struct model_page *page);
/* What a range costs its process: committed private pages; of a view, those that are copied or may
 * be. */
uint64_t pages_cost(const struct model_region *region, uint64_t base, uint64_t end);
void pages_charge(struct model_process *process, uint64_t pages);
/* pages_commit, but nobody is charged. */
void pages_fill(struct model_region *region, uint64_t base, uint64_t end, uint32_t protect);
/* A page of a view gets contents of its own; those of a range show the section's again. */
void pages_copy(const struct model_region *region, struct model_page *page);
void pages_uncopy(struct model_process *process, struct model_region *region, uint64_t base,
                  uint64_t end);
/* Whether a page of the range is secured; and so that a protection takes away from it. */
bool secures_forbid_removal(const struct model_process *process, uint64_t base, uint64_t end);
bool secures_forbid_protection(const struct model_process *process, uint64_t base, uint64_t end,
                               uint32_t protect);
/* A new region over free addresses. */
struct model_region *regions_insert(struct model_process *process, uint64_t base, uint64_t end,
                                    uint32_t protect);
/* The range leaves its region: whole, head, tail, or a split into two. */
void regions_release(struct model_process *process, struct model_region *region, uint64_t base,
                     uint64_t end);

/* Two regions that touch become one; the lower one stays. */
void regions_join(struct model_process *process, struct model_region *lower);
/* A region becomes two at an address inside it. */
void regions_cut(struct model_process *process, struct model_region *region, uint64_t at);

/* The contents of [base, end) are given up, where pages are committed. */
void pages_reset(struct model_region *region, uint64_t base, uint64_t end);
/* Committed pages become zeros. */
void pages_discard(struct model_region *region, uint64_t base, uint64_t end);
/* Whether a page of the range was reset; and that is forgotten, whatever was lost. */
bool pages_are_reset(const struct model_region *region, uint64_t base, uint64_t end);
void pages_settle(struct model_region *region, uint64_t base, uint64_t end, bool is_lost);

/* A page was written: it is marked, if its region is watched. */
void marks_add(struct model_process *process, uint64_t number);
/* A protection was changed over the marks of a range. */
void marks_latch(struct model_process *process, uint64_t base, uint64_t end);
/* Marks of a range go, those that are latched only on request. */
void marks_remove(struct model_process *process, uint64_t base, uint64_t end, bool is_latched_too);

#endif
