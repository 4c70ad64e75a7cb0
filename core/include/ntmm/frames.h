/**
 * @file
 * Frames that are taken out of use while the system runs, and come back; frames that are added and
 * removed.
 *
 * A bad frame is on the bad list (ntmm_memory_information.bad_pages), from which nothing takes
 * frames; the commit limit is lower by one for each. A frame that the platform could not zero went
 * there by itself. The embedder learns of others from its hardware (a machine check, a corrected
 * error) and says so here, NT's MmMarkPhysicalMemoryAsBad.
 *
 *   what the frame holds             contents readable          not readable
 *   nothing                          out of use                 out of use
 *   a page that a slot or file has   comes back from there, or  comes back from there
 *                                    moves
 *   a page that only it has          moves to another frame     is lost
 *   of a data file, changed          moves                      is lost: what the file has
 *
 * A page that is lost stays committed. Each access of it raises NTMM_STATUS_IN_PAGE_ERROR with
 * NTMM_STATUS_HARDWARE_MEMORY_ERROR, in every process that maps it, until its contents are given
 * up: it is decommitted, freed, reset or discarded, or its section ends. A clone's page is lost
 * too.
 */
#ifndef NTMM_FRAMES_H
#define NTMM_FRAMES_H

#include <ntmm/status.h>
#include <ntmm/system.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The frame still reads as it was written: a page in it may move. */
#define NTMM_BAD_FRAME_READABLE 0x1u

/** What became of the page in a frame that is out of use. */
enum ntmm_bad_frame_outcome {
    NTMM_BAD_FRAME_UNUSED,  /**< There was none, or the frame was bad already. */
    NTMM_BAD_FRAME_DROPPED, /**< Its slot or file has it, or it is zero: it comes when accessed. */
    NTMM_BAD_FRAME_MOVED,   /**< It is in another frame. */
    NTMM_BAD_FRAME_LOST,    /**< Its contents are gone; those of a data file are the file's. */
};

/**
 * Take a frame out of use, as MmMarkPhysicalMemoryAsBad does: its page leaves it, and it goes to
 * the bad list. Commit that is charged stays charged, so the charge may be above the limit
 * afterwards; then nothing more can be charged until enough has been returned.
 *
 * @param system   any
 * @param frame    frame number
 * @param flags    NTMM_BAD_FRAME_READABLE or 0
 * @param outcome  out, may be NULL: an enum ntmm_bad_frame_outcome; untouched on failure
 * @return NTMM_STATUS_SUCCESS: the frame is bad, perhaps it was before; or, with the frame in use
 *         as before (its page may have left working sets),
 *         NTMM_STATUS_INVALID_PARAMETER_2  no such frame was handed over
 *         NTMM_STATUS_INVALID_PARAMETER_3  an unknown flag
 *         NTMM_STATUS_RETRY                a transfer or another call uses the frame: mark it again
 *                                          when that is over
 *         NTMM_STATUS_NOT_SUPPORTED        what is in it does not leave: the core's own structures
 *                                          and tables, user physical pages, large pages, pages that
 *                                          are locked or stay in memory; of a trimmed page table,
 *                                          contents that are not readable
 *         NTMM_STATUS_NO_MEMORY            there is no frame to move the page to, or it could not
 *                                          be copied
 * Level: DISPATCH.
 * Locks: takes (W) of each process in turn, (F), (L), (P), (N), (G), (Q). Waits for shootdowns,
 * never for I/O. Cost: a frame that is mapped, O(pages in memory); else O(1).
 * Source: ours, after MmMarkPhysicalMemoryAsBad; see docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_mark_frame_bad(struct ntmm_system *system, uint64_t frame,
                                                       uint32_t flags, uint32_t *outcome);

/**
 * Put a bad frame back into use, as MmMarkPhysicalMemoryAsGood does: it is free.
 *
 * @param system  any
 * @param frame   frame number
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER_2  no such frame was handed over, or it is not bad
 * Level: DISPATCH.
 * Locks: takes (F), (L), (P), (N), (Q). Source: ours, after MmMarkPhysicalMemoryAsGood.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_mark_frame_good(struct ntmm_system *system, uint64_t frame);

/*
 * Frames that come and go. What may come is handed over when the system is created, as ranges that
 * say NTMM_FRAMES_ABSENT (platform.h); what may go is any frame, of such a range or not. A frame
 * that is not there costs nothing in a range of which none was ever added. The first frames of a
 * range that are added are its first ones: they keep the rows of the whole range, 48 bytes a frame,
 * from then on, and are not removed again. The direct map must hold frames before they are added,
 * and until they are removed.
 *
 *   absent --add--> zeroed or free --> a page --> zeroed or free --remove--> absent
 *
 * The commit limit and ntmm_memory_information.total_pages follow at once. The thresholds of low
 * and high memory, and working-set limits, stay as they are.
 */

