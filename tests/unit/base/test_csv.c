/* CSV as it really is (F10): what each kind of pollution is read as, and that the same bytes give the same
 * rows from memory, from a file, and from any part of it. */
#include "base/csv.h"
#include "base/csv_count.h"
#include "base/csv_split.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"

/* Rows of a text as one line of text: cells in [], a problem behind the row, rows with their line numbers. */
static struct str shown(struct arena *mem, struct csv *c) {
    struct buf b = buf_new(mem, 1 << 20);
    struct csv_row row;
    assert_non_null(c);
    while (csv_next(c, &row)) {
        buf_printf(&b, "%s%lld:", b.n ? " " : "", (long long)row.at.line);
        for (size_t i = 0; i < row.n && !row.problem; i++)
            buf_printf(&b, "[%.*s]", STR_FMT(row.cells[i]));
        if (row.problem)
            buf_printf(&b, "!%zu %s", row.column, row.problem);
    }
    assert_int_equal(csv_error(c), 0);
    return buf_str(&b);
}

static int file_of(struct str text) {
    int fd = memfd_create("csv", MFD_CLOEXEC);
    assert_true(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
    return fd;
}

#define CLOSED "has text behind a closing quote"
#define NEVER "has a quote that is never closed"

static const struct {
    const char *name;
    struct str text;
    const char *rows;
} CASES[] = {
    {"simple", S("a,b\n1,2\n"), "1:[a][b] 2:[1][2]"},
    {"no line end at the end", S("a,b\n1,2"), "1:[a][b] 2:[1][2]"},
    {"CRLF", S("a,b\r\n1,2\r\n"), "1:[a][b] 2:[1][2]"},
    {"lone CR", S("a,b\r1,2\r"), "1:[a][b] 2:[1][2]"},
    {"all line ends together", S("a,b\r\n1,2\r3,4\n5,6"), "1:[a][b] 2:[1][2] 3:[3][4] 4:[5][6]"},
    {"empty cells", S("a,b,c\n,,\n1,,\n"), "1:[a][b][c] 2:[][][] 3:[1][][]"},
    {"empty lines are rows of one empty cell", S("a,b\n\n1,2\n\n"), "1:[a][b] 2:[] 3:[1][2] 4:[]"},
    {"quoted", S("\"a\",\"b\"\n\"1\",2\n"), "1:[a][b] 2:[1][2]"},
    {"comma in quotes", S("a,b\n\"1,5\",2\n"), "1:[a][b] 2:[1,5][2]"},
    {"line break in quotes", S("a,b\n\"1\n5\",2\n3,4"), "1:[a][b] 2:[1\n5][2] 4:[3][4]"},
    {"CRLF in quotes", S("a,b\r\n\"1\r\n\r\n5\",2\r\n3,4"), "1:[a][b] 2:[1\r\n\r\n5][2] 5:[3][4]"},
    {"doubled quotes", S("a,b\n\"say \"\"hi\"\"\",\"\"\"\"\n"), "1:[a][b] 2:[say \"hi\"][\"]"},
    {"empty quoted", S("a,b\n\"\",\"\"\n"), "1:[a][b] 2:[][]"},
    {"quoted at the end of the file", S("a,b\n1,\"2\""), "1:[a][b] 2:[1][2]"},
    {"JSON in a cell", S("k,v\n1,\"{\"\"a\"\": [1, 2]}\"\n"), "1:[k][v] 2:[1][{\"a\": [1, 2]}]"},
    {"a quote inside a cell is a character", S("a,b\n12\" monitor,5\"\n"), "1:[a][b] 2:[12\" monitor][5\"]"},
    {"spaces are kept", S("a,b\n 1 , 2\n"), "1:[a][b] 2:[ 1 ][ 2]"},
    {"spaces behind a closing quote", S("a,b\n\"1\" ,\"2\"\t\n"), "1:[a][b] 2:[1][2]"},
    {"text behind a closing quote", S("a,b\n\"1\"x,2\n3,4\n"), "1:[a][b] 2:!1 " CLOSED " 3:[3][4]"},
    {"a quote that is never closed takes its line only", S("a,b\n1,\"2\n3,4\n5,6\n"),
     "1:[a][b] 2:!2 " NEVER " 3:[3][4] 4:[5][6]"},
    {"a stray quote that another line seems to close", S("a,b\n1,\"2\n3,4\n5,\"6\"\n7,8\n"),
     "1:[a][b] 2:!2 " NEVER " 3:[3][4] 4:[5][6] 5:[7][8]"},
    {"an opening quote as the last byte", S("a,b\n1,\""), "1:[a][b] 2:!2 " NEVER},
    {"ragged rows are given", S("a,b\n1\n1,2,3\n"), "1:[a][b] 2:[1] 3:[1][2][3]"},
    {"NUL", S("a,b\n1,\0\n3,4\n"), "1:[a][b] 2:!0 has a NUL character 3:[3][4]"},
    {"semicolons with decimal commas", S("a;b\n1,5;2,5\n3,5;4,5\n"), "1:[a][b] 2:[1,5][2,5] 3:[3,5][4,5]"},
    {"tabs", S("a\tb,c\n1\t2\n"), "1:[a][b,c] 2:[1][2]"},
    {"bars", S("a|b\n1|2\n"), "1:[a][b] 2:[1][2]"},
    {"a named delimiter", S("sep=^\r\na^b,c\r\n1^2\r\n"), "2:[a][b,c] 3:[1][2]"},
    {"a preamble does not decide the delimiter", S("Report, of, today\n\na;b\n1;2\n3;4\n5;6\n"),
     "1:[Report, of, today] 2:[] 3:[a][b] 4:[1][2] 5:[3][4] 6:[5][6]"},
    {"one column", S("sku\nA\nB"), "1:[sku] 2:[A] 3:[B]"},
    {"UTF-8", S("a,b\nZ\xc3\xbcrich,\xe2\x82\xac\n"), "1:[a][b] 2:[Z\xc3\xbcrich][\xe2\x82\xac]"},
    {"nothing", S(""), ""},
    {"one line end", S("\n"), "1:[]"},
};

/* Only of files: what is in memory is UTF-8 already. */
static const struct {
    const char *name;
    struct str text;
    const char *rows;
} FILES[] = {
    {"byte order mark", S("\xef\xbb\xbf\"a\",b\n1,2\n"), "1:[a][b] 2:[1][2]"},
    {"UTF-16LE with a mark",
     S("\xff\xfe"
       "a\0,\0b\0\n\0\xfc\0,\0"
       "1\0\n\0"),
     "1:[a][b] 2:[\xc3\xbc][1]"},
    {"UTF-16BE with a mark",
     S("\xfe\xff\0a\0,\0b\0\r\0\n\x20\xac\0,\0"
       "1"),
     "1:[a][b] 2:[\xe2\x82\xac][1]"},
    {"UTF-16LE without a mark",
     S("i\0d\0,\0x\0\r\0\n\0"
       "1\0,\0"
       "2\0\r\0\n\0"),
     "1:[id][x] 2:[1][2]"},
    {"a pair of UTF-16",
     S("\xff\xfe"
       "a\0,\0=\xd8\0\xde\n\0"),
     "1:[a][\xf0\x9f\x98\x80]"},
    {"half a pair of UTF-16",
     S("\xff\xfe"
       "a\0,\0=\xd8\n\0b\0"),
     "1:!0 has bytes that are not UTF-8 2:[b]"},
    {"half a unit of UTF-16",
     S("\xff\xfe"
       "a\0\n\0b\0,"),
     "1:[a] 2:!0 has bytes that are not UTF-8"},
    {"Windows-1252 by rows", S("a,b\nZ\xfcrich,\x80\nGen\xc3\xa8ve,2\n"),
     "1:[a][b] 2:[Z\xc3\xbcrich][\xe2\x82\xac] 3:[Gen\xc3\xa8ve][2]"},
    {"Windows-1252 in quotes", S("a,b\n\"Z\"\"\xfc\",1\n"), "1:[a][b] 2:[Z\"\xc3\xbc][1]"},
    {"UTF-8 and other bytes in one row", S("a,b\nZ\xc3\xbc,\xfc\n1,2\n"),
     "1:[a][b] 2:!0 has bytes that are not UTF-8 3:[1][2]"},
    {"a file that says it is UTF-8",
     S("\xef\xbb\xbf"
       "a,b\n\xfc,1\n1,2\n"),
     "1:[a][b] 2:!0 has bytes that are not UTF-8 3:[1][2]"},
};

static void rows_are_told(void **state) {
    struct ctx *cx = *state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        int fd = file_of(CASES[i].text);
        struct str memory = shown(cx->mem, csv_over(cx->mem, CASES[i].text)),
                   file = shown(cx->mem, csv_open(cx->mem, fd));
        close(fd);
        if (!str_eq(memory, str_of(CASES[i].rows)) || !str_eq(file, memory))
            fail_msg("%s: memory %.*s, file %.*s, not %s", CASES[i].name, STR_FMT(memory), STR_FMT(file),
                     CASES[i].rows);
    }
    for (size_t i = 0; i < COUNT(FILES); i++) {
        int fd = file_of(FILES[i].text);
        struct str file = shown(cx->mem, csv_open(cx->mem, fd));
        close(fd);
        if (!str_eq(file, str_of(FILES[i].rows)))
            fail_msg("%s: %.*s, not %s", FILES[i].name, STR_FMT(file), FILES[i].rows);
    }
}

