#include "net/html.h"

#include "base/banned.h"

void html_text(struct buf *b, struct str s) {
    for (size_t i = 0; i < s.n; i++)
        switch (s.p[i]) {
        case '<':
            buf_add(b, S("&lt;"));
            break;
        case '>':
            buf_add(b, S("&gt;"));
            break;
        case '&':
            buf_add(b, S("&amp;"));
            break;
        case '"':
            buf_add(b, S("&quot;"));
            break;
        case '\'':
            buf_add(b, S("&#39;"));
            break;
        default:
            buf_byte(b, s.p[i]);
        }
}

void html_begin(struct buf *b, const struct router *r, struct str title) {
    buf_add(b, S("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>"));
    html_text(b, title);
    buf_add(b, S("</title>\n<style>"));
    buf_add(b, r->css);
    buf_add(b, S("</style>\n</head>\n<body>\n"));
}

void html_end(struct buf *b) { buf_add(b, S("</body>\n</html>\n")); }
