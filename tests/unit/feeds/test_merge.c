/* Merge (F4) against a simple model: rows in a list, of which those stay whose key does not come again. Files
 * differ in delimiter, order of columns, line ends and pollution; threads and memory are left to chance. */
#include "feeds/merge.h"

#include "base/arena.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/fixture.h"

#define COLUMNS 4
#define FILES 4

static uint64_t seed;
static uint32_t chance(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

struct model_row {
    struct str cells[COLUMNS];
    size_t file;
};
struct model {
    struct arena *mem;
    struct model_row *rows;
    size_t n;
    struct merge_counts counts[FILES], all;
    struct buf rejected; /* raw rows, a line each */
};

static const struct merge_column MERGED[COLUMNS] = {
    {S("store_code"), true}, {S("order_id"), true}, {S("amount"), false}, {S("note"), false}};

static struct str random_text(struct arena *mem) {
    static const char *const PIECES[] = {"a",    "B", "\"",       ",",    ";",  "\n",
                                         "\r\n", " ", "\xc3\xbc", "1.50", "\t", "x"};
    struct buf b = buf_new(mem, 1000);
    for (uint32_t n = chance(6); n > 0; n--)
        buf_add(&b, str_of(PIECES[chance(COUNT(PIECES))]));
    return buf_str(&b);
}

/* One file: its columns stand in the order of a rotation, in front of one that nobody wants. */
struct file {
    struct buf b;
    char delimiter;
    const char *end;
    uint32_t rotation;
};

static void put_cells(struct file *f, const struct str *cells) {
    for (uint32_t i = 0; i < COLUMNS; i++) {
        struct str cell = cells[(i + f->rotation) % COLUMNS];
        csv_put(&f->b, cell, false);
        buf_byte(&f->b, f->delimiter);
    }
    buf_add(&f->b, S("more"));
    buf_add(&f->b, str_of(f->end));
}

static void put_bad(struct file *f, struct model *m, size_t file) {
    static const char *const BAD[] = {"1,never", "\"x\"y,2", "only", "1,2,3,4,5,6,7;1;1;1;1;1;1"};
    const char *bad = BAD[chance(COUNT(BAD))];
    buf_printf(&f->b, "%s%s", bad, f->end);
    buf_printf(&m->rejected, "%s\n", bad);
    m->counts[file].rejected++;
    m->counts[file].read++;
}

static void make_file(struct model *m, size_t number, struct file *f, uint32_t rows, uint32_t keys) {
    static const char *const ENDS[] = {"\n", "\r\n", "\r"};
    static const struct str HEADINGS[COLUMNS] = {S("Store_Code"), S(" ORDER_ID"), S("amount "), S("note")};
    *f = (struct file){buf_new(m->mem, 64 << 20), ",;"[chance(2)], ENDS[chance(3)], chance(COLUMNS)};
    if (chance(2))
        buf_add(&f->b, S("\xef\xbb\xbf"));
    if (chance(3) == 0)
        buf_printf(&f->b, "Orders of today%s%s", f->end, f->end);
    put_cells(f, HEADINGS);
    for (uint32_t i = 0; i < rows; i++) {
        if (chance(50) == 0) {
            put_bad(f, m, number);
            continue;
        }
        if (chance(100) == 0) {
            put_cells(f, HEADINGS); /* of a file that was appended to another */
            m->counts[number].skipped++;
            m->counts[number].read++;
        }
        struct model_row *row = &m->rows[m->n++];
        row->file = number;
        row->cells[0] = str_printf(m->mem, "S%u", chance(5));
        row->cells[1] = str_printf(m->mem, "%s%u", chance(10) ? "" : "a,\"", chance(keys));
        row->cells[2] = random_text(m->mem);
        row->cells[3] = random_text(m->mem);
        put_cells(f, row->cells);
        m->counts[number].read++;
    }
}

static char folder[] = "/tmp/test-merge-XXXXXX";
static struct str path_of(struct arena *mem, const char *name) {
    return str_printf(mem, "%s/%s", folder, name);
}

static void write_file(struct arena *mem, struct str path, struct str text) {
    int fd = open(str_z(mem, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
    close(fd);
}

/* Rows of a later one with the same key are duplicates. */
static bool *survivors(struct model *m) {
    bool *stays = NEW_N(m->mem, bool, m->n + 1);
    for (size_t i = 0; i < m->n; i++) {
        stays[i] = true;
        for (size_t k = i + 1; k < m->n && stays[i]; k++)
            stays[i] = !str_eq(m->rows[i].cells[0], m->rows[k].cells[0]) ||
                       !str_eq(m->rows[i].cells[1], m->rows[k].cells[1]);
        m->counts[m->rows[i].file].accepted += stays[i];
        m->counts[m->rows[i].file].duplicates += !stays[i];
    }
    return stays;
}

static enum err note_reject(struct ctx *cx, void *arg, const struct merge_reject *r) {
    (void)cx;
    buf_printf(arg, "%.*s\n", STR_FMT(r->raw));
    assert_true(r->problem.n > 0 && r->at.line > 0);
    return OK;
}

static void check_output(struct arena *mem, struct str path, const struct model *m, const bool *stays) {
    int fd = open(str_z(mem, path), O_RDONLY | O_CLOEXEC);
    struct csv *c = csv_open(mem, fd);
    struct csv_row row;
    assert_true(csv_next(c, &row) && row.n == COLUMNS && row.exact);
    for (size_t i = 0; i < m->n; i++) {
        if (!stays[i])
            continue;
        assert_true(csv_next(c, &row) && !row.problem && row.exact && row.n == COLUMNS);
        for (size_t k = 0; k < COLUMNS; k++)
            assert_str(row.cells[k], m->rows[i].cells[k]);
    }
    assert_false(csv_next(c, &row));
    close(fd);
}

static void one_round(uint32_t rows, uint32_t keys) {
    struct arena *mem = arena_new((size_t)1 << 30);
    struct ctx *cx = NEW(mem, struct ctx);
    struct merge_file files[FILES] = {0};
    struct model m = {.mem = mem, .rejected = buf_new(mem, 16 << 20)};
    struct buf told = buf_new(mem, 16 << 20);
    cx->mem = mem;
    m.rows = NEW_N(mem, struct model_row, FILES * rows + 1);
    size_t n = 1 + chance(FILES);
    for (size_t i = 0; i < n; i++) {
        struct file f;
        make_file(&m, i, &f, chance(rows), keys);
        files[i].path = path_of(mem, (const char *[]){"a.csv", "b.csv", "c.csv", "d.csv"}[i]);
        write_file(mem, files[i].path, buf_str(&f.b));
    }
    bool *stays = survivors(&m);
    struct merge merge = {.files = files,
                          .n_files = n,
                          .columns = MERGED,
                          .n_columns = COLUMNS,
                          .keys = {0, 1},
                          .n_keys = 2,
                          .out = path_of(mem, "out.csv"),
                          .reject = note_reject,
                          .arg = &told,
                          .memory = chance(2) ? 1 : 0,
                          .threads = 1 + chance(4),
                          .grouped = true,
                          .group = 0};
    assert_int_equal(merge_run(cx, &merge), OK);
    for (size_t i = 0; i < n; i++) {
        assert_null(files[i].failed.p);
        assert_memory_equal(&files[i].counts, &m.counts[i], sizeof m.counts[i]);
    }
    check_output(mem, merge.out, &m, stays);
    assert_str(buf_str(&told), buf_str(&m.rejected));
    int64_t grouped = 0;
    for (size_t i = 0; i < merge.groups.n; i++)
        grouped += ((const struct merge_group *)merge.groups.items)[i].counts.read;
    const struct merge_counts *c = &merge.counts;
    assert_true(c->read == c->accepted + c->rejected + c->duplicates + c->skipped && grouped == c->read);
    arena_free(mem);
}

static void agrees_with_the_model(void **state) {
    (void)state;
    for (int i = 0; i < 60; i++)
        one_round(200, 1 + chance(200));
    one_round(4000, 3000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_model),
    };
    const char *given = getenv("SEED");
    int64_t value = (int64_t)getpid();
    if (given)
        (void)str_int(str_of(given), &value);
    seed = (uint64_t)value;
    printf("# SEED=%lld\n", (long long)value);
    if (!mkdtemp(folder))
        return 1;
    int failed = cmocka_run_group_tests_name("merge", tests, NULL, NULL);
    for (const char *const *name = (const char *const[]){"a.csv", "b.csv", "c.csv", "d.csv", "out.csv", NULL};
         *name; name++) {
        char path[100];
        (void)snprintf(path, sizeof path, "%s/%s", folder, *name);
        (void)unlink(path);
    }
    (void)rmdir(folder);
    return failed;
}
