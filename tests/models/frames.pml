/*
 * States of frames: who moves a frame from one to the next, and under which lock, while others
 * look for frames, use their pages, or free them.
 *
 *   Touch(p)   a processor that loads and stores, and its faults: door.c, hard.c; its reads
 *   Trim(p)    wsl_sweep, entry_withdraw, frame_end_share
 *   Writer     writer_run, its transfer, frame_end_write
 *   Flush(p)   area_flush: a page is written where it is
 *   Take       somebody who wants any frame, for something else: frame_allocate
 *   Row        somebody who wants a certain frame: take_standby_of_row, frame_repurpose
 *   Free(p)    private_release, or the end of a process; the page is there again, of zeros
 *   Hold(p)    who copies a page: frame_hold, frame_hold_trimmed (copy.c, clone.c)
 *   Offer(p)   private_reset: contents that may go; and perhaps back
 *   Zero       frames_zero_some
 *
 * A row changes by the steps of frames.steps alone, made into inline functions step_NAME by
 * steps.py, each of which asserts its locks, its condition, and what always holds of a row; what
 * holds at rest is asserted where (F) is released. A step is what is done under one lock, or one atomic word. A section of (L) or of (N) is
 * one step; a list gives any of its frames, not the oldest.
 *
 * A page holds a number that tells pages and stores apart. Properties:
 *
 *   S1  a frame is on the one list, or on none, that its state says
 *   S2  no frame has two owners: who has one finds what it left there
 *   S3  a load gives what the page's last store left, or zeros where there was none
 *   S4  what leaves memory is on its slot, or is zeros, or was given up
 *   S5  a slot is named once, and is free at the end when nothing names it
 *   S6  every process comes to its end, or waits for work
 *   S7  a fault that waits for a frame gets on, if all are fair: the formula
 *
 * -DONE_FRAME: the other one is bad. -DSHARED: the entry is a prototype, each Touch has a view of its own, and the entry becomes
 * transition under (F) with the last share. PLANT_*: one wrong step each, which must be found.
 */
#ifndef ACCESSES
#define ACCESSES 2
#endif
#ifndef PAGES
#define PAGES 1
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#define FRAMES 2
#define NOTHING 255
#define JUNK 254 /* contents that are no page's */

/* An entry: its kind, and its frame or slot. Private entries of EMPTY are demand zero. */
#define EMPTY 0
#define SLOT(s) (2 + (s))
#define TRANS(f) (8 + (f))
#define VALID(f) (16 + (f))
#define IS_SLOT(e) ((e) >= 2 && (e) < 8)
#define IS_TRANS(e) ((e) >= 8 && (e) < 16)
#define IS_VALID(e) ((e) >= 16)
#define FRAME_OF(e) ((e) & 7)
#define SLOT_OF(e) ((e) - 2)

byte entry[PAGES];
bool is_writable[PAGES]; /* Dirty1: a store does not fault */
byte wanted[PAGES];      /* what the page holds */
byte stores[PAGES];
bool is_given_up[PAGES]; /* its contents may go */
#ifdef LIVENESS
bool is_used[PAGES]; /* by the processor since it is valid: only then it is trimmed again */
#define IS_TO_TRIM(p) (IS_VALID(entry[p]) && is_used[p])
#define note_use(p, is) is_used[p] = is
#else
#define IS_TO_TRIM(p) IS_VALID(entry[p])
#define note_use(p, is) skip
#endif

/* Locks: who holds it, a process number and 1. */
byte owner_lock[PAGES], frame_lock[FRAMES];

/* rows, as frames.steps has them */
byte loc[FRAMES], list[FRAMES], shares[FRAMES], refs[FRAMES];
bool reading[FRAMES], writing[FRAMES], dirty[FRAMES], owner[FRAMES], slot[FRAMES], spare[FRAMES];
/* and what they say besides */
byte page_of[FRAMES], slot_of[FRAMES];
byte contents[FRAMES];

