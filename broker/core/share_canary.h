/* share_canary.h: seeded bugs that share_simulation_test must catch. Layer: core. All are off unless the build names one
 * (TRUC_CANARY_NAME); a release build compiles them away. */
#ifndef TRUC_CORE_SHARE_CANARY_H
#define TRUC_CORE_SHARE_CANARY_H

/* What is leased is not saved: after a restart it counts as done. */
#ifdef TRUC_CANARY_SHARE_LOST_LEASE
enum { CANARY_SHARE_LOST_LEASE = 1 };
#else
enum { CANARY_SHARE_LOST_LEASE = 0 };
#endif

/* A refused record goes behind the next one of its key. */
#ifdef TRUC_CANARY_SHARE_OVERTAKE
enum { CANARY_SHARE_OVERTAKE = 1 };
#else
enum { CANARY_SHARE_OVERTAKE = 0 };
#endif

/* That a record was buried is not saved: it is dead again after a restart. */
#ifdef TRUC_CANARY_SHARE_DOUBLE_DEAD
enum { CANARY_SHARE_DOUBLE_DEAD = 1 };
#else
enum { CANARY_SHARE_DOUBLE_DEAD = 0 };
#endif

/* A restored lane begins behind its first unresolved record. */
#ifdef TRUC_CANARY_SHARE_RESUME_BEHIND
enum { CANARY_SHARE_RESUME_BEHIND = 1 };
#else
enum { CANARY_SHARE_RESUME_BEHIND = 0 };
#endif

/* A refused record is free at once. */
#ifdef TRUC_CANARY_SHARE_FORGET_DELAY
enum { CANARY_SHARE_FORGET_DELAY = 1 };
#else
enum { CANARY_SHARE_FORGET_DELAY = 0 };
#endif

/* A record that a worker returns gives it credit back. */
#ifdef TRUC_CANARY_SHARE_LEAK_CREDIT
enum { CANARY_SHARE_LEAK_CREDIT = 1 };
#else
enum { CANARY_SHARE_LEAK_CREDIT = 0 };
#endif

/* The scan place is saved before the lanes below it. */
#ifdef TRUC_CANARY_SHARE_CURSOR_FIRST
enum { CANARY_SHARE_CURSOR_FIRST = 1 };
#else
enum { CANARY_SHARE_CURSOR_FIRST = 0 };
#endif

/* Whoever names a lease settles it, also when it is not, or no longer, theirs. */
#ifdef TRUC_CANARY_SHARE_STALE_SETTLE
enum { CANARY_SHARE_STALE_SETTLE = 1 };
#else
enum { CANARY_SHARE_STALE_SETTLE = 0 };
#endif

/* Records that a lane let pass while it was being searched are forgotten. */
#ifdef TRUC_CANARY_SHARE_FORGET_PASSED
enum { CANARY_SHARE_FORGET_PASSED = 1 };
#else
enum { CANARY_SHARE_FORGET_PASSED = 0 };
#endif

/* After a crash within a save, records below a lane's saved place are given out again. */
#ifdef TRUC_CANARY_SHARE_AGAIN_BELOW
enum { CANARY_SHARE_AGAIN_BELOW = 1 };
#else
enum { CANARY_SHARE_AGAIN_BELOW = 0 };
#endif

/* When the first record of a run is refused, the worker keeps those behind it. */
#ifdef TRUC_CANARY_SHARE_KEEP_REST
enum { CANARY_SHARE_KEEP_REST = 1 };
#else
enum { CANARY_SHARE_KEEP_REST = 0 };
#endif

/* A record is due before the time it is to be delivered at. */
#ifdef TRUC_CANARY_SHARE_ASIDE_EARLY
enum { CANARY_SHARE_ASIDE_EARLY = 1 };
#else
enum { CANARY_SHARE_ASIDE_EARLY = 0 };
#endif

/* A record that is not due yet is not saved: after a restart it counts as done. */
#ifdef TRUC_CANARY_SHARE_ASIDE_LOST
enum { CANARY_SHARE_ASIDE_LOST = 1 };
#else
enum { CANARY_SHARE_ASIDE_LOST = 0 };
#endif

/* Records are given out though they have expired. */
#ifdef TRUC_CANARY_SHARE_EXPIRED_GIVEN
enum { CANARY_SHARE_EXPIRED_GIVEN = 1 };
#else
enum { CANARY_SHARE_EXPIRED_GIVEN = 0 };
#endif

/* A search by key also takes what stands, or stood, aside. */
#ifdef TRUC_CANARY_SHARE_SEARCH_ASIDE
enum { CANARY_SHARE_SEARCH_ASIDE = 1 };
#else
enum { CANARY_SHARE_SEARCH_ASIDE = 0 };
#endif

#endif
