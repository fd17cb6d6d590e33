/* intake.h: bytes in, frames out. Layer: net. No I/O; used by one thread at a time.
 *
 *     buffer  [ cut, perhaps still in use | begin .. end: not cut yet | room ]
 *
 * Frames are cut where they were received. Only the tail of a frame that does not fit is moved, into a fresh buffer. A large
 * frame gets a buffer of its own size, at once when the connection has delivered one as large before, else growing with what
 * really arrived: a prefix that lies costs no memory. A connection that is idle holds one small buffer. */
#ifndef TRUC_NET_INTAKE_H
#define TRUC_NET_INTAKE_H

#include "broker/net/buffer.h"

enum {
    INTAKE_BYTES_FIRST = 1024,       /* the buffer of a connection that has said nothing */
    INTAKE_BYTES_SMALL = 4 * 1024,   /* of one that is idle */
    INTAKE_BYTES_STREAM = 64 * 1024, /* of one that sends faster than it is read; trusted without history */
    INTAKE_BYTES_SLACK = 4 * 1024    /* behind a large frame, for the beginning of the next */
};

struct intake {
    struct buffer_account *account; /* owned */
    struct net_buffer *buffer;      /* owned; NULL before the first room */
    size_t begin, end;
    size_t frame_bytes_max;
    size_t trusted_bytes; /* largest frame that came whole */
    size_t room_offered;
    bool room_filled; /* the last receive filled what was offered: there is more */
    bool logged_in;
};

void intake_init(struct intake *intake, struct buffer_account *account_taken, size_t frame_bytes_max);
void intake_fini(struct intake *intake);

/* Where the next bytes go. TRUC_BUSY: ask again when bytes came back (buffer_take); TRUC_NO_MEMORY. */
truc_status intake_room(struct intake *intake, uint8_t **ret_at, size_t *ret_size);

/* So many bytes were received into the room. */
void intake_received(struct intake *intake, size_t size);

/* The next whole frame, borrowed from intake->buffer; true until there is none. False with *ret_status other than TRUC_OK: the
 * peer broke the framing, the connection cannot go on. */
bool intake_next(struct intake *intake, struct frame *ret_frame, truc_status *ret_status, const char **ret_why);

/* Whether a frame has begun and is not whole. */
bool intake_is_partial(const struct intake *intake);

#endif