/**
 * Frames are there, as MmAddPhysicalMemory says it: the system may use them.
 *
 * @param system  any
 * @param first   frame number
 * @param count   frames, > 0
 * @param flags   NTMM_FRAMES_ZEROED when they are all zero, or 0
 * @return NTMM_STATUS_SUCCESS; or, with nothing changed,
 *         NTMM_STATUS_INVALID_PARAMETER_2        `first` was not handed over; or no frame of its
 *                                                range was ever there, and it is not the first one
 *         NTMM_STATUS_INVALID_PARAMETER_3        count is 0, or passes the end of the range
 *         NTMM_STATUS_INVALID_PARAMETER_4        an unknown flag
 *         NTMM_STATUS_CONFLICTING_ADDRESSES      a frame of them is there already
 *         NTMM_STATUS_INSUFFICIENT_RESOURCES     no frame of the range was ever there, and they are
 *                                                too few to keep its rows
 *         NTMM_STATUS_RETRY                      another call adds or removes frames: try again
 * Level: DISPATCH.
 * Locks: takes (N), (Q). Never waits. Cost: O(count), and the first time O(frames of the range).
 * Source: MmAddPhysicalMemory, public descriptions; see docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_add_frames(struct ntmm_system *system, uint64_t first,
                                                   uint64_t count, uint32_t flags);

/**
 * Frames go, as MmRemovePhysicalMemory has it: pages in them move to others, or are dropped where a
 * slot or a file has them. Afterwards nothing reads or writes the frames, or names them.
 *
 * @param system  any
 * @param first   frame number
 * @param count   frames, > 0
 * @return NTMM_STATUS_SUCCESS: all of them are absent; or, with all of them there as before (pages
 *         in them may have left working sets, or be in other frames),
 *         NTMM_STATUS_INVALID_PARAMETER_2   `first` was not handed over, or a frame of them is not
 *                                           there
 *         NTMM_STATUS_INVALID_PARAMETER_3   count is 0, or passes the end of the range
 *         NTMM_STATUS_COMMITMENT_LIMIT      the limit would be below what is charged
 *         NTMM_STATUS_RETRY                 a transfer or another call uses a frame, or another
 *                                           call adds or removes frames: try again after that
 *         NTMM_STATUS_NOT_SUPPORTED         what is in one does not leave: the core's own
 *                                           structures and tables, user physical pages, large
 *                                           pages, pages that are locked or stay in memory
 *         NTMM_STATUS_NO_MEMORY             there are no frames to move pages to, or one could not
 *                                           be copied
 * Level: DISPATCH.
 * Locks: takes (W) of each process in turn, (F), (L), (P), (N), (G), (Q). Waits for shootdowns,
 * never for I/O. Cost: O(count), and O(pages in memory) if one is mapped.
 * Source: MmRemovePhysicalMemory, public descriptions; see docs/fidelity.md.
 */
NTMM_API NTMM_MUST_USE ntmm_status ntmm_remove_frames(struct ntmm_system *system, uint64_t first,
                                                      uint64_t count);

#ifdef __cplusplus
}
#endif

#endif
