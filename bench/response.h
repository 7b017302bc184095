/* Reader of one HTTP/1.1 answer at a time on a keep-alive connection: status, Content-Length, end. It knows
 * just what the servers under test send; anything else (chunks, an answer that nobody asked for) is refused,
 * never guessed. */
#ifndef BENCH_RESPONSE_H
#define BENCH_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { RESPONSE_MAX = 8192 };

enum response_state { RESPONSE_MORE, RESPONSE_DONE, RESPONSE_BAD };

struct response {
    char text[RESPONSE_MAX]; /* the head, and of the body what came with it */
    size_t size;
    size_t head; /* its size; 0 until it is complete */
    size_t body; /* bytes of the body that are still to come */
    int status;
    bool closing; /* the server ends the connection after this answer */
};

static inline void response_begin(struct response *response) {
    response->size = response->head = response->body = 0;
    response->status = 0;
    response->closing = false;
}

/* The value of a header within the head, or NULL. */
static inline const char *response_header(const struct response *response, const char *name) {
    size_t n = strlen(name);
    const char *end = response->text + response->head;
    for (const char *line = response->text; line < end; line++) {
        if ((size_t)(end - line) > n && line[n] == ':' && strncasecmp(line, name, n) == 0) {
            for (line += n + 1; *line == ' '; line++)
                ;
            return line;
        }
        line = memchr(line, '\n', (size_t)(end - line));
        if (!line)
            break;
    }
    return NULL;
}

static inline bool response_head(struct response *response) {
    const char *text = response->text;
    if (response->head < 16 || memcmp(text, "HTTP/1.1 ", 9) != 0)
        return false;
    for (int i = 9; i < 12; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        response->status = response->status * 10 + (text[i] - '0');
    }
    const char *connection = response_header(response, "connection");
    response->closing = connection && strncasecmp(connection, "close", 5) == 0;
    size_t length = 0;
    const char *digits = response_header(response, "content-length");
    if (!digits)
        return response->status == 204;
    for (; *digits >= '0' && *digits <= '9'; digits++)
        length = length * 10 + (size_t)(*digits - '0');
    size_t here = response->size - response->head;
    response->body = length - here;
    return here <= length;
}

/* Where the next bytes are to be received; the bytes of a long body that follow the buffer overwrite each
 * other. */
static inline char *response_space(struct response *response, size_t *room) {
    if (response->head && response->size == RESPONSE_MAX)
        response->size = response->head;
    *room = RESPONSE_MAX - response->size;
    return response->text + response->size;
}

static inline enum response_state response_add(struct response *response, size_t received) {
    response->size += received;
    if (response->head) {
        if (received > response->body)
            return RESPONSE_BAD;
        response->body -= received;
    } else {
        const char *end = memmem(response->text, response->size, "\r\n\r\n", 4);
        if (!end)
            return response->size == RESPONSE_MAX ? RESPONSE_BAD : RESPONSE_MORE;
        response->head = (size_t)(end - response->text) + 4;
        if (!response_head(response))
            return RESPONSE_BAD;
    }
    return response->body == 0 ? RESPONSE_DONE : RESPONSE_MORE;
}

/* Whether the body, or the last part of a long one, holds the words. */
static inline bool response_holds(const struct response *response, const char *words) {
    return memmem(response->text + response->head, response->size - response->head, words, strlen(words)) !=
           NULL;
}

#endif
