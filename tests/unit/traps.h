/*
 * Whether what somebody does traps, as a broken assertion of a debug build does. It is done in a
 * process of its own.
 */
#ifndef NTMM_TEST_TRAPS_H
#define NTMM_TEST_TRAPS_H

#include "unit/machine.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(NTMM_DEBUG)
#define IS_CHECKED true
#else
#define IS_CHECKED false
#endif

#define TRAPPED 42

static inline void leave_trapped(int number)
{
    (void)number;
    _exit(TRAPPED);
}

static inline bool traps(void (*act)(void *context), void *context)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGILL, leave_trapped);
        (void)signal(SIGTRAP, leave_trapped);
        (void)signal(SIGFPE, leave_trapped); /* a trap on s390x */
        act(context);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == TRAPPED));
    return WEXITSTATUS(status) == TRAPPED;
}

#endif
