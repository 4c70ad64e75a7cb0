/*
 * Collided faults: processors that fault on one page which is out, while its read completes or
 * fails, and while it is trimmed, taken for something else, or deleted.
 *
 *   Fault(i)   ntmm_page_fault: door_resolve, door_join, inpage_begin, wait_begin, block_leave
 *   Transfer   the device, and complete() of core/paging/inpage.c
 *   Trim       wsl_sweep, entry_withdraw, frame_end_share
 *   Take       take_standby and reuse of core/phys/frames.c: a frame for something else
 *   Delete     private_release: decommit, release, the end of the process
 *
 * As it is, one process with FAULTERS processors; its entry belongs to (W). -DPROTOTYPE: FAULTERS
 * processes with a view each, and the entry is the prototype, which belongs to (X) and becomes
 * transition under (F) alone when the last of them trims it. Clusters are of one page; a page file
 * has the page throughout, so nothing is written here.
 *
 * Blocks and pages change by the steps of collided.steps alone, made into inline functions step_NAME
 * by protocol.py, each of which asserts its locks, its condition and what always holds. Where a frame
 * stands and its slot are frames.steps' matter, and plain here. A step is what is done under one
 * lock, or one atomic word. Properties, each an assertion, or the end of every process:
 *
 *   C1  one read at a time for the entry, submitted once
 *   C2  nobody maps a frame that is being read, or that has not the page's contents
 *   C3  no frame is free with a share, a reference, a read, or a name; nor freed twice
 *   C4  who waits is woken: every process comes to its end
 *   C5  who waited for a read that was done well finds the page; a read that failed is an error for
 *       all who waited for it, when no other began
 *   C6  at the end no block is used, and every frame is where its entry says; the slot is freed
 *       once, with the page
 *
 * PLANT_*: one wrong step each, which must be found; see check.py.
 */
#ifndef FAULTERS
#define FAULTERS 2
#endif
#define FRAMES 2
#define BLOCKS 2
#define NONE 255

/* An entry: its kind and its frame. */
#define EMPTY 0
#define SLOT 1
#define TRANS(f) (2 + (f))
#define VALID(f) (8 + (f))
#define IS_TRANS(e) ((e) >= 2 && (e) < 8)
#define IS_VALID(e) ((e) >= 8)
#define FRAME_OF(e) (IS_VALID(e) -> (e) - 8 : (e) - 2)

#define FREE 0
#define STANDBY 1
#define ACTIVE 2
#define TRANSITION 3

byte entry = SLOT;
bool is_slot_used = true;
bool owner_lock, frame_lock[FRAMES], waiters_lock;

/* rows of frames (F) */
byte location[FRAMES], shares[FRAMES], refs[FRAMES];
bool reading[FRAMES], owner[FRAMES], given[FRAMES], has_slot[FRAMES];
byte block_of[FRAMES]; /* that the page belongs to */
bool has_page[FRAMES]; /* its contents are the page's */

/* read blocks (Q) */
byte users[BLOCKS], waits[BLOCKS], target[BLOCKS];
bool done[BLOCKS], good[BLOCKS], flying[BLOCKS];
bool is_queued[FAULTERS], is_woken[FAULTERS];
byte queue_of[FAULTERS];

byte reads, failures, cancels, ended;
bool is_waiting; /* Fault(0) */

#define acquire(lock) atomic { !lock -> lock = true }
#define release(lock) lock = false

#ifdef PLANT_FAULT_WITHOUT_OWNER_LOCK
#define acquire_owner skip
#define release_owner skip
#else
#define acquire_owner acquire(owner_lock)
#define release_owner release(owner_lock)
#endif

/* Plants that leave a lock out are found by what comes of it. */
#ifdef PLANT_FAULT_WITHOUT_OWNER_LOCK
#define holds_W(f) true
#else
#define holds_W(f) owner_lock
#endif
#if defined(PLANT_TAKE_WITHOUT_FRAME_LOCK) || defined(PLANT_SEEN_READ_TOO_EARLY)
#define holds_F(f) true
#else
#define holds_F(f) frame_lock[f]
#endif
#define holds_Q waiters_lock

