/* What the pages share: text into HTML, and the frame round a page. */
#ifndef NET_HTML_H
#define NET_HTML_H

#include "net/router.h"

void html_text(struct buf *b, struct str s); /* escaped for elements and quoted attributes */
void html_begin(struct buf *b, const struct router *r, struct str title);
void html_end(struct buf *b);

#endif
