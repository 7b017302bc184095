/* Start time of a server: `start --port P [--runs 10] -- COMMAND …` runs the command, asks for
 * /status/health each half millisecond, and takes the time from fork to the first 200. Each server is ended
 * by SIGTERM before the next. Prints the times and their median in milliseconds as JSON. Exit status 1: a
 * server ended or was not good in 30 s. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hist.h"

enum { RUNS_MAX = 1000, PATIENCE_SECONDS = 30 };

/* One request on a connection of its own; a server that is still starting refuses the connection. */
static bool healthy(const struct sockaddr_in *address) {
    static const char request[] =
        "GET /status/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    static const char good[] = "HTTP/1.1 200 ";
    char answer[sizeof good - 1];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool result = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 &&
                  send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1 &&
                  recv(fd, answer, sizeof answer, MSG_WAITALL) == (ssize_t)sizeof answer &&
                  memcmp(answer, good, sizeof answer) == 0;
    if (fd >= 0)
        close(fd);
    return result;
}

/* Nanoseconds from fork to health, 0 if that never came. */
static uint64_t start_once(const struct sockaddr_in *address, char **command) {
    const struct timespec pause = {0, 500000};
    uint64_t begin = monotonic_ns();
    uint64_t took = 0;
    pid_t child = fork();
    if (child == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execvp(command[0], command);
        _exit(127);
    }
    if (child < 0)
        return 0;
    for (;;) {
        if (healthy(address)) {
            took = monotonic_ns() - begin;
            break;
        }
        if (waitpid(child, NULL, WNOHANG) != 0)
            return 0;
        if (monotonic_ns() - begin > PATIENCE_SECONDS * 1000000000ULL)
            break;
        nanosleep(&pause, NULL);
    }
    kill(child, SIGTERM);
    waitpid(child, NULL, 0);
    return took;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int measure(const struct sockaddr_in *address, int runs, char **command) {
    uint64_t took[RUNS_MAX];
    for (int i = 0; i < runs; i++) {
        if (healthy(address)) {
            fprintf(stderr, "start: the port is in use\n");
            return 1;
        }
        took[i] = start_once(address, command);
        if (took[i] == 0) {
            fprintf(stderr, "start: %s did not become healthy\n", command[0]);
            return 1;
        }
    }
    qsort(took, (size_t)runs, sizeof *took, compare);
    printf("{\"median_ms\": %.2f, \"min_ms\": %.2f, \"max_ms\": %.2f, \"runs_ms\": [",
           ns_to_us(took[runs / 2]) / 1e3, ns_to_us(took[0]) / 1e3, ns_to_us(took[runs - 1]) / 1e3);
    for (int i = 0; i < runs; i++)
        printf("%s%.2f", i ? ", " : "", ns_to_us(took[i]) / 1e3);
    printf("]}\n");
    return 0;
}

int main(int argc, char **argv) {
    long port = 0, runs = 10;
    int i = 1;
    for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
        if (strcmp(argv[i], "--port") == 0)
            port = strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--runs") == 0)
            runs = strtol(argv[i + 1], NULL, 10);
        else
            port = -1;
    }
    if (port < 1 || port > 65535 || runs < 1 || runs > RUNS_MAX || i + 1 >= argc) {
        fprintf(stderr, "usage: start --port P [--runs 10] -- COMMAND …\n");
        return 2;
    }
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return measure(&address, (int)runs, argv + i + 1);
}
