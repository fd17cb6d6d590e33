/* sound.c: LMDB's layout as of 0.9 on 64-bit machines.
 *
 *   page     u64 number | u16 | u16 flags | u16 lower | u16 upper (or u32 pages, of an overflow page) | u16 node offsets .. lower
 *            nodes from upper to the end, without gaps
 *   node     u16 low | u16 high | u16 flags | u16 key size | key | data, padded to 2
 *            in a leaf low and high are the data's size; in a branch low, high, flags are the child's number
 *   database u32 | u16 flags | u16 depth | u64 x 4 | u64 root
 *   meta     page head | u32 magic | u32 version | u64 | u64 map size | database free | database main | u64 last page | u64 txn */
#include "broker/log/lmdb/sound.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    PAGE_HEAD = 16,
    NODE_HEAD = 8,
    KEY_MAX = 511,
    DEPTH_MAX = 32,
    BRANCH = 1,
    LEAF = 2,
    OVERFLOW_PAGE = 4,
    BIG_DATA = 1,
    SUB_DATABASE = 2,
    DATABASE_BYTES = 48,
    DATABASE_ROOT_AT = 40,
    META_PAGE_BYTES_AT = 40,
    META_FREE_AT = 40,
    META_MAIN_AT = 88,
    META_LAST_PAGE_AT = 136,
    META_TXN_AT = 144
};
#define NO_PAGE UINT64_MAX

struct walk {
    const uint8_t *file;
    uint64_t page_bytes, page_count; /* in use */
    uint8_t *seen;                   /* a bit per page */
};

enum tree { TREE_MAIN, TREE_FREE, TREE_TABLE };

/* Counts a page as used, once. */
static bool use(struct walk *walk, uint64_t page)
{
    if (page < 2 || page >= walk->page_count || (walk->seen[page / 8] >> page % 8 & 1) != 0) {
        return false;
    }
    walk->seen[page / 8] |= (uint8_t)(1 << page % 8);
    return true;
}

/* The pages of a value that has pages of its own. */
static const uint8_t *big_value(struct walk *walk, uint64_t page, uint64_t size)
{
    if (!use(walk, page)) {
        return NULL;
    }
    const uint8_t *head = walk->file + page * walk->page_bytes;
    uint64_t pages = load_u32(head + 12);
    if (load_u64(head) != page || (load_u16(head + 10) & OVERFLOW_PAGE) == 0 || pages == 0 || pages > walk->page_count - page ||
        size > pages * walk->page_bytes - PAGE_HEAD) {
        return NULL;
    }
    for (uint64_t i = 1; i < pages; i++) {
        if (!use(walk, page + i)) {
            return NULL;
        }
    }
    return head + PAGE_HEAD;
}

/* A list of free pages: its length, then the pages, falling. */
static bool free_list(struct walk *walk, const uint8_t *list, uint64_t size)
{
    if (list == NULL || size < 8 || size % 8 != 0 || load_u64(list) != size / 8 - 1) {
        return false;
    }
    for (uint64_t i = 1; i < size / 8; i++) {
        if (!use(walk, load_u64(list + i * 8))) {
            return false;
        }
    }
    return true;
}

static bool walk_tree(struct walk *walk, uint64_t root, enum tree tree, int depth);

static bool leaf_node(struct walk *walk, const uint8_t *node, enum tree tree, int depth)
{
    uint64_t size = load_u16(node) | (uint64_t)load_u16(node + 2) << 16;
    uint16_t flags = load_u16(node + 4);
    const uint8_t *data = node + NODE_HEAD + load_u16(node + 6);
    if ((flags & BIG_DATA) != 0) {
        data = big_value(walk, load_u64(data), size);
    }
    switch (tree) {
    case TREE_FREE:
        return (flags & ~BIG_DATA) == 0 && free_list(walk, data, size);
    case TREE_MAIN:
        return flags == SUB_DATABASE && size == DATABASE_BYTES &&
               walk_tree(walk, load_u64(data + DATABASE_ROOT_AT), TREE_TABLE, depth);
    case TREE_TABLE:
        break;
    }
    return flags == 0;
}

