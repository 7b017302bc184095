#include "net/multipart.h"

#include <string.h>

#include "base/banned.h"

/* The value of a parameter in `…; name="value"; …`, quoted or a token; no value when it is not there. */
static struct str parameter(struct str header, struct str name) {
    struct str rest = header, item;
    while (str_cut(rest, ';', &item, &rest)) {
        struct str s = {rest.p, rest.n};
        while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
            s = str_sub(s, 1, s.n);
        if (s.n <= name.n || !str_eq_nocase(str_sub(s, 0, name.n), name) || s.p[name.n] != '=')
            continue;
        s = str_sub(s, name.n + 1, s.n);
        bool quoted = s.n > 0 && s.p[0] == '"';
        s = str_sub(s, quoted, s.n);
        size_t n = 0;
        while (n < s.n && (quoted ? s.p[n] != '"' : s.p[n] != ';' && s.p[n] != ' ' && s.p[n] != '\t'))
            n++;
        if (quoted && n == s.n)
            return (struct str){0};
        return str_sub(s, 0, n);
    }
    return (struct str){0};
}

struct str multipart_boundary(struct str content_type) {
    struct str type = content_type, rest;
    str_cut(content_type, ';', &type, &rest);
    if (!str_eq_nocase(str_trim(type), S("multipart/form-data")))
        return (struct str){0};
    struct str b = parameter(content_type, S("boundary"));
    bool good = b.n >= 1 && b.n <= 70;
    for (size_t i = 0; good && i < b.n; i++)
        good = b.p[i] > ' ' && b.p[i] < 0x7f;
    return good ? b : (struct str){0};
}

static const char *read_head(struct str head, struct part *part) {
    bool form = false;
    while (head.n > 0) {
        const char *end = memmem(head.p, head.n, "\r\n", 2);
        struct str line = str_sub(head, 0, end ? (size_t)(end - head.p) : head.n), name, value;
        head = str_sub(head, line.n + 2, head.n);
        if (!str_cut(line, ':', &name, &value))
            return "a part has a header without a colon";
        if (str_eq_nocase(name, S("Content-Transfer-Encoding")) &&
            !str_eq_nocase(str_trim(value), S("binary")) && !str_eq_nocase(str_trim(value), S("8bit")))
            return "a part is encoded, which form data must not be";
        if (!str_eq_nocase(name, S("Content-Disposition")))
            continue;
        struct str kind = value, rest;
        str_cut(value, ';', &kind, &rest);
        if (form || !str_eq_nocase(str_trim(kind), S("form-data")))
            return "a part is not form data";
        form = true;
        part->name = parameter(value, S("name"));
        part->file_name = parameter(value, S("filename"));
    }
    return part->name.p ? NULL : "a part has no name";
}

/* "--boundary CRLF head CRLF CRLF content CRLF --boundary …", at last "--boundary--". */
const char *multipart_read(struct str boundary, struct str body, struct part parts[static PARTS_MAX],
                           size_t *n) {
    char mark[76];
    int size = snprintf(mark, sizeof mark, "\r\n--%.*s", STR_FMT(boundary));
    *n = 0;
    if (size < 5 || (size_t)size >= sizeof mark)
        return "the boundary is too long";
    struct str sep = {mark, (size_t)size}, first = str_sub(sep, 2, sep.n);
    if (!str_starts(body, first))
        return "the body does not begin with the boundary";
    struct str rest = str_sub(body, first.n, body.n);
    while (!str_starts(rest, S("--"))) {
        if (!str_starts(rest, S("\r\n")))
            return "a boundary does not end its line";
        const char *blank = memmem(rest.p, rest.n, "\r\n\r\n", 4);
        if (!blank)
            return "the headers of a part have no end";
        if (*n == PARTS_MAX)
            return "there are too many parts";
        struct part *part = &parts[(*n)++];
        *part = (struct part){0};
        size_t head = (size_t)(blank - rest.p);
        const char *problem = read_head(str_sub(rest, 2, head < 2 ? 0 : head - 2), part);
        if (problem)
            return problem;
        rest = str_sub(rest, head + 4, rest.n);
        const char *end = memmem(rest.p, rest.n, sep.p, sep.n);
        if (!end)
            return "the last part has no end; was the file sent whole?";
        part->content = str_sub(rest, 0, (size_t)(end - rest.p));
        rest = str_sub(rest, part->content.n + sep.n, rest.n);
    }
    return NULL;
}

enum err request_file(struct ctx *cx, const struct request *rq, struct str name, struct part *out) {
    struct part parts[PARTS_MAX];
    size_t n, found = 0;
    struct str boundary = multipart_boundary(request_header(rq, S("Content-Type"), NULL));
    const char *problem = boundary.p ? multipart_read(boundary, rq->body, parts, &n)
                                     : "Content-Type has no boundary of 1 to 70 visible characters";
    if (problem)
        return fail(cx, ERR_MALFORMED, "The form cannot be read: %s.", problem);
    for (size_t i = 0; i < n; i++) {
        if (!str_eq(parts[i].name, name))
            return fail_field(cx, str_utf8_valid(parts[i].name) ? parts[i].name : S("form"),
                              "is not a field of this form");
        *out = parts[i];
        found++;
    }
    if (found != 1 || !out->file_name.p)
        return fail_field(cx, name, "must be one file");
    return OK;
}
