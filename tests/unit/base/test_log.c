#include "base/log.h"

#include "base/json.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

struct fixture {
    struct ctx *cx;
    char file[40], aside[48];
    int out; /* standard output, which tests of the log have to themselves for a while */
};

static int open_log(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    void *cx = NULL;
    snprintf(f->file, sizeof f->file, "/tmp/entrepot-log-XXXXXX");
    int fd = mkstemp(f->file);
    if (fd < 0 || begin(&cx))
        return -1;
    close(fd);
    snprintf(f->aside, sizeof f->aside, "%s.1", f->file);
    f->cx = cx;
    f->cx->now = (struct instant){INT64_C(1795168800000000)};
    f->cx->request_id = S("req-1");
    fflush(stdout);
    f->out = dup(STDOUT_FILENO);
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    close(null);
    *state = f;
    return 0;
}

static int close_log(void **state) {
    struct fixture *f = *state;
    dup2(f->out, STDOUT_FILENO);
    close(f->out);
    unlink(f->file);
    unlink(f->aside);
    log_free(f->cx->log);
    void *cx = f->cx;
    end(&cx);
    free(f);
    return 0;
}

static struct str content(struct fixture *f, const char *path) {
    struct buf b = buf_new(f->cx->mem, 1 << 20);
    char chunk[1000];
    FILE *file = fopen(path, "r");
    for (size_t n; file && (n = fread(chunk, 1, sizeof chunk, file)) > 0;)
        buf_add(&b, (struct str){chunk, n});
    if (file)
        fclose(file);
    return buf_str(&b);
}

static void a_line_is_json(void **state) {
    struct fixture *f = *state;
    f->cx->log = log_new(LOG_INFO, f->file, 0);
    assert_true(uuid_parse(S("0190f5d2-7a3c-7cde-8abc-0123456789ab"), &f->cx->actor.org));
    LOG(f->cx, LOG_WARN, "net", S("two\n\"lines\""), LOG_STR("path", S("/a")), LOG_INT("status", 404));
    LOG(f->cx, LOG_DEBUG, "net", S("not seen"));
    LOG(f->cx, LOG_INFO, "net", S("bare"));
    assert_str(
        content(f, f->file),
        S("{\"ts\":\"2026-11-20T10:00:00Z\",\"level\":\"warn\",\"logger\":\"net\",\"message\":"
          "\"two\\n\\\"lines\\\"\","
          "\"request_id\":\"req-1\",\"org\":\"0190f5d2-7a3c-7cde-8abc-0123456789ab\",\"path\":\"/a\","
          "\"status\":404}\n"
          "{\"ts\":\"2026-11-20T10:00:00Z\",\"level\":\"info\",\"logger\":\"net\",\"message\":\"bare\","
          "\"request_id\":\"req-1\",\"org\":\"0190f5d2-7a3c-7cde-8abc-0123456789ab\"}\n"));
}

static void what_is_private_is_redacted(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *text, *logged;
    } cases[] = {
        {"nothing", "nothing"},
        {"from ann.b+c@mail.example.com, to <bob@example.org>", "from [email], to <[email]>"},
        {"a@b@c", "[email]@c"},
        {"@ alone @", "@ alone @"},
        {"m\xC3\xBCller@example.org", "[email]"},
        {"Authorization: Bearer abc.DEF-1_2~+/=; x", "Authorization: Bearer [token]; x"},
        {"bearer abc", "bearer [token]"},
        {"Bearer ", "Bearer "},
        {"token=eyJhbGciOiJIUzI1NiJ9.e30.abc end", "token=[token] end"},
        {"keyJack", "keyJack"},
        {"Bearer abc for ann@example.org", "Bearer [token] for [email]"},
    };
    f->cx->log = log_new(LOG_DEBUG, f->file, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(truncate(f->file, 0), 0);
        LOG(f->cx, LOG_INFO, "x", S("m"), LOG_STR("v", str_of(cases[i].text)));
        struct str line = content(f, f->file),
                   wanted = str_printf(f->cx->mem, "\"v\":\"%s\"}\n", cases[i].logged);
        if (!str_ends(line, wanted))
            fail_msg("%s: %.*s", cases[i].text, STR_FMT(line));
    }
}

static void a_fault_is_told_with_its_cause(void **state) {
    struct fixture *f = *state;
    f->cx->log = log_new(LOG_INFO, f->file, 0);
    (void)fail_cause(f->cx, ERR_DATABASE, "disk I/O error");
    log_fault(f->cx, LOG_ERROR, "db", S("failed"));
    assert_true(str_ends(content(f, f->file),
                         S("\"code\":\"database-error\",\"problem\":\"The database failed or cannot be "
                           "reached.\",\"cause\":\"disk I/O error\"}\n")));
}

static void files_rotate(void **state) {
    struct fixture *f = *state;
    f->cx->log = log_new(LOG_INFO, f->file, 500);
    for (int i = 0; i < 20; i++)
        LOG(f->cx, LOG_INFO, "x", S("a message of some length"), LOG_INT("i", i));
    struct str now = content(f, f->file), before = content(f, f->aside);
    assert_true(now.n > 0 && now.n <= 500 && before.n > 300 && before.n <= 500);
    assert_true(str_ends(now, S("\"i\":19}\n")) && str_ends(before, S("}\n")));
}

static void a_line_has_an_end(void **state) {
    struct fixture *f = *state;
    char *text = arena_alloc(f->cx->mem, 200000);
    memset(text, 'x', 200000);
    f->cx->log = log_new(LOG_INFO, f->file, 0);
    LOG(f->cx, LOG_INFO, "x", S("kept"), LOG_STR("v", ((struct str){text, 200000})));
    LOG(f->cx, LOG_INFO, "x", ((struct str){text, 200000}));
    struct str lines = content(f, f->file);
    assert_non_null(strstr(str_z(f->cx->mem, lines), "\"message\":\"kept\",\"request_id\":\"req-1\"}\n"));
    assert_true(lines.n > 1000 && lines.n < 2000);
}

static void levels_have_names(void **state) {
    (void)state;
    enum level l = LOG_DEBUG;
    assert_true(level_parse(S("WARNING"), &l) && l == LOG_WARN && level_parse(S("Error"), &l) &&
                l == LOG_ERROR);
    assert_true(!level_parse(S("loud"), &l) && !level_parse(S(""), &l) && l == LOG_ERROR);
    assert_null(log_new(LOG_INFO, "/nonexistent/log", 0));
    struct ctx none = {0};
    LOG(&none, LOG_ERROR, "x", S("goes nowhere"));
}

#define WITH_LOG(function) cmocka_unit_test_setup_teardown(function, open_log, close_log)
int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_LOG(a_line_is_json),
        WITH_LOG(what_is_private_is_redacted),
        WITH_LOG(a_fault_is_told_with_its_cause),
        WITH_LOG(files_rotate),
        WITH_LOG(a_line_has_an_end),
        WITH_LOG(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
