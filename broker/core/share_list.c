#include "share_internal.h"

void lane_list_add(struct share *share, struct lane_list *list, enum lane_link link, struct lane *lane, bool front)
{
    uint32_t previous = front ? 0 : list->last, next = front ? list->first : 0;

    lane->links[link].previous = previous;
    lane->links[link].next = next;
    if (previous)
        lane_at(share, previous - 1)->links[link].next = lane->index + 1;
    else
        list->first = lane->index + 1;
    if (next)
        lane_at(share, next - 1)->links[link].previous = lane->index + 1;
    else
        list->last = lane->index + 1;
}

void lane_list_remove(struct share *share, struct lane_list *list, enum lane_link link, struct lane *lane)
{
    uint32_t previous = lane->links[link].previous, next = lane->links[link].next;

    if (previous)
        lane_at(share, previous - 1)->links[link].next = next;
    else
        list->first = next;
    if (next)
        lane_at(share, next - 1)->links[link].previous = previous;
    else
        list->last = previous;
    lane->links[link].previous = lane->links[link].next = 0;
}

void lane_mark_dirty(struct share *share, struct lane *lane)
{
    if (lane->dirty)
        return;
    lane->dirty = true;
    lane_list_add(share, &share->dirty, LINK_DIRTY, lane, false);
}

void lane_unmark_dirty(struct share *share, struct lane *lane)
{
    if (!lane->dirty)
        return;
    lane->dirty = false;
    lane_list_remove(share, &share->dirty, LINK_DIRTY, lane);
}

void lane_feed(struct share *share, struct lane *lane)
{
    if (!lane->more || lane->hungry || lane->slot != 0 || lane->count > lane_room(share) / 4)
        return;
    lane->hungry = true;
    lane_list_add(share, &share->hungry, LINK_HUNGRY, lane, false);
}