/* Every row is found again from its place, and ends where the next one begins. */
static void a_row_is_found_by_its_place(void **state) {
    struct ctx *cx = *state;
    struct csv_row row, again;
    for (size_t i = 0; i < COUNT(CASES) + COUNT(FILES); i++) {
        struct str text = i < COUNT(CASES) ? CASES[i].text : FILES[i - COUNT(CASES)].text;
        int fd = file_of(text);
        struct csv *c = csv_open(cx->mem, fd);
        while (csv_next(c, &row)) {
            struct csv *part = csv_part(cx->mem, fd, csv_dialect(c), row.at, csv_at(c).offset);
            assert_true(csv_next(part, &again));
            assert_str(again.raw, row.raw);
            assert_int_equal(again.n, row.n);
            for (size_t k = 0; k < row.n; k++)
                assert_str(again.cells[k], row.cells[k]);
            assert_string_equal(again.problem ? again.problem : "", row.problem ? row.problem : "");
            assert_memory_equal(&again.at, &row.at, sizeof row.at);
            assert_false(csv_next(part, &again));
            assert_int_equal(csv_at(part).offset, csv_at(c).offset);
            assert_int_equal(csv_at(part).line, csv_at(c).line);
        }
        assert_int_equal(csv_at(c).offset, text.n);
        close(fd);
    }
}

