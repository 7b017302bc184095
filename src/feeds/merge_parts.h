/* The parts of merge.h's work, in the order in which they act:
 *
 *   merge_headings.c  opens the files and finds out which cell is which column
 *   merge_lane.c      first reading: each lane, a thread, judges the rows of a stretch of the input, keeps
 * two bits for each (its fate) and a fingerprint of its key, and cuts the stretch into pieces merge_prints.c
 * the fingerprints, by partition, in memory or in a temporary file merge_dedupe.c    of fingerprints that are
 * equal all but the last make their rows duplicates merge_write.c     second reading: threads take piece
 * after piece, write what was accepted, tell what was rejected, and count merge.c           splits the input
 * into lanes, puts right what was split wrong, and publishes the output */
#ifndef FEEDS_MERGE_PARTS_H
#define FEEDS_MERGE_PARTS_H

#include "base/ctx.h"
#include "feeds/merge.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define MERGE_LANES_MAX 4
#define MERGE_PIECE ((int64_t)1 << 20) /* bytes of input a piece of the second reading is long */
#define MERGE_ABSENT SIZE_MAX

enum merge_fate { MERGE_ACCEPTED, MERGE_DUPLICATE, MERGE_REJECTED, MERGE_SKIPPED };

/* A file that is open. */
struct merge_input {
    struct merge_file *file;
    int fd; /* -1: it failed */
    struct stat stat;
    struct csv_dialect dialect;
    struct csv_place body; /* the first row below the headings */
    struct str headings_raw;
    const struct str *headings;
    size_t width;    /* how many headings */
    size_t *cell_of; /* one a column: which cell it is, or MERGE_ABSENT */
    bool as_it_is;   /* its rows are rows of the output */
};

/* Two bits a row, by the row's number in its lane. */
#define MERGE_FATES_CHUNK ((size_t)1 << 18)
#define MERGE_ROWS_MAX UINT32_MAX
struct merge_fates {
    _Atomic unsigned char *chunks[MERGE_ROWS_MAX / MERGE_FATES_CHUNK + 1];
};

struct merge_print {
    uint64_t a;
    uint32_t b, row;
};

#define MERGE_PARTITIONS 256
struct merge_spill {
    int fd; /* a temporary file without a name, for the fingerprints of all lanes */
    atomic_llong size;
};
struct merge_prints;
struct merge_prints *merge_prints_new(struct arena *mem, size_t memory, struct merge_spill *spill);
/* False when memory or disk is full. */
bool merge_prints_add(struct merge_prints *p, const unsigned char hash[16], uint32_t row);
size_t merge_prints_count(const struct merge_prints *p, size_t partition);
/* All of a partition, in the order in which they came. */
bool merge_prints_read(const struct merge_prints *p, size_t partition, struct merge_print *out);

/* Rows of one lane that stand one behind the other in one file. */
struct merge_piece {
    size_t input, lane;
    struct csv_place from;
    int64_t to;
    uint32_t row, rows; /* the first one's number in the lane, and how many */
};

struct merge_run;
struct merge_lane {
    struct merge_run *run;
    size_t number;
    struct arena *mem, *reading; /* all that lasts; what lasts for one file */
    size_t first, last;          /* inputs */
    struct csv_place start;      /* in the first; line and number are counted from 1 if it was guessed */
    int64_t stop;                /* in the last: rows that begin there or later are the next lane's */
    struct csv_place end;        /* where it really ended */
    struct merge_fates *fates;
    struct merge_prints *prints;
    uint32_t rows;
    struct merge_piece *pieces;
    size_t n_pieces, cap_pieces;
    struct buf key;
};

struct merge_run {
    struct ctx *cx;
    struct merge *m;
    struct merge_input *inputs; /* one a file */
    unsigned char secret[crypto_shorthash_siphashx24_KEYBYTES];
    struct merge_spill spill;
    struct merge_lane lanes[MERGE_LANES_MAX];
    size_t n_lanes, threads;
    int out; /* -1: nothing is written */
    int64_t written;
    atomic_bool failed; /* everybody stops; the first reason is kept */
    pthread_mutex_t lock;
    enum err code;
    char reason[400];
};
/* From any thread. */
enum err merge_fail(struct merge_run *run, enum err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Calls work on n args, in as many threads as can be had. */
void merge_threads(size_t n, void *(*work)(void *), void *args, size_t size);

/* What is wrong with the file, if anything, stands in file->failed. */
void merge_open(struct ctx *cx, const struct merge *m, struct merge_file *file, struct merge_input *in);
/* A row's fate but for duplicates. problem and column say why a row is rejected, text in mem. cells has room
 * for all columns and gets those of a row that is not rejected. */
struct merge_verdict {
    enum merge_fate fate;
    struct str column, problem;
};
struct merge_verdict merge_judge(const struct merge *m, const struct merge_input *in,
                                 const struct csv_row *row, struct arena *mem, struct str *cells);

enum merge_fate merge_fate_get(const struct merge_fates *fates, uint32_t row);
bool merge_fate_set(struct merge_fates *fates, struct arena *mem, uint32_t row, enum merge_fate fate);
void merge_fate_duplicate(struct merge_fates *fates, uint32_t row); /* of one accepted; from any thread */

enum err merge_lane_read(struct merge_lane *lane);
enum err merge_dedupe(struct merge_run *run);
enum err merge_write(struct merge_run *run);

#endif
