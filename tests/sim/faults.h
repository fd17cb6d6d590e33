/* faults.h: what goes wrong around the core. Layer: test of core. */
#ifndef TRUC_TESTS_SIM_FAULTS_H
#define TRUC_TESTS_SIM_FAULTS_H

enum fault {
    FAULT_CRASH,     /* kill -9, at any step */
    FAULT_DRAIN,     /* an orderly end, then a start */
    FAULT_LOSS,      /* a connection */
    FAULT_LOSS_ALL,  /* the network */
    FAULT_CLOCK,     /* the wall clock jumps */
    FAULT_SLEEP,     /* time passes and nothing happens */
    FAULT_SLOW_DISK, /* for a while */
    FAULT_DISK_FULL, /* for a while */
    FAULT_DISK_FREED
};

void fault_any(void);
void fault_happens(enum fault fault);

#endif