/* A node's size in its page, or 0 when it is out of bounds. */
static uint64_t node_bytes(const struct walk *walk, const uint8_t *page, uint64_t at, bool leaf)
{
    if (at + NODE_HEAD > walk->page_bytes) {
        return 0;
    }
    const uint8_t *node = page + at;
    uint64_t size = NODE_HEAD + (uint64_t)load_u16(node + 6);
    if (leaf) {
        size += (load_u16(node + 4) & BIG_DATA) != 0 ? 8 : load_u16(node) | (uint64_t)load_u16(node + 2) << 16;
    }
    size = (size + 1) & ~(uint64_t)1;
    return load_u16(node + 6) <= KEY_MAX && size <= walk->page_bytes - at ? size : 0;
}

static bool walk_page(struct walk *walk, uint64_t number, enum tree tree, int depth)
{
    if (depth > DEPTH_MAX || !use(walk, number)) {
        return false;
    }
    const uint8_t *page = walk->file + number * walk->page_bytes;
    uint16_t flags = load_u16(page + 10);
    uint64_t lower = load_u16(page + 12), upper = load_u16(page + 14), used = 0;
    bool leaf = flags == LEAF;
    if (load_u64(page) != number || (flags != LEAF && flags != BRANCH) || lower < PAGE_HEAD || lower % 2 != 0 || lower > upper ||
        upper > walk->page_bytes) {
        return false;
    }
    for (uint64_t slot = PAGE_HEAD; slot < lower; slot += 2) {
        uint64_t at = load_u16(page + slot), size = at >= upper ? node_bytes(walk, page, at, leaf) : 0;
        if (size == 0) {
            return false;
        }
        used += size;
        const uint8_t *node = page + at;
        uint64_t child = load_u16(node) | (uint64_t)load_u16(node + 2) << 16 | (uint64_t)load_u16(node + 4) << 32;
        if (leaf ? !leaf_node(walk, node, tree, depth) : !walk_page(walk, child, tree, depth + 1)) {
            return false;
        }
    }
    return used == walk->page_bytes - upper;
}

static bool walk_tree(struct walk *walk, uint64_t root, enum tree tree, int depth)
{
    return root == NO_PAGE || walk_page(walk, root, tree, depth + 1);
}

static truc_status check(const uint8_t *file, uint64_t file_bytes)
{
    uint64_t page_bytes = load_u32(file + META_PAGE_BYTES_AT);
    if (page_bytes < 512 || page_bytes > file_bytes / 2) {
        return TRUC_DAMAGED;
    }
    const uint8_t *other = file + page_bytes;
    const uint8_t *meta = load_u64(file + META_TXN_AT) > load_u64(other + META_TXN_AT) ? file : other;
    struct walk walk = {.file = file, .page_bytes = page_bytes, .page_count = load_u64(meta + META_LAST_PAGE_AT) + 1};
    if (walk.page_count > file_bytes / page_bytes) {
        return TRUC_DAMAGED;
    }
    walk.seen = calloc(walk.page_count / 8 + 1, 1);
    if (walk.seen == NULL) {
        return TRUC_NO_MEMORY;
    }
    bool sound = walk_tree(&walk, load_u64(meta + META_MAIN_AT + DATABASE_ROOT_AT), TREE_MAIN, 0) &&
                 walk_tree(&walk, load_u64(meta + META_FREE_AT + DATABASE_ROOT_AT), TREE_FREE, 0);
    free(walk.seen);
    return sound ? TRUC_OK : TRUC_DAMAGED;
}

truc_status sound_check(const char *path, uint64_t file_bytes, char *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return files_error(errno, "opening", path, why);
    }
    void *file = mmap(NULL, file_bytes, PROT_READ, MAP_SHARED, fd, 0);
    int code = errno;
    (void)close(fd);
    if (file == MAP_FAILED) {
        return files_error(code, "mapping", path, why);
    }
    truc_status status = check(file, file_bytes);
    (void)munmap(file, file_bytes);
    if (status == TRUC_DAMAGED) {
        log_why(why, "%s is damaged: its pages do not hang together", path);
    }
    return status;
}