#include "collided.steps.h"

/* --- core/phys --- */

/* frame_free: to the free list (N). */
inline put_free(f)
{
    atomic {
        step_put_free(f);
        d_step {
            assert(location[f] != FREE && !has_slot[f]);
            location[f] = FREE;
            has_page[f] = false;
            block_of[f] = NONE
        }
    }
}

/* settle(); (F) is held, and released. */
inline settle(f)
{
    if
    :: owner[f] -> location[f] = STANDBY; release(frame_lock[f])
    :: else ->
        d_step {
            location[f] = ACTIVE;
            if
            :: has_slot[f] -> assert(is_slot_used); has_slot[f] = false; is_slot_used = false
            :: else
            fi
        }
        release(frame_lock[f]);
        put_free(f)
    fi
}

/* end_reference(); (F) is held, and released. */
inline end_reference(f)
{
    step_drop_reference(f);
    if
    :: refs[f] == 0 -> settle(f)
    :: else -> release(frame_lock[f])
    fi
}

/* frame_end_share(), and end_prototype() of a page of a section: the entry is under (F) alone. */
inline end_share(f)
{
    acquire(frame_lock[f]);
    if
    :: shares[f] > 1 -> step_drop_share(f); release(frame_lock[f])
    :: else ->
        if
        :: refs[f] > 1 -> atomic { step_last_share_held(f); location[f] = TRANSITION }
        :: else -> step_last_share(f)
        fi;
        end_reference(f)
    fi
}

/* frame_restore_entry(). (F) is held. */
inline restore_entry(f)
{
    assert(has_slot[f]);
    step_restore(f)
}

/* --- core/paging/blocks.c --- */

/* leave_and_unlock(): (Q) is held, and released. */
inline leave(b)
{
    if
    :: users[b] == 1 ->
        atomic {
            step_free(b);
            d_step {
                if
                :: block_of[0] == b -> block_of[0] = NONE
                :: else
                fi;
                if
                :: block_of[1] == b -> block_of[1] = NONE
                :: else
                fi
            }
        }
    :: else -> step_leave(b)
    fi;
    has_reference = users[b] == 0 && done[b] && good[b];
    release(waiters_lock);
    if
    :: has_reference ->
        acquire(frame_lock[target[b]]);
        end_reference(target[b])
    :: else
    fi
}

inline block_leave(b)
{
    acquire(waiters_lock);
    leave(b)
}

/* waiters_wake_locked() of a block's waits. */
inline wake_all(b)
{
    d_step {
        i = 0;
        waits[b] = 0;
        do
        :: i < FAULTERS ->
            if
            :: is_queued[i] && queue_of[i] == b -> is_queued[i] = false; is_woken[i] = true
            :: else
            fi;
            i++
        :: else -> break
        od
    }
}

/* --- the device, and complete() of core/paging/inpage.c --- */

proctype Transfer(byte b)
{
    byte i, f;
    bool has_reference, is_read;
end_idle:
    do
    :: flying[b] ->
        f = target[b];
        if
        :: has_page[f] = true; is_read = true
#ifdef FAILURES
        :: failures < FAILURES -> failures++; is_read = false
#endif
        fi;
        /* frame_end_read() */
        acquire(frame_lock[f]);
#ifdef PLANT_SEEN_READ_TOO_EARLY
        release(frame_lock[f]);
#endif
        step_end_read(f);
        if
        :: !is_read && owner[f] ->
#ifdef PLANT_FAILED_READ_STAYS
            has_page[f] = false;
#else
            restore_entry(f);
            has_slot[f] = false;
            step_undo_read(f)
#endif
        :: else
        fi;
#ifndef PLANT_SEEN_READ_TOO_EARLY
        if
        :: is_read -> release(frame_lock[f])
        :: else -> end_reference(f)
        fi;
#else
        if
        :: is_read
        :: else -> acquire(frame_lock[f]); end_reference(f)
        fi;
#endif
        /* block_finish() */
#ifdef PLANT_WAKE_BEFORE_DONE
        acquire(waiters_lock);
        wake_all(b);
        release(waiters_lock);
#endif
        acquire(waiters_lock);
        atomic {
            if
            :: is_read -> step_finish(b)
            :: else -> step_fail(b)
            fi;
#ifndef PLANT_WAKE_BEFORE_DONE
            wake_all(b)
#endif
        }
        leave(b);
        d_step { f = 0; is_read = false; has_reference = false }
    od
}