bool is_slot_used[SLOTS];
byte disk[SLOTS];

bool is_queued[2]; /* of Touch: it waits for a frame */
byte ended, started;

#define ME (_pid + 1)
#define holds_F(f) (frame_lock[f] == ME)
#define holds_FL(f) (frame_lock[f] == ME)
#define holds_N(f) true
#define holds_L(f) true
#define holds_none(f) true

#include "frames.steps.h"

#define acquire(lock) atomic { lock == 0 -> lock = ME }
#define release(lock) d_step { assert(lock == ME); lock = 0 }
#define lock_frame(f) acquire(frame_lock[f])
#define unlock_frame(f) d_step { assert(frame_lock[f] == ME); rest(f); frame_lock[f] = 0 }

#define IS_AVAILABLE(f) (list[f] == ZEROED || list[f] == FREE || list[f] == STANDBY)

/* --- lists and slots --- */

/* waiters_wake_all. */
inline wake_all()
{
    d_step { is_queued[0] = false; is_queued[1] = false }
}

/* frame_free, chain_free: listed first, then who waits is looked for. */
inline free_frame(f)
{
#ifdef PLANT_WAKE_BEFORE_LISTED
    wake_all();
    step_put_free(f)
#else
    step_put_free(f);
    wake_all()
#endif
}

/* frame_enlist of a page. (F) is held. */
inline enlist(f)
{
    if
    :: dirty[f] -> step_put_modified(f)
    :: else -> step_put_standby(f); wake_all()
    fi
}

/* drop_slot. (F) is held. */
inline drop_slot(f)
{
    if
    :: slot[f] ->
        d_step {
            assert(is_slot_used[slot_of[f]] && (list[f] == NONE || spare[f]));
            is_slot_used[slot_of[f]] = false;
            disk[slot_of[f]] = JUNK
        }
        if
        :: list[f] == NONE -> step_drop_slot(f)
        :: else -> step_drop_slot_listed(f)
        fi
    :: else
    fi
}

/* frame_mark_modified. (F) is held. */
inline mark_modified(f)
{
    step_make_dirty(f);
#ifndef PLANT_STALE_SLOT_KEPT
    if
    :: !writing[f] -> drop_slot(f)
    :: else
    fi
#endif
}

/* frame_make_modified. (W) is held. */
inline make_modified(f)
{
    if
    :: dirty[f]
    :: !dirty[f] ->
        lock_frame(f);
        mark_modified(f);
        unlock_frame(f)
    fi
}

/* settle. (F) is held, and released. */
inline settle(f)
{
    is_free = !owner[f];
    step_settle(f);
    if
#ifdef PLANT_STALE_SLOT_KEPT
    :: is_free -> drop_slot(f)
#else
    :: is_free || dirty[f] -> drop_slot(f)
#endif
    :: else
    fi;
    if
    :: !is_free -> enlist(f)
    :: else
    fi;
    unlock_frame(f);
    if
    :: is_free -> free_frame(f)
    :: else
    fi
}

/* end_reference. (F) is held, and released. */
inline end_reference(f)
{
    step_drop_reference(f);
    if
    :: refs[f] == 0 -> settle(f)
    :: else -> unlock_frame(f)
    fi
}

/* frame_end_share. */
inline end_share(f)
{
    lock_frame(f);
    if
    :: shares[f] > 1 -> step_drop_share(f); unlock_frame(f)
    :: else ->
        if
#ifdef PLANT_HELD_PAGE_LISTED
        :: refs[f] > 1 -> refs[f] = 1; step_last_share(f)
#else
        :: refs[f] > 1 -> step_last_share_held(f)
#endif
        :: else -> step_last_share(f)
        fi;
#ifdef SHARED
        entry[page_of[f]] = TRANS(f); /* end_prototype */
#endif
        end_reference(f)
    fi
}

/* take_off. (F) is held. */
inline take_off(f)
{
    if
    :: list[f] != NONE -> step_unlist(f)
    :: else
    fi
}

