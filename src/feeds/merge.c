#include "base/arena.h"
#include "base/csv_split.h"
#include "feeds/merge_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/banned.h"

#define MEMORY ((size_t)24 << 20)
#define LANE_MIN ((int64_t)4 << 20) /* bytes for which another thread is worth while */

enum err merge_fail(struct merge_run *run, enum err code, const char *fmt, ...) {
    va_list args;
    pthread_mutex_lock(&run->lock);
    if (!run->code) {
        va_start(args, fmt);
        (void)vsnprintf(run->reason, sizeof run->reason, fmt, args);
        va_end(args);
        run->code = code;
        run->failed = true;
    }
    pthread_mutex_unlock(&run->lock);
    return run->code;
}

void merge_threads(size_t n, void *(*work)(void *), void *args, size_t size) {
    pthread_t threads[MERGE_LANES_MAX];
    bool started[MERGE_LANES_MAX] = {false};
    for (size_t i = 1; i < n; i++)
        started[i] = pthread_create(&threads[i], NULL, work, (char *)args + i * size) == 0;
    for (size_t i = 0; i < n; i++)
        if (!started[i])
            (void)work((char *)args + i * size);
    for (size_t i = 1; i < n; i++)
        if (started[i])
            pthread_join(threads[i], NULL);
}

/* A lane as it is before it reads. */
static bool begin_lane(struct merge_lane *lane) {
    struct merge_run *run = lane->run;
    size_t memory = (run->m->memory ? run->m->memory : MEMORY) / run->n_lanes;
    if (!lane->mem)
        lane->mem = arena_new(SIZE_MAX);
    if (!lane->reading)
        lane->reading = arena_new(SIZE_MAX);
    if (!lane->mem || !lane->reading)
        return false;
    arena_reset(lane->mem);
    arena_reset(lane->reading);
    lane->rows = 0;
    lane->pieces = NULL;
    lane->n_pieces = lane->cap_pieces = 0;
    lane->fates = NEW(lane->mem, struct merge_fates);
    lane->prints = merge_prints_new(lane->mem, memory, &run->spill);
    lane->key = buf_new(lane->mem, 2 * CSV_ROW_MAX);
    return lane->fates && lane->prints;
}

static void *read_lane(void *arg) {
    struct merge_lane *lane = arg;
    if (begin_lane(lane))
        (void)merge_lane_read(lane);
    else
        (void)merge_fail(lane->run, ERR_MEMORY, "Memory is out.");
    return NULL;
}

static int64_t length(const struct merge_input *in) {
    return in->fd < 0 ? 0 : in->stat.st_size - in->body.offset;
}

/* Ends a lane about so many bytes into the input, and gives where the next one begins. */
static void cut(struct merge_run *run, int64_t target, struct merge_lane *lane, struct merge_lane *next) {
    size_t i = lane->first;
    if (i == run->m->n_files) { /* nothing is left for it, nor for the next one */
        next->first = i;
        return;
    }
    for (size_t k = 0; k < i; k++)
        target -= length(&run->inputs[k]);
    for (; i + 1 < run->m->n_files && target >= length(&run->inputs[i]); i++)
        target -= length(&run->inputs[i]);
    const struct merge_input *in = &run->inputs[i];
    int64_t from = in->body.offset + (target > 0 ? target : 0), to = in->stat.st_size;
    if (i == lane->first && from <= lane->start.offset)
        from = lane->start.offset + 1;
    struct arena *mem = arena_new(8 * CSV_ROW_MAX);
    int64_t guess =
        mem && in->fd >= 0 && from < to ? csv_guess(mem, in->fd, in->dialect, from, to, in->width) : to;
    arena_free(mem);
    lane->last = i;
    lane->stop = guess < to ? guess : INT64_MAX;
    next->first = guess < to ? i : i + 1;
    next->start = (struct csv_place){guess, 1, 1};
    if (guess >= to && i + 1 < run->m->n_files)
        next->start = run->inputs[i + 1].body;
}