/* --- a fault --- */

/* A processor, or a process, reaches the page through its entry from now on. */
inline see(f)
{
    assert(!reading[f] && has_page[f] && location[f] == ACTIVE && shares[f] != 0)
}

/* frame_reactivate() and entry_make_valid(); (F) is held, and released. */
inline bring_back(f)
{
    atomic { step_reactivate(f); location[f] = ACTIVE }
    see(f);
    step_map(f);
    release(frame_lock[f])
}

/* take_any(): a free frame (N), else one of standby (F). NONE: there is none. */
inline take_frame(f)
{
    f = NONE;
    atomic {
        if
        :: location[0] == FREE -> f = 0
        :: location[0] != FREE && location[1] == FREE -> f = 1
        :: else
        fi;
        if
        :: f != NONE -> location[f] = ACTIVE; shares[f] = 1; refs[f] = 1
        :: else
        fi
    }
    if
    :: f == NONE -> take_standby(f)
    :: else
    fi
}

/* try_oldest() under (L), which tries (F); then reuse(): (F) alone protects the entry. */
inline take_standby(f)
{
    atomic {
        if
#ifdef PLANT_TAKE_WITHOUT_FRAME_LOCK
        :: location[0] == STANDBY -> f = 0
        :: location[1] == STANDBY -> f = 1
#else
        :: location[0] == STANDBY && !frame_lock[0] -> f = 0; frame_lock[0] = true
        :: location[1] == STANDBY && !frame_lock[1] -> f = 1; frame_lock[1] = true
#endif
        :: else
        fi
    }
    if
    :: f != NONE ->
        restore_entry(f);
        atomic {
            step_take_standby(f);
            d_step {
                has_slot[f] = false;
                has_page[f] = false;
                location[f] = ACTIVE;
                block_of[f] = NONE
            }
        }
#ifndef PLANT_TAKE_WITHOUT_FRAME_LOCK
        release(frame_lock[f])
#endif
    :: else
    fi
}

/* block_take_read_of(), with users for the transfer and the fault. NONE: there is none. */
inline take_block(b)
{
    b = NONE;
    acquire(waiters_lock);
    if
    :: users[0] == 0 -> b = 0
    :: users[0] != 0 && users[1] == 0 -> b = 1
    :: else
    fi;
    if
    :: b != NONE -> step_take(b)
    :: else
    fi;
    release(waiters_lock)
}

/* inpage_begin(): frame, block, entry. (W) or (X) is held. */
inline begin_read(f, b)
{
    take_frame(f);
    if
    :: f != NONE -> take_block(b)
    :: else -> b = NONE
    fi;
    if
    :: f != NONE && b == NONE ->
        d_step { shares[f] = 0; refs[f] = 0 }
        put_free(f)
    :: f != NONE && b != NONE ->
        atomic { /* frame_begin_read(): nobody knows the frame */
            d_step {
                assert(!has_slot[f]);
                assert(!(owner[1 - f] && reading[1 - f])); /* C1 */
                has_slot[f] = true;
                location[f] = TRANSITION;
                block_of[f] = b;
                target[b] = f;
                reads++
            }
            step_begin_read(f)
        }
        step_name(f)
    :: else
    fi
}

#define PENDING 0
#define SUCCESS 1
#define IO_ERROR 2
#define VIOLATION 3
#define SHORTAGE 4
#define GIVEN_UP 5