/* frame_take_oldest: off the list, with (F) held; NOTHING: it is empty. */
inline take_oldest(which, f)
{
    do
    :: atomic { /* try_oldest: (L), and (F) is tried */
            if
            :: list[0] == which && frame_lock[0] == 0 -> f = 0
            :: list[1] == which && frame_lock[1] == 0 -> f = 1
            :: else -> f = NOTHING
            fi;
            if
            :: f != NOTHING -> frame_lock[f] = ME; step_unlist(f); break
            :: else
            fi;
            if
            :: list[0] == which -> f = 0
            :: list[1] == which -> f = 1
            :: else -> break
            fi
        }
        lock_frame(f); /* take_when_free */
        if
#ifdef PLANT_BUSY_NOT_LOOKED_AT_AGAIN
        :: true -> step_unlist(f); break
#else
        :: loc[f] == which -> step_unlist(f); break
        :: else -> unlock_frame(f)
#endif
        fi
    od
}

/* frame_restore_entry. (F) is held. */
inline restore_entry(f)
{
    d_step {
        assert(owner[f] && entry[page_of[f]] == TRANS(f));
        if
        :: spare[f] -> assert(is_given_up[page_of[f]] && !slot[f]); wanted[page_of[f]] = 0
        :: else ->
            if
            :: slot[f] -> assert(disk[slot_of[f]] == wanted[page_of[f]]) /* S4 */
            :: else -> assert(wanted[page_of[f]] == 0)
            fi
        fi;
        entry[page_of[f]] = (slot[f] -> SLOT(slot_of[f]) : EMPTY)
    }
}

/* reuse. (F) is held, and released. */
inline reuse(f)
{
    restore_entry(f);
    step_take_standby(f);
    unlock_frame(f)
}

/* take_any: from the node (N), else from standby. NOTHING: there is none. */
inline take_any(f, wants_zeroed, is_zeroed)
{
    atomic {
        is_zeroed = false;
        if
        :: wants_zeroed && list[0] == ZEROED -> f = 0; is_zeroed = true
        :: wants_zeroed && list[1] == ZEROED -> f = 1; is_zeroed = true
        :: else ->
            if
            :: list[0] == FREE -> f = 0
            :: list[1] == FREE -> f = 1
            :: else ->
                if
                :: list[0] == ZEROED -> f = 0
                :: list[1] == ZEROED -> f = 1
                :: else -> f = NOTHING
                fi
            fi
        fi;
        if
        :: f == NOTHING
        :: f != NOTHING && list[f] == ZEROED -> step_take_zeroed(f)
        :: f != NOTHING && list[f] == FREE -> step_take_free(f)
        fi
    }
    if
    :: f == NOTHING ->
        take_oldest(STANDBY, f);
        if
        :: f != NOTHING -> reuse(f)
        :: else
        fi
    :: else
    fi
}

/* page_files_take_run of one. NOTHING: none is free. */
inline take_slot(s)
{
    d_step {
        if
        :: !is_slot_used[0] -> s = 0
#if SLOTS > 1
        :: is_slot_used[0] && !is_slot_used[1] -> s = 1
#endif
        :: else -> s = NOTHING
        fi;
        if
        :: s != NOTHING -> is_slot_used[s] = true; disk[s] = JUNK
        :: else
        fi
    }
}

/* --- a processor and its faults --- */

/* wait_for_frame: queued first, then looked. */
inline wait_for_frame(i)
{
#ifdef PLANT_LOOK_BEFORE_QUEUED
    if
    :: IS_AVAILABLE(0) || IS_AVAILABLE(1)
    :: else -> is_queued[i] = true
    fi;
#else
    is_queued[i] = true;
    if
    :: IS_AVAILABLE(0) || IS_AVAILABLE(1) -> is_queued[i] = false
    :: else
    fi;
#endif
waiting:
    !is_queued[i]
}

