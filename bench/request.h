/* The requests that the load generator sends. A maker holds one whole request as text; making the next one
 * only patches its fixed-width places (counter, item number, timestamp, signature), so that the generator
 * stays cheap beside the server it measures. No id is used twice: each is a random run id and a counter. */
#ifndef BENCH_REQUEST_H
#define BENCH_REQUEST_H

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum workload { WORKLOAD_WEBHOOK, WORKLOAD_MOVE, WORKLOAD_GET };

struct request_options {
    enum workload workload;
    const char *host, *port;
    const char *path;   /* NULL: the workload's own */
    const char *token;  /* bearer token, or NULL */
    const char *secret; /* the webhook's */
    const char *sku, *from, *to;
    unsigned skus; /* above 1 the items are <sku>-00000, <sku>-00001, … in turn */
};

enum { REQUEST_MAX = 4096, COUNTER_DIGITS = 12, SKU_DIGITS = 5, TIME_SIZE = 20, SIGNATURE_SIZE = 64 };

struct request_maker {
    char text[REQUEST_MAX];
    size_t size;
    char *body;
    size_t body_size;
    char *counter_at[2];
    char *sku_at, *time_at, *signature_at; /* NULL where the request has none */
    uint64_t counter;
    unsigned skus;
    time_t second;
    EVP_MAC_CTX *mac;
};

/* Places that are patched stand in the first text as runs of a character that occurs nowhere else. */
#define COUNTER_PLACE "############"
#define SKU_PLACE "@@@@@"
#define TIME_PLACE "~~~~~~~~~~~~~~~~~~~~"
#define SIGNATURE_PLACE "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"

static inline void digits_write(char *at, size_t n, uint64_t value) {
    for (; n > 0; value /= 10)
        at[--n] = (char)('0' + value % 10);
}

static inline int request_body(char *body, size_t size, const struct request_options *options) {
    uint64_t run = 0;
    if (getrandom(&run, sizeof run, 0) != sizeof run)
        return -1;
    const char *number = options->skus > 1 ? "-" SKU_PLACE : "";
    switch (options->workload) {
    case WORKLOAD_WEBHOOK:
        return snprintf(body, size,
                        "{\"shipmentId\": \"S-%016jx-" COUNTER_PLACE
                        "\", \"orderId\": \"A-%016jx-" COUNTER_PLACE
                        "\", \"channel\": \"woot\", \"status\": \"shipped\", \"timestamp\": \"" TIME_PLACE
                        "\", \"items\": [{\"sku\": \"%s%s\", \"quantity\": 1}]}",
                        (uintmax_t)run, (uintmax_t)run, options->sku, number);
    case WORKLOAD_MOVE:
        return snprintf(
            body, size,
            "{\"sku\": \"%s%s\", \"quantity\": 1, \"from\": \"%s\", \"to\": \"%s\", \"reason\": \"bench\", "
            "\"source\": \"bench\", \"source_ref\": \"%016jx-" COUNTER_PLACE "\"}",
            options->sku, number, options->from, options->to, (uintmax_t)run);
    case WORKLOAD_GET:
        break;
    }
    body[0] = '\0';
    return 0;
}

static inline int request_head(char *head, size_t size, const struct request_options *options,
                               int body_size) {
    static const char *const paths[] = {"/webhooks/shipstation", "/api/v1/stock/moves", "/"};
    bool get = options->workload == WORKLOAD_GET;
    char length[96] = "", bearer[1200] = "";
    if (!get)
        snprintf(length, sizeof length, "Content-Type: application/json\r\nContent-Length: %d\r\n",
                 body_size);
    if (options->token)
        snprintf(bearer, sizeof bearer, "Authorization: Bearer %s\r\n", options->token);
    const char *signature = options->secret ? "X-ShipStation-Signature: " SIGNATURE_PLACE "\r\n" : "";
    return snprintf(head, size, "%s %s HTTP/1.1\r\nHost: %s:%s\r\n%s%s%s\r\n", get ? "GET" : "POST",
                    options->path ? options->path : paths[options->workload], options->host, options->port,
                    length, bearer, signature);
}

static inline EVP_MAC_CTX *request_mac(const char *secret) {
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_END};
    if (mac && EVP_MAC_init(mac, (const unsigned char *)secret, strlen(secret), params))
        return mac;
    EVP_MAC_CTX_free(mac);
    return NULL;
}

/* False if the request does not fit or cannot be signed. The maker must not be moved afterwards. */
static inline bool request_init(struct request_maker *maker, const struct request_options *options) {
    char body[REQUEST_MAX];
    int body_size = request_body(body, sizeof body, options);
    if (body_size < 0 || (size_t)body_size >= sizeof body)
        return false;
    int head_size = request_head(maker->text, sizeof maker->text, options, body_size);
    if (head_size < 0 || (size_t)head_size + (size_t)body_size >= sizeof maker->text)
        return false;
    maker->body = maker->text + head_size;
    maker->body_size = (size_t)body_size;
    memcpy(maker->body, body, maker->body_size + 1);
    maker->size = (size_t)head_size + maker->body_size;
    maker->counter_at[0] = strstr(maker->body, COUNTER_PLACE);
    if (maker->counter_at[0])
        maker->counter_at[1] = strstr(maker->counter_at[0] + COUNTER_DIGITS, COUNTER_PLACE);
    maker->sku_at = strstr(maker->body, SKU_PLACE);
    maker->time_at = strstr(maker->body, TIME_PLACE);
    maker->signature_at = options->secret ? strstr(maker->text, SIGNATURE_PLACE) : NULL;
    maker->skus = options->skus;
    maker->mac = options->secret ? request_mac(options->secret) : NULL;
    return !options->secret || maker->mac;
}

static inline void request_done(struct request_maker *maker) { EVP_MAC_CTX_free(maker->mac); }

static inline bool request_sign(struct request_maker *maker) {
    unsigned char mac[32];
    size_t size = 0;
    /* Without a key it starts over with the one that is already expanded. */
    if (!EVP_MAC_init(maker->mac, NULL, 0, NULL) ||
        !EVP_MAC_update(maker->mac, (const unsigned char *)maker->body, maker->body_size) ||
        !EVP_MAC_final(maker->mac, mac, &size, sizeof mac) || size != sizeof mac)
        return false;
    for (size_t i = 0; i < sizeof mac; i++) {
        maker->signature_at[2 * i] = "0123456789abcdef"[mac[i] >> 4];
        maker->signature_at[2 * i + 1] = "0123456789abcdef"[mac[i] & 15];
    }
    return true;
}

/* Makes `text` the next request, stamped with the present second. False if it cannot be signed. */
static inline bool request_next(struct request_maker *maker) {
    for (int i = 0; i < 2 && maker->counter_at[i]; i++)
        digits_write(maker->counter_at[i], COUNTER_DIGITS, maker->counter);
    if (maker->sku_at)
        digits_write(maker->sku_at, SKU_DIGITS, maker->counter % maker->skus);
    maker->counter++;
    time_t now = time(NULL);
    if (maker->time_at && now != maker->second) {
        struct tm utc;
        char text[TIME_SIZE + 1];
        gmtime_r(&now, &utc);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
        memcpy(maker->time_at, text, TIME_SIZE);
        maker->second = now;
    }
    return !maker->signature_at || request_sign(maker);
}

#endif
