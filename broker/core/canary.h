/* canary.h: seeded bugs that the checkers must catch. Layer: core. All are off unless the build names one
 * (-DTRUC_CANARY=NAME in CMake); a release build compiles them away. */
#ifndef TRUC_CORE_CANARY_H
#define TRUC_CORE_CANARY_H

/* A publish is answered when it is accepted, before it is on disk. */
#ifdef TRUC_CANARY_ACK_BEFORE_COMMIT
enum { CANARY_ACK_BEFORE_COMMIT = 1 };
#else
enum { CANARY_ACK_BEFORE_COMMIT = 0 };
#endif

/* Readers and the hello see what was accepted instead of what is durable. */
#ifdef TRUC_CANARY_SHOW_ABOVE_HEAD
enum { CANARY_SHOW_ABOVE_HEAD = 1 };
#else
enum { CANARY_SHOW_ABOVE_HEAD = 0 };
#endif

/* A duplicate of a batch that is still on its way to the disk is answered at once. */
#ifdef TRUC_CANARY_EARLY_DUPLICATE
enum { CANARY_EARLY_DUPLICATE = 1 };
#else
enum { CANARY_EARLY_DUPLICATE = 0 };
#endif

/* Every 64th entry of a topic gets the offsets of the one before. */
#ifdef TRUC_CANARY_REUSE_OFFSET
enum { CANARY_REUSE_OFFSET = 1 };
#else
enum { CANARY_REUSE_OFFSET = 0 };
#endif

/* The producers' sequences are not restored at start. */
#ifdef TRUC_CANARY_FORGET_DEDUP
enum { CANARY_FORGET_DEDUP = 1 };
#else
enum { CANARY_FORGET_DEDUP = 0 };
#endif

/* A settlement is answered when it is accepted, before it is on disk. */
#ifdef TRUC_CANARY_SETTLE_BEFORE_COMMIT
enum { CANARY_SETTLE_BEFORE_COMMIT = 1 };
#else
enum { CANARY_SETTLE_BEFORE_COMMIT = 0 };
#endif

/* Who takes over an ordered subscription goes on behind what the one before was sent, instead of what it acknowledged. */
#ifdef TRUC_CANARY_STALE_HAND_OVER
enum { CANARY_STALE_HAND_OVER = 1 };
#else
enum { CANARY_STALE_HAND_OVER = 0 };
#endif

/* An ordered subscription goes on one position too far. */
#ifdef TRUC_CANARY_RESUME_BEYOND
enum { CANARY_RESUME_BEYOND = 1 };
#else
enum { CANARY_RESUME_BEYOND = 0 };
#endif

/* What was published together may come to the disk in two blocks. */
#ifdef TRUC_CANARY_TOGETHER_PARTED
enum { CANARY_TOGETHER_PARTED = 1 };
#else
enum { CANARY_TOGETHER_PARTED = 0 };
#endif

#endif
