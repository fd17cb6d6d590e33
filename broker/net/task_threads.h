/* task_threads.h: fewer of NNG's callback threads. Layer: net. docs/adr/0025.
 *
 * NNG 1.5.2 runs callbacks on two threads per core and has no knob for it. Short callbacks on many connections then cost more in
 * waking and contending threads than in work. So all but some are given a callback that does nothing until it is told to end.
 * One owner per process at a time. */
#ifndef TRUC_NET_TASK_THREADS_H
#define TRUC_NET_TASK_THREADS_H

struct task_threads;

/* Leaves `kept` threads (at least 1) to NNG's callbacks. NULL: nothing was held, for any reason; all goes on as before. To be
 * called once NNG runs. */
struct task_threads *task_threads_hold(unsigned kept);

/* Gives the threads back; not from a callback. NULL is allowed. */
void task_threads_release(struct task_threads *threads);

#endif