inline load_or_store(p, f, is_store)
{
    assert(contents[f] == wanted[p] && owner[f] && page_of[f] == p && shares[f] > 0); /* S3 */
    note_use(p, true);
    if
    :: is_store ->
        stores[p]++;
        is_given_up[p] = false;
        wanted[p] = (p + 1) * 16 + stores[p];
        contents[f] = wanted[p]
    :: else
    fi
}

/* An entry that was EMPTY: (W) or (X) is held, and released when there is no frame. */
inline demand_zero(p, f)
{
    take_any(f, true, is_zeroed);
    if
    :: f != NOTHING ->
#ifndef PLANT_NOT_ZEROED
        if
        :: !is_zeroed -> contents[f] = 0
        :: else
        fi;
#endif
        page_of[f] = p;
        if
        :: step_own_dirty(f)
#ifdef SHARED
        :: step_own_zeros(f) /* of a file: where it has nothing */
#endif
        fi;
        d_step {
            entry[p] = VALID(f);
            is_writable[p] = is_store && dirty[f];
            note_use(p, false)
        }
        is_mapped = true
    :: else
    fi
}

/* begin_page of inpage.c. */
inline begin_page(p, f, raw)
{
    page_of[f] = p;
    slot_of[f] = SLOT_OF(raw);
    step_begin_read(f);
    entry[p] = TRANS(f)
}

/* The device and complete() of inpage.c; the read keeps its reference until the fault has begun
 * again. Only one Touch of a page can be in here. */
inline read_page(f)
{
    if
    :: contents[f] = disk[slot_of[f]]; is_done = true
#ifdef READ_FAILURES
    :: failures < READ_FAILURES -> failures++; is_done = false
#endif
    fi;
    lock_frame(f);
    step_end_read(f);
    if
    :: spare[f] -> drop_slot(f)
    :: else
    fi;
    if
    :: is_done -> kept = f; unlock_frame(f)
    :: else ->
        if
        :: owner[f] -> restore_entry_of_read(f); step_undo_read(f)
        :: else
        fi;
        end_reference(f)
    fi
}

inline restore_entry_of_read(f)
{
    d_step {
        assert(entry[page_of[f]] == TRANS(f));
        if
        :: slot[f] -> entry[page_of[f]] = SLOT(slot_of[f])
        :: else ->
            assert(is_given_up[page_of[f]]);
            entry[page_of[f]] = EMPTY;
            wanted[page_of[f]] = 0
        fi
    }
}

