#include "faults.h"

#include "agenda.h"
#include "clients.h"
#include "world.h"

static void lose_one(void)
{
    uint64_t count = connection_count(), latest = count < 40 ? count : 40;

    if (count > 0)
        connection_fail(connection_at(count - draw(latest)));
}

static void lose_all(void)
{
    for (uint64_t number = 1; number <= connection_count(); number++) {
        if (connection_at(number)->client_has)
            connection_fail(connection_at(number));
    }
}

void fault_happens(enum fault fault)
{
    switch (fault) {
    case FAULT_CRASH:
        world_crash();
        break;
    case FAULT_DRAIN:
        world_drain();
        agenda_add(world.now.boot_ns + (int64_t)draw(500) * MS, OCCUR_FAULT, world.life, FAULT_CRASH, NULL);
        break;
    case FAULT_LOSS:
        lose_one();
        break;
    case FAULT_LOSS_ALL:
        lose_all();
        break;
    case FAULT_CLOCK:
        world.now.wall_ns += ((int64_t)draw(20000) - 10000) * MS;
        break;
    case FAULT_SLEEP:
        world.now.boot_ns += (int64_t)draw(20000) * MS;
        world.now.wall_ns += (int64_t)draw(20000) * MS;
        break;
    case FAULT_SLOW_DISK:
        world.commit_ns = (1 + (int64_t)draw(40)) * MS / 4;
        break;
    case FAULT_DISK_FULL:
        world_fill(one_in(2) ? 0 : draw(6000));
        agenda_add(world.now.boot_ns + (int64_t)draw(3000) * MS, OCCUR_FAULT, 0, FAULT_DISK_FREED, NULL);
        break;
    case FAULT_DISK_FREED:
        world_fill(UINT64_MAX);
        break;
    }
}

void fault_any(void)
{
    static const enum fault faults[] = {FAULT_CRASH, FAULT_CRASH,     FAULT_DRAIN,    FAULT_LOSS,  FAULT_LOSS,
                                        FAULT_LOSS,  FAULT_LOSS,      FAULT_LOSS,     FAULT_CLOCK, FAULT_LOSS_ALL,
                                        FAULT_SLEEP, FAULT_SLOW_DISK, FAULT_DISK_FULL};

    fault_happens(faults[draw(sizeof faults / sizeof faults[0])]);
}
