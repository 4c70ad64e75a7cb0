/*
 * Assertions, in three tiers.
 *
 *   NTMM_STATIC_ASSERT(cond, text)  at compile time: layouts, widths
 *   NTMM_ASSERT(cond)               O(1): evaluated if NTMM_DEBUG is defined
 *   NTMM_CHECKED(cond)              walks a structure: evaluated if NTMM_DEBUG_WALKS is defined too
 *
 * They state contradictions of our own. A caller's error and a shortage are statuses and are never
 * asserted. A tier that is off leaves its condition compiled but not evaluated, so that it cannot
 * rot. A broken assertion traps at once: nothing is printed, nothing unwinds, a debugger sees the
 * place.
 *
 * With NTMM_COVERAGE, which only ci/coverage defines, an assertion leaves nothing: its branch that
 * traps is never taken, and a condition that is only compiled would count as never reached.
 */
#ifndef NTMM_BASE_ASSERT_H
#define NTMM_BASE_ASSERT_H

#define NTMM_STATIC_ASSERT(cond, text) _Static_assert(cond, text)

#if defined(NTMM_COVERAGE)
#define NTMM_ASSERT_EVALUATED(cond) ((void)0)
#define NTMM_ASSERT_COMPILED(cond) ((void)0)
#else
#define NTMM_ASSERT_EVALUATED(cond) ((cond) ? (void)0 : __builtin_trap())
#define NTMM_ASSERT_COMPILED(cond) ((void)sizeof((cond) ? 1 : 0))
#endif

#if defined(NTMM_DEBUG)
#define NTMM_ASSERT(cond) NTMM_ASSERT_EVALUATED(cond)
#else
#define NTMM_ASSERT(cond) NTMM_ASSERT_COMPILED(cond)
#endif

#if defined(NTMM_DEBUG) && defined(NTMM_DEBUG_WALKS)
#define NTMM_CHECKED(cond) NTMM_ASSERT_EVALUATED(cond)
#else
#define NTMM_CHECKED(cond) NTMM_ASSERT_COMPILED(cond)
#endif

#endif
