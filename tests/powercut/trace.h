/* trace.h: what the recorder writes and the replayer reads: one ordered list of everything trucd did to its disk and its sockets.
 *
 * Layer: tests. An event is a struct trace_event, then `name_size` bytes of path, then `size` bytes of data when
 * the kind has data. Events are numbered by their order in the file. What orders them, and why that order is enough:
 *
 *   a plain write is listed after it returned      -> listed or not, it is only pending: it may be kept, torn or dropped
 *   an O_DSYNC write is listed twice               -> pending from DSYNC_BEGIN on, on disk from DONE on
 *   a flush is listed twice                        -> what was listed before its SYNC_BEGIN is on disk from its DONE on
 *   a send is listed before it happens             -> what it tells the peer must have been on disk at that event */
#ifndef TRUC_TESTS_POWERCUT_TRACE_H
#define TRUC_TESTS_POWERCUT_TRACE_H

#include <stdint.h>

enum trace_kind {
    TRACE_START = 1,     /* a process begins: its descriptors are new */
    TRACE_CREATE,        /* name, file: a file that was not there */
    TRACE_MKDIR,         /* name */
    TRACE_RENAME,        /* name: "from\0to" */
    TRACE_UNLINK,        /* name; also of an empty directory */
    TRACE_WRITE,         /* file, offset, data */
    TRACE_RESIZE,        /* file, offset = new size (ftruncate, fallocate, O_TRUNC) */
    TRACE_DSYNC_BEGIN,   /* file, offset, data; answered by DONE */
    TRACE_SYNC_BEGIN,    /* file; answered by DONE */
    TRACE_DIRSYNC_BEGIN, /* name; answered by DONE */
    TRACE_DONE,          /* ticket of the BEGIN; offset = 1 when it succeeded */
    TRACE_SEND,          /* file = descriptor, data; answered by SENT */
    TRACE_SENT,          /* ticket of the SEND, offset = bytes that went out */
    TRACE_HANGUP,        /* file = descriptor of a socket that was closed */
    TRACE_MAPPED         /* name: a writable shared mapping, which the recorder cannot follow */
};

struct trace_event {
    uint32_t kind;
    uint32_t name_size;
    uint64_t file; /* inode, or a descriptor for sockets */
    uint64_t offset;
    uint64_t size;   /* bytes of data that follow */
    uint64_t ticket; /* unique per process start; pairs BEGIN with DONE, SEND with SENT */
};

#endif