static void make_lanes(struct merge_run *run) {
    int64_t all = 0;
    for (size_t i = 0; i < run->m->n_files; i++)
        all += length(&run->inputs[i]);
    run->n_lanes = run->threads;
    while (!run->m->threads && run->n_lanes > 1 && all / (int64_t)run->n_lanes < LANE_MIN)
        run->n_lanes--;
    run->lanes[0].start = run->inputs[0].body;
    for (size_t l = 0; l < run->n_lanes; l++) {
        struct merge_lane *lane = &run->lanes[l];
        lane->run = run;
        lane->number = l;
        lane->last = run->m->n_files - 1;
        lane->stop = INT64_MAX;
        if (l + 1 < run->n_lanes)
            cut(run, all * (int64_t)(l + 1) / (int64_t)run->n_lanes, lane, &run->lanes[l + 1]);
    }
}

/* Pieces of a lane that began in the middle of a file know where they stand in it once the lane before has
 * been read. */
static void shift(struct merge_lane *lane, struct csv_place by) {
    for (size_t i = 0; i < lane->n_pieces; i++)
        if (lane->pieces[i].input == lane->first) {
            lane->pieces[i].from.line += by.line - 1;
            lane->pieces[i].from.number += by.number - 1;
        }
    if (lane->last == lane->first) {
        lane->end.line += by.line - 1;
        lane->end.number += by.number - 1;
    }
}

/* Where a lane began at a wrong guess it reads its stretch again. */
static void verify_lanes(struct merge_run *run) {
    for (size_t l = 1; l < run->n_lanes && !run->failed; l++) {
        const struct merge_lane *before = &run->lanes[l - 1];
        struct merge_lane *lane = &run->lanes[l];
        if (before->stop == INT64_MAX)
            continue;
        if (before->end.offset == lane->start.offset) {
            shift(lane, before->end);
        } else {
            lane->start = before->end;
            (void)read_lane(lane);
        }
    }
}

static struct str folder_of(struct ctx *cx, struct str path) {
    size_t n = path.n;
    while (n > 0 && path.p[n - 1] != '/')
        n--;
    return n > 0 ? str_dup(cx->mem, str_sub(path, 0, n)) : S("./");
}

static enum err open_spill(struct merge_run *run) {
    struct ctx *cx = run->cx;
    const char *tmp = getenv("TMPDIR");
    struct str folder = run->m->out.p ? folder_of(cx, run->m->out) : str_of(tmp && *tmp ? tmp : "/tmp");
    char *name = str_z(cx->mem, str_printf(cx->mem, "%.*s/.merge-XXXXXX", STR_FMT(folder)));
    run->spill.fd = name ? mkostemp(name, O_CLOEXEC) : -1;
    if (run->spill.fd < 0)
        return fail(cx, ERR_UNAVAILABLE, "No temporary file can be made in %.*s: %s.", STR_FMT(folder),
                    strerror(errno));
    (void)unlink(name);
    return OK;
}

static enum err open_out(struct merge_run *run, const char *out, const char *part) {
    struct ctx *cx = run->cx;
    struct stat st;
    if (stat(out, &st) == 0 && !S_ISREG(st.st_mode))
        return fail(cx, ERR_USAGE, "%s is there and is no file.", out);
    run->out = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (run->out < 0)
        return fail(cx, ERR_UNAVAILABLE, "%s cannot be written: %s.", part, strerror(errno));
    if (flock(run->out, LOCK_EX | LOCK_NB)) {
        close(run->out);
        run->out = -1;
        return fail(cx, ERR_CONFLICT, "Another process is writing %s.", out);
    }
    return ftruncate(run->out, 0)
               ? fail(cx, ERR_UNAVAILABLE, "%s cannot be written: %s.", part, strerror(errno))
               : OK;
}

static enum err put_headings(struct merge_run *run) {
    struct buf b = buf_new(run->cx->mem, CSV_ROW_MAX);
    for (size_t i = 0; i < run->m->n_columns; i++) {
        if (i > 0)
            buf_byte(&b, ',');
        csv_put(&b, run->m->columns[i].name, false);
    }
    buf_byte(&b, '\n');
    run->written = (int64_t)b.n;
    if (!b.failed && (run->out < 0 || pwrite(run->out, b.p, b.n, 0) == (ssize_t)b.n))
        return OK;
    return merge_fail(run, ERR_UNAVAILABLE, "%.*s cannot be written: %s.", STR_FMT(run->m->out),
                      strerror(errno));
}

static enum err publish(struct merge_run *run, const char *out, const char *part) {
    struct ctx *cx = run->cx;
    char *folder = str_z(cx->mem, folder_of(cx, run->m->out));
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool done = fd >= 0 && fsync(run->out) == 0 && rename(part, out) == 0 && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    return done ? OK : fail(cx, ERR_UNAVAILABLE, "%s cannot be written: %s.", out, strerror(why));
}

