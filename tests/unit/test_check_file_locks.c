/*
 * The checker finds each broken invariant of byte-range locks, and names it: OB4, and what they add
 * to S4.
 */
#include "section/file_lock.h"
#include "unit/corruption.h"
#include "unit/section_scene.h"

static const struct section_scene *scene(void) { return section_scene(); }

static struct file_lock *lock_once(struct machine *m)
{
    struct file *file = core_at(m->system->bias, scene_object(m, scene()->file));
    assert_int_equal(ntmm_lock_file(m->system, scene()->file, 0, 1, 0, NTMM_LOCK_FAIL_IMMEDIATELY),
                     NTMM_STATUS_SUCCESS);
    return core_at(m->system->bias, get64(&file->locks));
}

static uint64_t lock_for_no_handle(struct machine *m)
{
    struct file_lock *lock = lock_once(m);
    set64(&lock->handle, scene()->unmapped_file);
    return scene_ref(m, lock);
}

static uint64_t lock_for_what_is_closed(struct machine *m)
{
    struct file_lock *lock = lock_once(m);
    set64(&lock->handle, 0);
    return scene_ref(m, lock);
}

static uint64_t lock_in_a_circle(struct machine *m)
{
    struct file_lock *lock = lock_once(m);
    set64(&lock->next, scene_ref(m, lock));
    return scene_object(m, scene()->file);
}

static uint64_t lock_that_is_no_lock(struct machine *m)
{
    struct file *file = core_at(m->system->bias, scene_object(m, scene()->file));
    set64(&file->locks, scene_object(m, scene()->unmapped_file));
    return scene_object(m, scene()->file);
}

static uint64_t lose_a_lock(struct machine *m)
{
    struct file *file = core_at(m->system->bias, scene_object(m, scene()->file));
    (void)lock_once(m);
    set64(&file->locks, 0);
    return SLAB_FILE_LOCK;
}

static const struct corruption corruptions[] = {
    {"OB4", "a lock is of another file's handle", lock_for_no_handle},
    {"OB4", "a lock is of a handle that is closed", lock_for_what_is_closed},
    {"OB4", "the locks of a file go round", lock_in_a_circle},
    {"OB4", "a lock is something else", lock_that_is_no_lock},
    {"S4", "a lock is nobody's", lose_a_lock},
};

int main(void)
{
    const struct corruption_scene where = {.open = section_scene_open,
                                           .close = section_scene_close};
    return corruption_run_in(&where, "check_file_locks", corruptions,
                             sizeof corruptions / sizeof *corruptions);
}
