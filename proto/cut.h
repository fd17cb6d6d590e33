/* cut.h: a part of an entry that proves like the whole: chosen records with their salts, the digests of the others. Layer: proto.
 * docs/format.md "Cut entry".
 *
 * A cut entry is laid out as a served entry (entry.h) with flag bit 0 set; leaf and immutable header are unchanged. Its batch has
 * a salt seed of zeros, codec none, flags bit 0 (cut), raw_size of the whole, and instead of the payload:
 *
 *    0 u32 chosen count   4 u32 digest count
 *    8 per chosen record, in order: u32 index | u32 size | u8[16] salt | record bytes, padded with zeros to 8
 *      digests, 32 bytes each: of every largest subtree of the 16-ary tree that holds no chosen record, from left to right
 *
 * So whoever gets a part can check records_root, and learns of the other records nothing but how many there are, and their bytes
 * together.
 * Only entries of evidence `record` can be cut; others go whole. Pure; one thread per context. */
#ifndef TRUC_PROTO_CUT_H
#define TRUC_PROTO_CUT_H

#include "digest.h"
#include "entry.h"

/* The salts and digests of one entry: what is dear about cutting. Never changes; counted references, any thread. */
struct cut_tree;
void cut_tree_ref(struct cut_tree *tree);
void cut_tree_unref(struct cut_tree *tree);         /* NULL is allowed */
size_t cut_tree_bytes(const struct cut_tree *tree); /* of memory */

/* One entry, found out once for the several parts it is cut into. One thread. */
struct cutter;
struct cutter *cutter_create(void);         /* NULL when out of memory */
void cutter_destroy(struct cutter *cutter); /* NULL is allowed */

/* Takes a stored entry (directory is ignored): unpacks it, finds its records, digests all of them, unless `known` (or NULL) is the
 * tree that was made of it before; borrowed until the next call or until the entry's bytes go. TRUC_DAMAGED, TRUC_BAD_CODEC,
 * TRUC_NO_MEMORY; TRUC_UNSUPPORTED for evidence `batch`, which goes whole. */
truc_status cutter_take(struct cutter *cutter, const struct entry_view *entry, struct cut_tree *known);

/* Takes these records (ascending) of an entry again whose tree is known, and no others: for bytes that were not checked
 * (entry_peek), as only what is taken is looked at, and compared with the tree. False: they are not what the tree was made of, or
 * are packed: cutter_take tells. */
bool cutter_take_again(struct cutter *cutter, const struct entry_view *entry, struct cut_tree *known, const uint32_t *indexes,
                       size_t count);

/* The tree of the taken entry: for whoever takes it again. Borrowed. */
struct cut_tree *cutter_tree(const struct cutter *cutter);

/* Record at an index of the taken entry (below its record count), as published. */
struct bytes cutter_record(const struct cutter *cutter, uint32_t index);

/* Exact size of the cut entry for these indexes (ascending, distinct, 1 to record count - 1 or all of them), and the cut entry
 * itself, written to `out` (8-aligned). Many small records of a full batch can make it larger than a receiver takes (a batch of
 * BATCH_BYTES_MAX), since each carries its salt: then it has to be cut into more parts; one record always fits. */
size_t cutter_size(const struct cutter *cutter, const uint32_t *indexes, size_t count);
void cutter_write(struct cutter *cutter, const uint32_t *indexes, size_t count, uint8_t *out);

/* --- the receiving side ---------------------------------------------------------------------------------------------------- */

/* Walks a cut payload. */
struct cut_record {
    uint32_t index; /* in the batch: offset = base offset + index */
    const uint8_t *salt;
    struct bytes encoded; /* borrowed */
};
bool entry_is_cut(const struct entry_view *view);

/* Everything a receiver can check by itself, as entry_prove: leaf and batch agree, the chosen records and the digests given come
 * to records_root, indexes ascend below the record count, nothing is left over. *records is realloc'd and kept (*capacity) by the
 * caller. TRUC_DAMAGED or TRUC_DIGEST_MISMATCH, TRUC_NO_MEMORY. */
truc_status cut_prove(struct digest_context *context, const struct entry_view *view, struct leaf *ret_leaf,
                      struct batch_view *ret_batch, struct cut_record **records, size_t *capacity, size_t *ret_count,
                      const char **ret_why);

#endif