static void fill(int fd, char c, size_t n) {
    static char piece[1 << 20];
    memset(piece, c, sizeof piece);
    for (size_t take; n > 0; n -= take) {
        take = n < sizeof piece ? n : sizeof piece;
        assert_int_equal(write(fd, piece, take), take);
    }
}

static void put(int fd, const char *text) { assert_int_equal(write(fd, text, strlen(text)), strlen(text)); }

/* A field of 1 MB is read, one of 100 MB refused, in quotes and without them; what follows is read. */
static void large_fields(void **state) {
    (void)state;
    for (int quoted = 0; quoted < 2; quoted++)
        for (int large = 0; large < 2; large++) {
            struct arena *mem = arena_new(8 * CSV_ROW_MAX);
            int fd = file_of(S("a,b\n"));
            struct csv_row row;
            size_t size = large ? 100 << 20 : 1 << 20;
            put(fd, quoted ? "1,\"" : "1,");
            fill(fd, 'x', size);
            put(fd, quoted ? "\"\r\n3,4\n" : "\r\n3,4\n");
            struct csv *c = csv_open(mem, fd);
            assert_true(csv_next(c, &row) && csv_next(c, &row));
            assert_int_equal(row.at.offset, 4);
            if (large) {
                assert_string_equal(row.problem, "is longer than 16 MiB");
                assert_int_equal(row.raw.n, CSV_EXCERPT);
            } else {
                assert_null(row.problem);
                assert_int_equal(row.cells[1].n, size);
            }
            assert_true(csv_next(c, &row) && !row.problem && row.n == 2);
            assert_str(row.cells[1], S("4"));
            assert_int_equal(row.at.line, 3);
            assert_int_equal(row.at.offset, 4 + 2 + 2 * quoted + (off_t)size + 2);
            assert_false(csv_next(c, &row));
            close(fd);
            arena_free(mem);
        }
}

