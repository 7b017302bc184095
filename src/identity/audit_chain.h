/* The chain behind the audit trail: what is hashed and how, and the statements that read and write it. A
 * row's hash covers each of its columns but its number; a batch's covers the numbers and hashes of its rows,
 * its own columns and the hash of the batch before. For the files of this folder: audit_seal.c makes it,
 * audit_verify.c follows it. */
#ifndef IDENTITY_AUDIT_CHAIN_H
#define IDENTITY_AUDIT_CHAIN_H

#include "db/db.h"

#include <sodium.h>

#define AUDIT_HASH_BYTES crypto_hash_sha256_BYTES
#define AUDIT_MARK_BYTES 16  /* a row's number, big-endian, and the first half of what is left of its hash */
#define AUDIT_BATCH_MAX 4096 /* rows */

/* A row as it is stored: before and after are text, whatever stands in them. */
struct audit_row {
    int64_t seq;
    struct uuid org_id, id;
    struct instant recorded_at;
    struct str actor, action, target, before, after, request_id;
};
extern const struct schema AUDIT_ROW;

struct audit_seal {
    int64_t batch, first_seq, last_seq, row_count;
    struct instant sealed_at;
    struct bytes marks, previous, hash;
};
extern const struct schema AUDIT_SEAL;

struct audit_head {
    int64_t batch, last_seq;
    struct bytes hash;
};
extern const struct schema AUDIT_HEAD;

/* The head beside what is there: all as of one moment. */
struct audit_state {
    int64_t batch, last_seq;
    struct bytes hash;
    int64_t newest; /* of the batches that there are; 0: none */
    int64_t unsealed;
    struct instant unsealed_since;
};
extern const struct schema AUDIT_STATE;

struct audit_number {
    int64_t number;
};

enum audit_stmt {
    AUDIT_ROWS,  /* $1 to $2, at most $3 */
    AUDIT_SEALS, /* after $1, up to $2, at most $3 */
    AUDIT_HEAD_GET,
    AUDIT_STATE_GET,
    AUDIT_FRONTIER, /* the last number that was given out */
    AUDIT_BEGUN,    /* no transaction with this id or a higher one has begun */
    AUDIT_ENDED,    /* all transactions below this id have ended */
    AUDIT_LEASE_TAKE,
    AUDIT_LEASE_KEEP,
    AUDIT_HEAD_MOVE, /* from where it was found only */
    AUDIT_SEAL_INSERT,
    AUDIT_PAGE,
    AUDIT_PAGE_TARGET,
    AUDIT_STMTS_N
};
extern const struct stmt AUDIT_STMTS[AUDIT_STMTS_N];

/* One batch on its way to its hash: rows are added in the order of their numbers. */
struct audit_batch {
    crypto_hash_sha256_state state;
    int64_t rows;
};
void audit_batch_begin(struct audit_batch *b, int64_t number, struct bytes previous, int64_t first_seq);
void audit_batch_add(struct audit_batch *b, const struct audit_row *row,
                     unsigned char mark[static AUDIT_MARK_BYTES]);
void audit_batch_end(struct audit_batch *b, int64_t last_seq, struct instant sealed_at,
                     unsigned char hash[static AUDIT_HASH_BYTES]);
int64_t audit_mark_seq(const unsigned char mark[static AUDIT_MARK_BYTES]);

/* The rows from one number to another, at most so many, in pages with a read and a memory of their own.
 * reached: up to where none was left out. */
typedef enum err audit_row_fn(void *arg, const struct audit_row *row);
MUST_USE enum err audit_rows(struct ctx *cx, int64_t from, int64_t to, int64_t most, audit_row_fn *each,
                             void *arg, int64_t *reached);
/* One statement that gives one number, in a read of its own. */
MUST_USE enum err audit_number(struct ctx *cx, enum audit_stmt which, int64_t *out);

#endif