proctype Fault(byte me)
{
    byte raw, f, b, last = NONE, result;
    bool is_new, has_reference, has_failed, had_page;
again:
    b = NONE;
    is_new = false;
    acquire_owner;
look:
    raw = entry; /* door_resolve(), or acquire() of core/fault/prototype.c */
    if
    :: IS_VALID(raw) ->
        f = FRAME_OF(raw);
#ifdef PROTOTYPE
        acquire(frame_lock[f]); /* add_share() */
        if
#ifndef PLANT_SHARE_WITHOUT_LOOKING
        :: entry != raw -> release(frame_lock[f]); goto look
#endif
        :: else -> step_add_share(f); see(f); release(frame_lock[f])
        fi;
#else
        see(f);
#endif
        result = SUCCESS
    :: IS_TRANS(raw) ->
        f = FRAME_OF(raw);
        acquire(frame_lock[f]); /* entry_lock_transition() */
        if
#ifndef PLANT_NO_SECOND_LOOK
        :: entry != raw -> release(frame_lock[f]); goto look
#endif
        :: else
        fi;
        if
#ifndef PLANT_MAP_WHILE_READ
        :: reading[f] -> /* door_join() */
            step_collide(f);
            b = block_of[f];
            acquire(waiters_lock);
            step_join(b);
            release(waiters_lock);
            release(frame_lock[f]);
            result = PENDING
#endif
        :: else -> bring_back(f); result = SUCCESS
        fi
    :: raw == SLOT ->
        result = PENDING;
        if /* door_earlier_read() */
        :: last != NONE ->
            acquire(waiters_lock);
            if
            :: done[last] && !good[last] -> step_refuse(last); result = IO_ERROR
            :: done[last] && good[last] -> step_again(last)
            :: else
            fi;
            release(waiters_lock)
        :: else
        fi;
        if
        :: result == IO_ERROR
        :: else ->
            assert(!had_page); /* C5 */
            begin_read(f, b);
            if
            :: b == NONE -> result = SHORTAGE
            :: else -> is_new = true; result = PENDING
            fi
        fi
    :: raw == EMPTY -> result = VIOLATION
    fi;
    release_owner;
    if /* wait_leave_last() */
    :: last != NONE -> block_leave(last); last = NONE
    :: else
    fi;
    if
    :: result == PENDING ->
        last = b; /* begin_for_read() */
        acquire(waiters_lock);
        is_woken[me] = false;
#ifdef PLANT_QUEUE_WITHOUT_LOOKING
        d_step { is_queued[me] = true; queue_of[me] = b }
#else
        if
        :: !done[b] -> atomic { step_queue(b); d_step { is_queued[me] = true; queue_of[me] = b } }
        :: else -> atomic { step_pass(b); is_woken[me] = true }
        fi;
#endif
        release(waiters_lock);
        if
        :: is_new -> step_submit(b) /* C1 */
        :: else
        fi;
#ifdef LIVENESS
        is_waiting = is_waiting || me == 0;
        is_woken[me];
        is_waiting = is_waiting && me != 0;
#else
        if
        :: is_woken[me]
#ifdef CANCELS
        :: cancels < CANCELS -> /* ntmm_fault_cancel() */
            cancels++;
            acquire(waiters_lock);
            if
            :: is_queued[me] -> atomic { step_cancel(b); is_queued[me] = false }
            :: else
            fi;
            release(waiters_lock);
            block_leave(last);
            result = GIVEN_UP;
            goto over
#endif
        fi;
#endif
        has_failed = has_failed || !good[b];
        had_page = good[b];
#ifdef PLANT_LEAVE_BEFORE_LOOKING
        block_leave(last);
        last = NONE;
#endif
        goto again
    :: result == SHORTAGE -> /* begin_for_frame(), begin_for_block() */
        (location[0] == FREE || location[0] == STANDBY || location[1] == FREE ||
         location[1] == STANDBY) && (users[0] == 0 || users[1] == 0);
        goto again
    :: else
    fi;
over:
    skip;
    d_step {
        /* C5: an error is a failed read's; and when there was no other read, it is everybody's */
        assert(result != IO_ERROR || has_failed);
        assert(!(has_failed && reads == 1 && result == SUCCESS))
    }
#ifdef PROTOTYPE
    if
    :: result == SUCCESS -> end_share(f) /* its own view is trimmed, or unmapped */
    :: else
    fi;
#endif
    ended++
}

/* --- what races with it --- */