proctype Touch(byte mine)
{
    byte p, raw, f = NOTHING, kept = NOTHING, count, failures;
    bool is_store, is_zeroed, is_free, is_mapped, is_reading, is_new, is_done,
        is_short;
    do
    :: count == ACCESSES -> break
    :: count < ACCESSES ->
        p = mine % PAGES;
        if
        :: is_store = true
        :: is_store = false
        fi;
again:
#ifndef SHARED
        atomic { /* the processor: no lock */
            raw = entry[p];
            if
            :: IS_VALID(raw) && (is_writable[p] || !is_store) && kept == NOTHING ->
                f = FRAME_OF(raw);
                load_or_store(p, f, is_store);
                goto accessed
            :: else
            fi
        }
#endif
        is_mapped = false;
        is_reading = false;
        is_short = false;
        is_new = false;
        acquire(owner_lock[p]);
look:
        raw = entry[p];
        if
        :: IS_VALID(raw) ->
            f = FRAME_OF(raw);
#ifdef SHARED
            lock_frame(f); /* add_share of prototype.c */
            if
            :: entry[p] != raw -> unlock_frame(f); goto look
            :: else -> step_add_share(f); unlock_frame(f); is_mapped = true
            fi
#else
            if
            :: is_store && !is_writable[p] -> is_writable[p] = true; make_modified(f)
            :: else
            fi
#endif
        :: IS_TRANS(raw) ->
            f = FRAME_OF(raw);
            lock_frame(f); /* entry_lock_transition */
            if
#ifndef PLANT_ENTRY_NOT_LOOKED_AT_AGAIN
            :: entry[p] != raw -> unlock_frame(f); goto look
#endif
            :: else
            fi;
            if
            :: reading[f] -> unlock_frame(f); is_reading = true
            :: else -> /* resolve_transition */
                take_off(f);
                step_reactivate(f);
                d_step {
                    entry[p] = VALID(f);
                    is_writable[p] = is_store;
                    note_use(p, false)
                }
                if
                :: is_store -> mark_modified(f)
                :: else
                fi;
                is_mapped = true;
                unlock_frame(f)
            fi
        :: IS_SLOT(raw) ->
            take_any(f, false, is_zeroed);
            if
            :: f != NOTHING -> begin_page(p, f, raw); is_new = true
            :: else -> is_short = true
            fi
        :: raw == EMPTY ->
            demand_zero(p, f);
            is_short = f == NOTHING
        fi;
        release(owner_lock[p]);
        if
        :: kept != NOTHING -> /* block_leave */
            raw = kept; /* a variable of its own in the code */
            kept = NOTHING;
            lock_frame(raw);
            end_reference(raw)
        :: else
        fi;
        if
        :: is_short -> wait_for_frame(mine); goto again
        :: is_reading -> !reading[f] || entry[p] != TRANS(f); goto again
        :: is_new -> read_page(f); goto again
        :: else
        fi;
#ifdef SHARED
        if
        :: !is_mapped -> goto again
        :: else
        fi;
        if
        :: is_store -> make_modified(f)
        :: else
        fi;
        atomic { load_or_store(p, f, is_store) }
        if
        :: is_store -> make_modified(f) /* entry_withdraw_shared: the entry is dirty */
        :: else
        fi;
        end_share(f);
#else
        goto again;
#endif
accessed:
        count++;
        d_step {
            f = NOTHING;
            raw = 0;
            is_store = false;
            is_zeroed = false;
            is_done = false;
            is_free = false
        }
    od;
    ended++
}

/* --- who takes pages out of memory --- */

#ifdef TRIMS
proctype Trim(byte p)
{
    byte f;
    bool is_free;
end_idle:
    do
    :: IS_TO_TRIM(p) ->
        acquire(owner_lock[p]);
        if
        :: IS_TO_TRIM(p) ->
            d_step {
                f = FRAME_OF(entry[p]);
                entry[p] = TRANS(f);
                is_writable[p] = false
            }
            end_share(f)
        :: else
        fi;
        d_step { f = 0; is_free = false }
        release(owner_lock[p])
    od
}
#endif

/* The device, and frame_end_write. */
inline write_page(f, s)
{
    if
    :: s == NOTHING -> is_done = true
    :: s != NOTHING ->
        if
        :: disk[s] = contents[f]; is_done = true
#ifdef WRITE_FAILURES
        :: failures < WRITE_FAILURES -> failures++; is_done = false
#endif
        fi
    fi;
    lock_frame(f);
#ifdef PLANT_FAILURE_BELIEVED
    is_done = true;
#endif
    if
    :: !is_done && !spare[f] -> step_fail_write(f)
    :: else -> step_end_write(f)
    fi;
#ifdef PLANT_CHANGED_PAGE_CLEAN
    dirty[f] = false;
#endif
    if
    :: dirty[f] || spare[f] -> drop_slot(f)
    :: else
    fi;
    end_reference(f)
}

/* frame_set_slot; NOTHING: a page of zeros, which needs none. is_given: there was no slot. */
inline name_slot(f, s)
{
    is_given = false;
    s = NOTHING;
    if
    :: contents[f] == 0
    :: else ->
        take_slot(s);
        if
        :: s == NOTHING -> is_given = true
        :: else ->
            lock_frame(f);
            slot_of[f] = s;
            step_set_slot(f);
            unlock_frame(f)
        fi
    fi
}