/* Nobody may have changed what was read twice. */
static enum err look_again(struct merge_run *run) {
    for (size_t i = 0; i < run->m->n_files; i++) {
        const struct merge_input *in = &run->inputs[i];
        struct stat now;
        if (in->fd >= 0 && (fstat(in->fd, &now) || now.st_size != in->stat.st_size ||
                            now.st_mtim.tv_sec != in->stat.st_mtim.tv_sec ||
                            now.st_mtim.tv_nsec != in->stat.st_mtim.tv_nsec))
            return merge_fail(run, ERR_CONFLICT, "%.*s was changed while it was read.",
                              STR_FMT(in->file->path));
    }
    return OK;
}

static void sum(struct merge *m) {
    for (size_t i = 0; i < m->n_files; i++) {
        const struct merge_counts *c = &m->files[i].counts;
        m->counts.read += c->read;
        m->counts.accepted += c->accepted;
        m->counts.rejected += c->rejected;
        m->counts.duplicates += c->duplicates;
        m->counts.skipped += c->skipped;
    }
}

static enum err work(struct merge_run *run) {
    make_lanes(run);
    merge_threads(run->n_lanes, read_lane, run->lanes, sizeof run->lanes[0]);
    if (!run->failed)
        verify_lanes(run);
    enum err e = run->code;
    if (!e && !(e = put_headings(run)) && !(e = merge_dedupe(run)) && !(e = merge_write(run)))
        e = look_again(run);
    return e ? fail(run->cx, e, "%s", run->reason) : OK;
}

static enum err open_inputs(struct merge_run *run) {
    struct merge *m = run->m;
    struct ctx *cx = run->cx;
    size_t good = 0;
    if (!(run->inputs = NEW_N(cx->mem, struct merge_input, m->n_files + 1)))
        return fail(cx, ERR_MEMORY, "The files do not fit in memory.");
    for (size_t i = 0; i < m->n_files; i++) {
        m->files[i].counts = (struct merge_counts){0};
        merge_open(cx, m, &m->files[i], &run->inputs[i]);
        good += run->inputs[i].fd >= 0;
    }
    return good ? OK : fail(cx, ERR_INVALID, "None of the files can be merged.");
}

static enum err run_into(struct merge_run *run) {
    struct ctx *cx = run->cx;
    struct merge *m = run->m;
    char *out = m->out.p ? str_z(cx->mem, m->out) : NULL;
    char *part = m->out.p ? str_z(cx->mem, str_printf(cx->mem, "%.*s.part", STR_FMT(m->out))) : NULL;
    enum err e = open_inputs(run);
    if (e)
        return e;
    if (m->out.p && (!out || !part))
        return fail(cx, ERR_MEMORY, "Memory is out.");
    if ((e = open_spill(run)) || (m->out.p && (e = open_out(run, out, part))))
        return e;
    if (!(e = work(run)) && m->out.p)
        e = publish(run, out, part);
    if (e && m->out.p)
        (void)unlink(part);
    return e;
}

enum err merge_run(struct ctx *cx, struct merge *m) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct merge_run *run = NEW(cx->mem, struct merge_run);
    if (!run)
        return fail(cx, ERR_MEMORY, "Memory is out.");
    run->cx = cx;
    run->m = m;
    run->spill.fd = run->out = -1;
    pthread_mutex_init(&run->lock, NULL);
    randombytes_buf(run->secret, sizeof run->secret);
    run->threads = m->threads ? m->threads : cores > 0 ? (size_t)cores : 1;
    run->threads = run->threads > MERGE_LANES_MAX ? MERGE_LANES_MAX : run->threads;
    m->counts = (struct merge_counts){0};
    enum err e = run_into(run);
    if (!e)
        sum(m);
    for (size_t l = 0; l < MERGE_LANES_MAX; l++) {
        arena_free(run->lanes[l].mem);
        arena_free(run->lanes[l].reading);
    }
    for (size_t i = 0; run->inputs && i < m->n_files; i++)
        if (run->inputs[i].fd >= 0 && run->inputs[i].file)
            close(run->inputs[i].fd);
    if (run->spill.fd >= 0)
        close(run->spill.fd);
    if (run->out >= 0)
        close(run->out);
    pthread_mutex_destroy(&run->lock);
    return e;
}