/* A quote that is never closed costs its own line, however long the file goes on. */
static void a_stray_quote_before_much(void **state) {
    (void)state;
    struct arena *mem = arena_new(8 * CSV_ROW_MAX);
    int fd = file_of(S("a,b\n1,\"2\n"));
    struct csv_row row;
    const int lines = 40000;
    char line[1001];
    memset(line, 'x', 1000);
    line[500] = ',';
    line[1000] = '\n';
    for (int i = 0; i < lines; i++)
        assert_int_equal(write(fd, line, sizeof line), sizeof line);
    struct csv *c = csv_open(mem, fd);
    assert_true(csv_next(c, &row) && csv_next(c, &row));
    assert_string_equal(row.problem, NEVER);
    assert_str(row.raw, S("1,\"2"));
    int n = 0;
    for (; csv_next(c, &row); n++)
        assert_true(!row.problem && row.n == 2 && row.at.line == n + 3);
    assert_int_equal(n, lines);
    close(fd);
    arena_free(mem);
}

static void more_cells_than_allowed(void **state) {
    struct ctx *cx = *state;
    struct buf b = buf_new(cx->mem, 1 << 20);
    struct csv_row row;
    for (int i = 0; i < CSV_CELLS_MAX; i++)
        buf_add(&b, S("x,"));
    buf_add(&b, S("x\n1,2\n"));
    struct csv *c = csv_over(cx->mem, buf_str(&b));
    assert_true(csv_next(c, &row));
    assert_string_equal(row.problem, "has too many cells");
    assert_true(csv_next(c, &row) && !row.problem && row.n == 2);
}

static void counts(void **state) {
    struct ctx *cx = *state;
    struct buf b = buf_new(cx->mem, 64 << 20);
    struct csv_count count;
    buf_add(&b, S("id,text\n"));
    for (int i = 0; i < 200000; i++)
        buf_printf(&b,
                   i % 7 == 0      ? "%d,\"two\nlines\"\n"
                   : i % 1000 == 1 ? "%d,\"stray\n"
                                   : "%d,plain\n\n",
                   i);
    int fd = file_of(buf_str(&b));
    for (unsigned threads = 1; threads <= 4; threads++) {
        assert_int_equal(csv_count(fd, threads, &count), 0);
        assert_int_equal(count.rows, 200000);
        assert_int_equal(count.problems, 200 - 29); /* of 1001, 3001 … some are multiples of 7 */
        assert_int_equal(count.columns, 2);
    }
    close(fd);
}

/* A guess in the middle of a file is a row's beginning wherever rows are plain. */
static void the_middle_of_a_file_is_guessed(void **state) {
    struct ctx *cx = *state;
    struct buf b = buf_new(cx->mem, 1 << 20);
    for (int i = 0; i < 400; i++)
        buf_printf(&b, "%d,\"a text,\nover, two, three\nlines\",\"%d\"\"\"\n", i, i);
    int fd = file_of(buf_str(&b));
    struct csv_dialect dialect = {',', CSV_UTF8};
    for (int64_t from = 0; from < 8000; from += 7) {
        struct arena *mem = arena_new(16 << 20);
        int64_t at = csv_guess(mem, fd, dialect, from, (int64_t)b.n, 3);
        struct csv *c = csv_open(mem, fd);
        struct csv_row row;
        while (csv_at(c).offset < at && csv_next(c, &row))
            ;
        assert_int_equal(csv_at(c).offset, at);
        assert_true(at > from && at < from + 200);
        arena_free(mem);
    }
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(rows_are_told),
        TEST(a_row_is_found_by_its_place),
        TEST(large_fields),
        TEST(a_stray_quote_before_much),
        TEST(more_cells_than_allowed),
        TEST(counts),
        TEST(the_middle_of_a_file_is_guessed),
    };
    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