/* give_back of writer.c: as a write that failed. */
inline give_back(f)
{
    lock_frame(f);
    if
    :: !spare[f] -> step_fail_write(f)
    :: else -> step_end_write(f)
    fi;
    if
    :: dirty[f] || spare[f] -> drop_slot(f)
    :: else
    fi;
    end_reference(f)
}

#ifdef WRITES
proctype Writer()
{
    byte f, s, failures;
    bool is_free, is_done, is_given;
end_idle:
    do
    :: (list[0] == MODIFIED || list[1] == MODIFIED) ->
        take_oldest(MODIFIED, f);
        if
        :: f != NOTHING -> /* frame_begin_write */
            step_begin_write(f);
            unlock_frame(f);
            name_slot(f, s);
            if
            :: is_given -> give_back(f)
            :: else -> write_page(f, s)
            fi
        :: else
        fi;
        d_step { f = 0; s = 0; is_free = false; is_done = false; is_given = false }
    od
}
#endif

#ifdef FLUSHES
/* area_flush_view: the entry is clean first, under (W). */
proctype Flush(byte p)
{
    byte raw, f, s, failures;
    bool is_free, is_done, is_given, is_begun;
    acquire(owner_lock[p]);
look:
    raw = entry[p];
    if
    :: IS_VALID(raw) || IS_TRANS(raw) ->
        f = FRAME_OF(raw);
#ifndef PLANT_FLUSHED_ENTRY_DIRTY
        if
        :: IS_VALID(raw) -> is_writable[p] = false
        :: else
        fi;
#endif
        lock_frame(f);
        if
        :: entry[p] != raw -> unlock_frame(f); goto look
        :: else
        fi;
        if
        :: dirty[f] && !writing[f] && !reading[f] ->
            is_begun = true;
            if
            :: shares[f] == 0 -> take_off(f); step_begin_flush_listed(f)
#ifdef SHARED
            :: shares[f] > 0 -> step_begin_flush_shared(f)
#else
            :: shares[f] > 0 -> step_begin_flush(f)
#endif
            fi
        :: else
        fi;
        unlock_frame(f)
    :: else
    fi;
    release(owner_lock[p]);
    if
    :: is_begun ->
        name_slot(f, s);
        if
        :: is_given -> give_back(f)
        :: else -> write_page(f, s)
        fi
    :: else
    fi;
    ended++
}
#endif

/* --- who wants frames --- */

/* It uses the frame for a while; S2. */
inline use_and_free(f)
{
    contents[f] = JUNK;
    assert(loc[f] == ACTIVE && owner[f] == 0);
    assert(contents[f] == JUNK);
    free_frame(f)
}

#ifdef TAKES
proctype Take()
{
    byte f;
    bool is_zeroed;
    take_any(f, false, is_zeroed);
    if
    :: f != NOTHING -> use_and_free(f)
    :: else
    fi;
    ended++
}
#endif

#ifdef ROWS
proctype Row(byte f)
{
    bool is_taken;
    if
    :: loc[f] == STANDBY -> /* an unlocked look; then frame_take_from_standby */
        lock_frame(f);
#ifdef PLANT_STANDBY_NOT_LOOKED_AT_AGAIN
        step_unlist(f);
        is_taken = true;
#else
        if
        :: loc[f] == STANDBY -> step_unlist(f); is_taken = true
        :: else -> unlock_frame(f)
        fi;
#endif
        if
        :: is_taken -> reuse(f); use_and_free(f)
        :: else
        fi
    :: loc[f] != STANDBY
    fi;
    ended++
}
#endif

#ifdef ZEROES
proctype Zero()
{
    byte f = NOTHING;
end_idle:
    do
    :: list[0] == FREE || list[1] == FREE ->
        atomic {
            if
            :: list[0] == FREE -> f = 0; step_take_free(f)
            :: list[1] == FREE -> f = 1; step_take_free(f)
            :: else -> f = NOTHING
            fi
        }
        if
        :: f != NOTHING -> contents[f] = 0; step_put_zeroed(f); wake_all()
        :: else
        fi;
        f = NOTHING
    od
}
#endif

