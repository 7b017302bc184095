/* Disk calibration: what one durable write costs here. Appends 4 KiB and calls fdatasync, 10,000 times or for
 * ten seconds, in a file of its own in the folder named, and prints the quantiles as JSON. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hist.h"

enum { BLOCK = 4096, WRITES = 10000 };

static int disk_measure(int fd, struct hist *hist) {
    char block[BLOCK];
    memset(block, 'x', sizeof block);
    uint64_t begin = monotonic_ns();
    for (int i = 0; i < WRITES; i++) {
        uint64_t from = monotonic_ns();
        if (from - begin > 10 * 1000000000ULL)
            break;
        if (write(fd, block, sizeof block) != (ssize_t)sizeof block || fdatasync(fd) != 0)
            return -1;
        hist_add(hist, monotonic_ns() - from);
    }
    return 0;
}

int main(int argc, char **argv) {
    char path[4096];
    if (argc != 2 || snprintf(path, sizeof path, "%s/disk.XXXXXX", argv[1]) >= (int)sizeof path) {
        fprintf(stderr, "usage: disk FOLDER\n");
        return 2;
    }
    struct hist hist = {.count = 0};
    int fd = mkstemp(path);
    int failed = fd < 0 || disk_measure(fd, &hist) != 0;
    if (failed)
        fprintf(stderr, "disk: %s: %s\n", path, strerror(errno));
    if (fd >= 0) {
        unlink(path);
        close(fd);
    }
    if (failed)
        return 1;
    printf("{\"writes\": %ju, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n", (uintmax_t)hist.count,
           ns_to_us(hist_quantile(&hist, 0.5)), ns_to_us(hist_quantile(&hist, 0.99)), ns_to_us(hist.max));
    return 0;
}