/* entry_withdraw(), the shootdown, list_trimmed(). (W) is held throughout. */
proctype Trim()
{
    byte f;
    acquire(owner_lock);
    if
    :: IS_VALID(entry) ->
        f = FRAME_OF(entry);
        entry = TRANS(f);
        end_share(f)
    :: else
    fi;
    release(owner_lock);
    ended++
}

/* A frame is taken for something else, and comes free again. */
proctype Take()
{
    byte f = NONE;
    take_standby(f);
    if
    :: f != NONE ->
        d_step { shares[f] = 0; refs[f] = 0 }
        put_free(f)
    :: else
    fi;
    ended++
}

/* delete_entry() of core/space/release.c, the shootdown, free_freed(): frame_delete(). */
proctype Delete()
{
    byte raw, f;
    bool is_ours = true;
    acquire(owner_lock);
look:
    raw = entry;
    if
    :: IS_VALID(raw) -> f = FRAME_OF(raw); entry = EMPTY
    :: IS_TRANS(raw) ->
        f = FRAME_OF(raw);
        acquire(frame_lock[f]);
        if
        :: entry != raw -> release(frame_lock[f]); goto look
        :: else
        fi;
        entry = EMPTY;
        is_ours = refs[f] == 0; /* frame_detach() */
        if
#ifdef PLANT_DELETE_WHILE_READ
        :: true -> is_ours = true; atomic { step_detach(f); location[f] = ACTIVE }
#else
        :: is_ours -> atomic { step_detach(f); location[f] = ACTIVE }
        :: else -> atomic { step_detach_held(f); location[f] = TRANSITION }
#endif
        fi;
        release(frame_lock[f])
    :: raw == SLOT -> d_step { entry = EMPTY; is_slot_used = false }; is_ours = false
    :: raw == EMPTY -> is_ours = false
    fi;
    if
    :: is_ours -> /* frame_delete() */
        acquire(frame_lock[f]);
        is_ours = refs[f] == owner[f];
        if
        :: is_ours -> step_delete(f)
        :: else -> step_delete_held(f)
        fi;
        d_step {
            location[f] = (is_ours -> ACTIVE : TRANSITION);
            if
            :: is_ours -> assert(is_slot_used && has_slot[f]); has_slot[f] = false;
                is_slot_used = false
            :: else
            fi
        }
        release(frame_lock[f]);
        if
        :: is_ours -> put_free(f)
        :: else
        fi
    :: else
    fi;
    release(owner_lock);
    ended++
}

byte started; /* processes that come to an end by themselves */

init
{
    byte f;
    atomic {
        block_of[0] = NONE;
        block_of[1] = NONE;
        run Transfer(0);
        run Transfer(1);
        f = 0;
        do
        :: f < FAULTERS -> run Fault(f); f++; started++
        :: else -> break
        od;
#ifdef TRIMS
        run Trim();
        started++;
#endif
#ifdef TAKES
        run Take();
        started++;
#endif
#ifdef DELETES
        run Delete();
        started++;
#endif
    }
    /* C4: this is reached; C6 */
    atomic {
        ended == started && !flying[0] && !flying[1] &&
            Transfer[1]@end_idle && Transfer[2]@end_idle;
        assert(users[0] == 0 && users[1] == 0 && waits[0] == 0 && waits[1] == 0);
        assert(!waiters_lock && !owner_lock);
        assert(is_slot_used == (entry != EMPTY));
        f = 0;
        do
        :: f < FRAMES ->
            assert(!reading[f] && !frame_lock[f]);
            if
            :: location[f] == FREE -> assert(entry != VALID(f) && entry != TRANS(f))
            :: location[f] == STANDBY ->
                assert(entry == TRANS(f) && owner[f] && has_slot[f] && has_page[f]);
                assert(shares[f] == 0 && refs[f] == 0)
            :: location[f] == ACTIVE ->
                assert(entry == VALID(f) && owner[f] && has_slot[f] && has_page[f]);
                assert(shares[f] == 1 && refs[f] == 1)
            :: location[f] == TRANSITION -> assert(false)
            fi;
            f++
        :: else -> break
        od
    }
}

#ifdef LIVENESS
/* C4, if every process that can go on does. */
ltl woken { [] (is_waiting -> <> !is_waiting) }
#endif