/* --- who frees, holds and gives up pages --- */

#ifdef FREES
/* delete_entry, the shootdown, frame_delete; the page is there again at once, and holds zeros. */
proctype Free(byte p)
{
    byte raw, f = NOTHING;
    bool is_free;
    acquire(owner_lock[p]);
look:
    raw = entry[p];
    if
    :: IS_VALID(raw) ->
        d_step {
            f = FRAME_OF(raw);
            entry[p] = EMPTY;
            wanted[p] = 0;
            is_writable[p] = false;
            is_given_up[p] = false
        }
    :: IS_TRANS(raw) ->
        f = FRAME_OF(raw);
        lock_frame(f);
        if
        :: entry[p] != raw -> unlock_frame(f); f = NOTHING; goto look
        :: else
        fi;
        d_step { entry[p] = EMPTY; wanted[p] = 0; is_given_up[p] = false }
        take_off(f); /* frame_detach */
        if
#ifdef PLANT_FREED_WHILE_WRITTEN
        :: true -> refs[f] = 0; step_detach(f); unlock_frame(f)
#else
        :: refs[f] == 0 -> step_detach(f); unlock_frame(f)
        :: else -> step_detach_held(f); unlock_frame(f); f = NOTHING
#endif
        fi
    :: IS_SLOT(raw) ->
        d_step {
            assert(is_slot_used[SLOT_OF(raw)]);
            is_slot_used[SLOT_OF(raw)] = false;
            disk[SLOT_OF(raw)] = JUNK;
            entry[p] = EMPTY;
            wanted[p] = 0
        }
    :: raw == EMPTY -> wanted[p] = 0
    fi;
    if
    :: f != NOTHING -> /* frame_delete */
        lock_frame(f);
        if
        :: refs[f] > owner[f] -> step_delete_held(f)
        :: else -> step_delete(f); is_free = true
        fi;
        if
        :: is_free -> drop_slot(f)
        :: else
        fi;
        unlock_frame(f);
        if
        :: is_free -> free_frame(f)
        :: else
        fi
    :: else
    fi;
    release(owner_lock[p]);
    ended++
}
#endif

#ifdef HOLDS
proctype Hold(byte p)
{
    byte raw, f = NOTHING;
    bool is_free;
    acquire(owner_lock[p]);
look:
    raw = entry[p];
    if
    :: IS_VALID(raw) ->
        f = FRAME_OF(raw);
        lock_frame(f);
        step_hold(f);
        unlock_frame(f)
    :: IS_TRANS(raw) ->
        f = FRAME_OF(raw);
        lock_frame(f);
        if
        :: entry[p] != raw -> unlock_frame(f); f = NOTHING; goto look
        :: entry[p] == raw && reading[f] -> unlock_frame(f); f = NOTHING
        :: entry[p] == raw && !reading[f] ->
            take_off(f);
            step_hold_trimmed(f);
            unlock_frame(f)
        fi
    :: else
    fi;
    release(owner_lock[p]);
    if
    :: f != NOTHING ->
        assert(contents[f] / 16 == p + 1 || contents[f] == 0); /* S2: nobody else's */
        lock_frame(f);
        end_reference(f)
    :: else
    fi;
    ended++
}
#endif

/* move() of frame_state.c: dirty or not, and to the end of the list. (F) is held. */
inline move(f, is_dirty)
{
    if
    :: dirty[f] != is_dirty ->
        was_listed = list[f] != NONE;
        take_off(f);
        if
        :: is_dirty -> step_soil(f)
        :: else -> step_clean(f)
        fi;
        if
        :: was_listed -> enlist(f)
        :: else
        fi
    :: else
    fi
}

