/* HTTP/1.1 load generator: one thread, epoll, keep-alive connections with one request in flight each.
 *
 * Closed loop (no --rate): every connection sends its next request when the answer to the last one is in. For
 * capacity.
 * Open loop (--rate N): the i-th request is due at start + i / N whatever the server does, waits for a free
 * connection if it must, and its latency counts from the moment it was due, so that a stall is charged to
 * every request that it held up (no coordinated omission). For latency.
 *
 * Exit status: 0 measured, 1 the server failed (lost connections, unanswered or only refused requests),
 * 2 usage. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hist.h"
#include "request.h"
#include "response.h"

enum { CONNECTIONS_MAX = 10000, EVENTS = 256, STATUS_MAX = 600 };

static const uint64_t SECOND = 1000000000;
static const uint64_t DRAIN = 10 * 1000000000ULL; /* how long the last answers are waited for */

struct options {
    struct request_options request;
    unsigned connections, rate, seconds, warmup; /* rate in requests a second, 0 = closed loop */
    bool json;
    const char *histogram;
};

struct connection {
    int fd;
    bool busy;
    uint64_t due;  /* closed loop: when it was sent */
    size_t unsent; /* the tail of `out` that the socket did not take yet */
    char out[REQUEST_MAX];
    struct response response;
};

struct load {
    struct options options;
    struct request_maker maker;
    struct addrinfo *address;
    int epoll;
    struct connection *connections;
    unsigned *idle, idle_first, idle_count; /* ring of those free, longest free first */
    unsigned busy;
    uint64_t begin, measured_from, end;
    uint64_t issued; /* open loop: requests whose time has come and that were sent */
    struct hist hist;
    uint64_t status[STATUS_MAX];
    uint64_t in_window; /* answers that came between measured_from and end */
    uint64_t accepted;  /* 2xx in the whole run, warm-up included */
    uint64_t repeated;  /* answers that speak of a duplicate: must be none */
    uint64_t errors;    /* connections that failed with a request in flight, unreadable answers */
    uint64_t unanswered, unsent;
    const char *failure; /* ends the run */
};

