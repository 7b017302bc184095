#include "base/yaml.h"

#include "base/json.h"

#include <inttypes.h>
#include <yaml.h>

#include "base/banned.h"

struct reading {
    struct ctx *cx;
    struct str file;
    yaml_parser_t parser;
    yaml_event_t event; /* the one that is looked at */
    struct buf json;
    struct yaml *out;
};

static enum err bad(struct reading *r, int64_t line, const char *problem) {
    return fail(r->cx, ERR_USAGE, "%.*s:%" PRId64 ": %s.", STR_FMT(r->file), line, problem);
}

static int64_t line_of(const struct reading *r) { return (int64_t)r->event.start_mark.line + 1; }

/* Looks at the next event. */
static enum err advance(struct reading *r) {
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return OK;
    if (r->parser.error == YAML_MEMORY_ERROR)
        return fail(r->cx, ERR_MEMORY, "%.*s does not fit in memory.", STR_FMT(r->file));
    return bad(r, (int64_t)r->parser.problem_mark.line + 1,
               r->parser.problem ? r->parser.problem : "cannot be read");
}

static enum err note(struct reading *r, struct str path) {
    struct yaml *y = r->out;
    if (!path.p && y->n_places)
        return fail(r->cx, ERR_MEMORY, "%.*s does not fit in memory.", STR_FMT(r->file));
    if (y->n_places == YAML_VALUES_MAX)
        return bad(r, line_of(r), "there are more values than a file may have");
    y->places[y->n_places++] = (struct yaml_place){path, line_of(r)};
    return OK;
}

static bool is_word(struct str s) {
    return str_eq(s, S("true")) || str_eq(s, S("false")) || str_eq(s, S("null"));
}

static enum err put_scalar(struct reading *r) {
    struct str s = {(const char *)r->event.data.scalar.value, r->event.data.scalar.length};
    int64_t number;
    if (r->event.data.scalar.anchor || r->event.data.scalar.tag)
        return bad(r, line_of(r), "anchors and tags are not taken; write the value");
    if (memchr(s.p, '\0', s.n))
        return bad(r, line_of(r), "a text must not hold a NUL");
    bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && (s.n == 0 || str_eq(s, S("~"))))
        buf_add(&r->json, S("null"));
    else if (plain && (is_word(s) || str_int(s, &number)))
        buf_add(&r->json, s);
    else
        json_put_string(&r->json, s);
    return advance(r);
}

static enum err put_value(struct reading *r, struct str path, int depth);

static enum err put_sequence(struct reading *r, struct str path, int depth) {
    enum err e = advance(r);
    buf_byte(&r->json, '[');
    for (size_t i = 0; !e && r->event.type != YAML_SEQUENCE_END_EVENT; i++) {
        if (i > 0)
            buf_byte(&r->json, ',');
        e = put_value(r, str_printf(r->cx->mem, "%.*s[%zu]", STR_FMT(path), i), depth + 1);
    }
    buf_byte(&r->json, ']');
    return e ? e : advance(r);
}

/* The key that is looked at, with the path of its value; refused when it stood there already. */
static enum err take_key(struct reading *r, struct str path, size_t from, struct str *inner) {
    if (r->event.type != YAML_SCALAR_EVENT || r->event.data.scalar.anchor || r->event.data.scalar.tag ||
        r->event.data.scalar.length == 0 ||
        memchr(r->event.data.scalar.value, '\0', r->event.data.scalar.length))
        return bad(r, line_of(r), "a key must be a plain word");
    struct str key = {(const char *)r->event.data.scalar.value, r->event.data.scalar.length};
    *inner = str_printf(r->cx->mem, "%.*s%s%.*s", STR_FMT(path), path.n ? "." : "", STR_FMT(key));
    for (size_t i = from; i < r->out->n_places; i++)
        if (str_eq(r->out->places[i].path, *inner))
            return fail(r->cx, ERR_USAGE, "%.*s:%" PRId64 ": %.*s stands there already, on line %" PRId64 ".",
                        STR_FMT(r->file), line_of(r), STR_FMT(*inner), r->out->places[i].line);
    json_put_string(&r->json, key);
    buf_byte(&r->json, ':');
    return OK;
}