#ifdef OFFERS
/* private_reset: MEM_RESET; then perhaps MEM_RESET_UNDO. */
proctype Offer(byte p)
{
    byte raw, f, turn;
    bool was_listed, is_alone;
    do
    :: turn == 2 -> break
    :: turn < 2 ->
        acquire(owner_lock[p]);
look:
        raw = entry[p];
        f = NOTHING;
        if
        :: IS_VALID(raw) ->
            f = FRAME_OF(raw);
            if
            :: turn == 0 -> is_writable[p] = false
            :: else
            fi;
            lock_frame(f)
        :: IS_TRANS(raw) ->
            f = FRAME_OF(raw);
            lock_frame(f);
            if
            :: entry[p] != raw -> unlock_frame(f); goto look
            :: else
            fi
        :: IS_SLOT(raw) && turn == 0 -> /* change_absent */
            d_step {
                is_slot_used[SLOT_OF(raw)] = false;
                disk[SLOT_OF(raw)] = JUNK;
                entry[p] = EMPTY;
                wanted[p] = 0
            }
        :: else
        fi;
        if
        :: f != NOTHING && turn == 0 -> /* frame_reset */
            is_given_up[p] = true;
            step_give_up(f);
            if
#ifdef PLANT_SLOT_FREED_WHILE_WRITTEN
            :: true -> drop_slot(f)
#else
            :: !writing[f] && !reading[f] -> drop_slot(f)
            :: else
#endif
            fi;
            move(f, false);
            unlock_frame(f)
        :: f != NOTHING && turn == 1 -> /* frame_undo_reset */
            is_alone = spare[f] && !reading[f];
            step_keep_again(f);
#ifdef PLANT_UNDONE_STAYS_CLEAN
            is_alone = false;
#endif
            if
            :: is_alone -> move(f, true)
            :: else
            fi;
            is_given_up[p] = false;
            unlock_frame(f)
        :: else
        fi;
        release(owner_lock[p]);
        turn++
    od;
    ended++
}
#endif

/* --- all of it --- */

init
{
    byte f;
    atomic {
        f = 0;
        do
        :: f < FRAMES -> loc[f] = FREE; list[f] = FREE; contents[f] = JUNK; f++
        :: else -> break
        od;
#ifdef ONE_FRAME
        step_take_free(1);
        step_put_bad(1);
#endif
        f = 0;
        do
        :: f < TOUCHES -> run Touch(f); started++; f++
        :: else -> break
        od;
#ifdef TRIMS
        run Trim(0);
#if PAGES > 1
        run Trim(1);
#endif
#endif
#ifdef WRITES
        run Writer();
#endif
#ifdef ZEROES
        run Zero();
#endif
#ifdef FLUSHES
        run Flush(0);
        started++;
#endif
#ifdef TAKES
        run Take();
        started++;
#endif
#ifdef ROWS
        run Row(0);
        started++;
#endif
#ifdef FREES
        run Free(0);
        started++;
#endif
#ifdef HOLDS
        run Hold(0);
        started++;
#endif
#ifdef OFFERS
        run Offer(0);
        started++;
#endif
    }
    /* S6: this is reached; S5, and S1 of what is left */
    atomic {
        ended == started && frame_lock[0] == 0 && frame_lock[1] == 0 && owner_lock[0] == 0 &&
            writing[0] == 0 && writing[1] == 0 && loc[0] != TRANSITION && loc[1] != TRANSITION;
        f = 0;
        do
        :: f < SLOTS ->
            assert(is_slot_used[f] ==
                   (slot[0] && slot_of[0] == f) + (slot[1] && slot_of[1] == f) +
                       (entry[0] == SLOT(f)) + (PAGES > 1 && entry[PAGES - 1] == SLOT(f)));
            f++
        :: else -> break
        od
    }
}

#ifdef LIVENESS
/* S7 */
ltl gets_on { [] (is_queued[0] -> <> !is_queued[0]) }
#endif