static bool connection_open(struct load *load, struct connection *connection) {
    const struct addrinfo *address = load->address;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        load->failure = "cannot connect to the server";
        if (fd >= 0)
            close(fd);
        return false;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection->fd = fd;
    connection->unsent = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    return epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void connection_free(struct load *load, struct connection *connection) {
    connection->busy = false;
    load->busy--;
    unsigned last = (load->idle_first + load->idle_count++) % load->options.connections;
    load->idle[last] = (unsigned)(connection - load->connections);
}

static void connection_fail(struct load *load, struct connection *connection) {
    close(connection->fd);
    if (connection->busy) {
        load->errors++;
        connection_free(load, connection);
    }
    connection_open(load, connection);
}

/* Sends what is left of `out`; asks to be told when the socket takes more. */
static void connection_flush(struct load *load, struct connection *connection) {
    const char *from = connection->out + load->maker.size - connection->unsent;
    ssize_t sent = send(connection->fd, from, connection->unsent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        connection_fail(load, connection);
        return;
    }
    bool waited = sent < 0 || (size_t)sent < connection->unsent;
    connection->unsent -= sent > 0 ? (size_t)sent : 0;
    struct epoll_event event = {.events = EPOLLIN | (waited ? EPOLLOUT : 0U), .data.ptr = connection};
    if (waited || from != connection->out)
        epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

/* The next request goes out on the connection that has been free for longest. */
static void send_next(struct load *load, uint64_t due) {
    struct connection *connection = &load->connections[load->idle[load->idle_first]];
    load->idle_first = (load->idle_first + 1) % load->options.connections;
    load->idle_count--;
    load->busy++;
    if (!request_next(&load->maker)) {
        load->failure = "cannot sign a request";
        return;
    }
    connection->busy = true;
    connection->due = due;
    connection->unsent = load->maker.size;
    memcpy(connection->out, load->maker.text, load->maker.size);
    response_begin(&connection->response);
    connection_flush(load, connection);
}

static void answer_count(struct load *load, const struct connection *connection, uint64_t now) {
    int status = connection->response.status;
    bool good = status >= 200 && status < 300;
    load->accepted += good;
    load->in_window += good && now >= load->measured_from && now < load->end;
    load->repeated += response_holds(&connection->response, "\"duplicate\"");
    if (connection->due < load->measured_from || connection->due >= load->end)
        return;
    hist_add(&load->hist, now > connection->due ? now - connection->due : 0);
    load->status[status < STATUS_MAX ? status : STATUS_MAX - 1]++;
}

static void connection_read(struct load *load, struct connection *connection) {
    struct response *response = &connection->response;
    size_t room;
    char *space = response_space(response, &room);
    ssize_t received = recv(connection->fd, space, room, MSG_DONTWAIT);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    enum response_state state = RESPONSE_BAD;
    if (received > 0 && connection->busy && connection->unsent == 0)
        state = response_add(response, (size_t)received);
    if (state == RESPONSE_BAD)
        connection_fail(load, connection);
    if (state != RESPONSE_DONE)
        return;
    answer_count(load, connection, monotonic_ns());
    connection_free(load, connection);
    if (response->closing)
        connection_fail(load, connection);
}

/* When the request that is next in an open loop is due. */
static uint64_t next_due(const struct load *load) {
    return load->begin + load->issued * SECOND / load->options.rate;
}

static void send_due(struct load *load) {
    bool open = load->options.rate > 0;
    while (load->idle_count > 0 && !load->failure) {
        uint64_t now = monotonic_ns();
        uint64_t due = open ? next_due(load) : now;
        if (due >= load->end || due > now)
            return;
        load->issued++;
        send_next(load, due);
    }
}

/* Until when to sleep: the next request that is due and can be sent, or the end. */
static uint64_t wake_at(const struct load *load) {
    uint64_t now = monotonic_ns();
    uint64_t wake = now < load->end ? load->end : load->end + DRAIN;
    if (load->options.rate > 0 && load->idle_count > 0 && next_due(load) < load->end)
        wake = next_due(load);
    return wake > now ? wake - now : 0;
}

/* Whether everything that was to be sent was, and is answered. */
static bool finished(const struct load *load) {
    uint64_t now = monotonic_ns();
    bool late = load->options.rate > 0 && next_due(load) < load->end;
    return load->failure || now >= load->end + DRAIN || (now >= load->end && load->busy == 0 && !late);
}

static void run(struct load *load) {
    load->begin = monotonic_ns();
    load->measured_from = load->begin + load->options.warmup * SECOND;
    load->end = load->measured_from + load->options.seconds * SECOND;
    while (!finished(load)) {
        send_due(load);
        uint64_t sleep = wake_at(load);
        struct timespec wait = {(time_t)(sleep / SECOND), (long)(sleep % SECOND)};
        struct epoll_event events[EVENTS];
        int n = epoll_pwait2(load->epoll, events, EVENTS, &wait, NULL);
        for (int i = 0; i < n && !load->failure; i++) {
            struct connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                connection_flush(load, connection);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                connection_read(load, connection);
        }
    }
    load->unanswered = load->busy;
    while (load->options.rate > 0 && next_due(load) < load->end) {
        load->issued++;
        load->unsent++;
    }
}

static bool load_init(struct load *load) {
    const struct options *options = &load->options;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->connections = calloc(options->connections, sizeof *load->connections);
    load->idle = calloc(options->connections, sizeof *load->idle);
    if (load->epoll < 0 || !load->connections || !load->idle)
        load->failure = "out of memory or files";
    else if (!request_init(&load->maker, &options->request))
        load->failure = "the request is too long or cannot be signed";
    else if (getaddrinfo(options->request.host, options->request.port, &hints, &load->address) != 0)
        load->failure = "unknown host";
    for (unsigned i = 0; i < options->connections && !load->failure; i++) {
        connection_open(load, &load->connections[i]);
        load->idle[load->idle_count++] = i;
    }
    return !load->failure;
}

static void load_done(struct load *load) {
    if (load->address)
        freeaddrinfo(load->address);
    request_done(&load->maker);
    free(load->connections);
    free(load->idle);
}

static const struct {
    const char *key, *name;
    double share;
} quantiles[] = {{"p50", "p50", 0.5}, {"p90", "p90", 0.9}, {"p99", "p99", 0.99}, {"p99_9", "p99.9", 0.999}};

static double per_second(const struct load *load) { return (double)load->in_window / load->options.seconds; }

static void report_json(const struct load *load) {
    static const char *const names[] = {"webhook", "move", "get"};
    const struct options *options = &load->options;
    const struct hist *hist = &load->hist;
    printf("{\"workload\": \"%s\", \"connections\": %u, \"rate\": %u, \"seconds\": %u, \"warmup\": %u",
           names[options->request.workload], options->connections, options->rate, options->seconds,
           options->warmup);
    printf(", \"requests\": %ju, \"per_second\": %.1f", (uintmax_t)hist->count, per_second(load));
    printf(", \"latency_us\": {");
    for (unsigned i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        printf("\"%s\": %.1f, ", quantiles[i].key, ns_to_us(hist_quantile(hist, quantiles[i].share)));
    printf("\"max\": %.1f}, \"status\": {", ns_to_us(hist->max));
    const char *comma = "";
    for (int status = 0; status < STATUS_MAX; status++) {
        if (load->status[status] == 0)
            continue;
        printf("%s\"%d\": %ju", comma, status, (uintmax_t)load->status[status]);
        comma = ", ";
    }
    printf("}, \"accepted\": %ju, \"repeated\": %ju, \"errors\": %ju", (uintmax_t)load->accepted,
           (uintmax_t)load->repeated, (uintmax_t)load->errors);
    printf(", \"unanswered\": %ju, \"unsent\": %ju}\n", (uintmax_t)load->unanswered, (uintmax_t)load->unsent);
}

static void report_text(const struct load *load) {
    const struct hist *hist = &load->hist;
    printf("%.1f good answers a second, %ju requests\nlatency us:", per_second(load), (uintmax_t)hist->count);
    for (unsigned i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        printf(" %s %.0f ", quantiles[i].name, ns_to_us(hist_quantile(hist, quantiles[i].share)));
    printf(" max %.0f\n", ns_to_us(hist->max));
    for (int status = 0; status < STATUS_MAX; status++)
        if (load->status[status] > 0)
            printf("status %d: %ju\n", status, (uintmax_t)load->status[status]);
    printf("repeated %ju, errors %ju, unanswered %ju, unsent %ju\n", (uintmax_t)load->repeated,
           (uintmax_t)load->errors, (uintmax_t)load->unanswered, (uintmax_t)load->unsent);
}

static bool report(struct load *load) {
    if (load->options.json)
        report_json(load);
    else
        report_text(load);
    if (load->options.histogram) {
        FILE *out = fopen(load->options.histogram, "w");
        if (out)
            hist_write(&load->hist, out);
        if (!out || fclose(out) != 0)
            load->failure = "cannot write the histogram";
    }
    if (!load->failure && load->accepted == 0)
        load->failure = "no request was accepted";
    if (!load->failure && (load->errors || load->unanswered || load->unsent))
        load->failure = "requests were lost, see the counts";
    return !load->failure;
}

static int usage(const char *problem) {
    fprintf(stderr,
            "load: %s\n"
            "usage: load webhook|move|get --port P [--host H] [--path /PATH] [--connections 64]\n"
            "            [--rate N] [--seconds 10] [--warmup 2] [--secret S] [--token T] [--json]\n"
            "            [--sku TEST-SKU-001] [--skus K] [--from supplier] [--to warehouse]\n"
            "            [--histogram FILE]\n"
            "webhook needs --secret, move usually --token; with --skus K items are SKU-00000 … in turn.\n"
            "Without --rate a closed loop, with it N requests a second, latency from the intended time.\n",
            problem);
    return 2;
}

static bool number_parse(const char *text, unsigned least, unsigned most, unsigned *out) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno || value < (long)least || value > (long)most)
        return false;
    *out = (unsigned)value;
    return true;
}

/* NULL, or what is wrong. The workload is the one word that is no option. */
static const char *options_parse(char **words, struct options *options) {
    static const char *const workloads[] = {"webhook", "move", "get"};
    struct request_options *request = &options->request;
    const struct {
        const char *name, **text;
        unsigned *number, least, most;
    } known[] = {
        {"--host", &request->host, NULL, 0, 0},
        {"--port", &request->port, NULL, 0, 0},
        {"--path", &request->path, NULL, 0, 0},
        {"--secret", &request->secret, NULL, 0, 0},
        {"--token", &request->token, NULL, 0, 0},
        {"--sku", &request->sku, NULL, 0, 0},
        {"--from", &request->from, NULL, 0, 0},
        {"--to", &request->to, NULL, 0, 0},
        {"--histogram", &options->histogram, NULL, 0, 0},
        {"--skus", NULL, &request->skus, 1, 100000},
        {"--connections", NULL, &options->connections, 1, CONNECTIONS_MAX},
        {"--rate", NULL, &options->rate, 0, 10000000},
        {"--seconds", NULL, &options->seconds, 1, 86400},
        {"--warmup", NULL, &options->warmup, 0, 3600},
    };
    unsigned i, workload = 0;
    for (; workload < 3 && *words && strcmp(*words, workloads[workload]) != 0; workload++)
        ;
    if (!*words || workload == 3)
        return "name a workload first";
    request->workload = (enum workload)workload;
    while (*++words) {
        if (strcmp(*words, "--json") == 0) {
            options->json = true;
            continue;
        }
        for (i = 0; i < sizeof known / sizeof *known && strcmp(*words, known[i].name) != 0; i++)
            ;
        if (i == sizeof known / sizeof *known || !*++words)
            return "unknown option or no value";
        if (known[i].text)
            *known[i].text = *words;
        else if (!number_parse(*words, known[i].least, known[i].most, known[i].number))
            return "a number is out of range";
    }
    if (request->workload == WORKLOAD_WEBHOOK && !request->secret)
        return "webhook needs --secret";
    return request->port ? NULL : "--port is missing";
}

int main(int argc, char **argv) {
    struct load *load = calloc(1, sizeof *load);
    if (!load)
        return 1;
    struct request_options request = {
        .host = "127.0.0.1", .sku = "TEST-SKU-001", .from = "supplier", .to = "warehouse", .skus = 1};
    load->options = (struct options){.request = request, .connections = 64, .seconds = 10, .warmup = 2};
    const char *problem = options_parse(argv + (argc > 0), &load->options);
    if (problem) {
        free(load);
        return usage(problem);
    }
    prctl(PR_SET_TIMERSLACK, 1UL); /* an open loop keeps its times to the microsecond */
    bool good = load_init(load);
    if (good) {
        run(load);
        good = report(load);
    }
    if (!good)
        fprintf(stderr, "load: %s\n", load->failure);
    load_done(load);
    free(load);
    return good ? 0 : 1;
}
