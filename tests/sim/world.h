/* world.h: the core between clients, network, store and clocks; one occurrence after the other. Layer: test of core. */
#ifndef TRUC_TESTS_SIM_WORLD_H
#define TRUC_TESTS_SIM_WORLD_H

#include "network.h"

struct world {
    struct core *core;
    struct core_now now;
    uint32_t life; /* of the core, from 1; grows with each restart */
    uint64_t steps;
    size_t events; /* of this step */
    bool calm;     /* nothing goes wrong any more */
    bool full;     /* the disk, but for so much: */
    uint64_t room;
    bool drained; /* the core says that nothing is pending */
    bool failed;  /* the core was told in an earlier step that a flush failed */
    /* of this seed */
    bool proves;            /* clients check digests */
    unsigned together;      /* events of one step, at most */
    int64_t commit_ns;      /* a commit takes about so long */
    unsigned fails_one_in;  /* commits; 0: none */
    unsigned faults_one_in; /* steps */
};
extern struct world world;
extern uint64_t world_steps_all; /* over all seeds */

void world_begin(void);
void world_end(void);
/* Takes the next occurrence, or several, and steps the core if it concerns it. False: nothing is to happen any more. */
bool world_go_on(void);
/* The process is killed, and begins anew. */
void world_crash(void);
void world_drain(void);
/* The disk has so much room left; UINT64_MAX: enough. */
void world_fill(uint64_t room);

/* The broker has sent a frame. */
void world_sent(struct connection *connection, struct bytes frame);

#endif