static enum err put_mapping(struct reading *r, struct str path, int depth) {
    size_t from = r->out->n_places;
    enum err e = advance(r);
    buf_byte(&r->json, '{');
    for (bool first = true; !e && r->event.type != YAML_MAPPING_END_EVENT; first = false) {
        struct str inner;
        if (!first)
            buf_byte(&r->json, ',');
        if ((e = take_key(r, path, from, &inner)) || (e = advance(r)))
            return e;
        e = put_value(r, inner, depth + 1);
    }
    buf_byte(&r->json, '}');
    return e ? e : advance(r);
}

static enum err put_value(struct reading *r, struct str path, int depth) {
    enum err e = note(r, path);
    if (e)
        return e;
    if (depth > YAML_DEPTH_MAX)
        return bad(r, line_of(r), "there is too much nesting");
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        return put_scalar(r);
    case YAML_SEQUENCE_START_EVENT:
        if (r->event.data.sequence_start.anchor || r->event.data.sequence_start.tag)
            return bad(r, line_of(r), "anchors and tags are not taken; write the list");
        return put_sequence(r, path, depth);
    case YAML_MAPPING_START_EVENT:
        if (r->event.data.mapping_start.anchor || r->event.data.mapping_start.tag)
            return bad(r, line_of(r), "anchors and tags are not taken; write the mapping");
        return put_mapping(r, path, depth);
    default:
        return bad(r, line_of(r), "aliases are not taken; write the value again");
    }
}

/* Stream start, document start, the value, document end, stream end. */
static enum err read_document(struct reading *r) {
    enum err e = advance(r);
    if (e || (e = advance(r)))
        return e;
    if (r->event.type != YAML_DOCUMENT_START_EVENT)
        return bad(r, 1, "the file is empty");
    if ((e = advance(r)) || (e = put_value(r, S(""), 0)) || (e = advance(r)))
        return e;
    if (r->event.type != YAML_STREAM_END_EVENT)
        return bad(r, line_of(r), "a second document begins here; a file has one");
    if (r->json.failed)
        return fail(r->cx, ERR_MEMORY, "%.*s does not fit in memory.", STR_FMT(r->file));
    return OK;
}

enum err yaml_read(struct ctx *cx, struct str file, struct str text, struct yaml *out) {
    struct yaml y = {.places = NEW_N(cx->mem, struct yaml_place, YAML_VALUES_MAX)};
    struct reading r = {.cx = cx, .file = file, .json = buf_new(cx->mem, 8 * YAML_BYTES_MAX), .out = &y};
    if (text.n > YAML_BYTES_MAX)
        return fail(cx, ERR_USAGE, "%.*s is larger than the %zu KiB that it may have.", STR_FMT(file),
                    YAML_BYTES_MAX >> 10);
    if (!y.places || !yaml_parser_initialize(&r.parser))
        return fail(cx, ERR_MEMORY, "%.*s does not fit in memory.", STR_FMT(file));
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
    enum err e = read_document(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    if (e)
        return e;
    y.json = buf_str(&r.json);
    *out = y;
    return OK;
}

static bool leads_to(struct str place, struct str path) {
    return str_starts(path, place) &&
           (place.n == 0 || path.n == place.n || path.p[place.n] == '.' || path.p[place.n] == '[');
}

int64_t yaml_line(const struct yaml *y, struct str path) {
    const struct yaml_place *best = NULL;
    for (size_t i = 0; i < y->n_places; i++)
        if (leads_to(y->places[i].path, path) && (!best || y->places[i].path.n > best->path.n))
            best = &y->places[i];
    return best ? best->line : 1;
}
