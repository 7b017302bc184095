/* Latency histogram in the manner of HdrHistogram: 128 steps to each doubling, so a value read back is at
 * most 0.8 % above the one recorded, from 1 ns to centuries, in 58 KiB that the caller owns. Times are
 * nanoseconds. */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum {
    HIST_STEP_BITS = 7,
    HIST_STEPS = 1 << HIST_STEP_BITS,
    HIST_SLOTS = (64 - HIST_STEP_BITS + 1) * HIST_STEPS
};

struct hist {
    uint64_t slots[HIST_SLOTS];
    uint64_t count;
    uint64_t max;
};

/* Values below HIST_STEPS have a slot each; above, the exponent picks a row, the next seven bits the step. */
static inline unsigned hist_slot(uint64_t value) {
    if (value < HIST_STEPS)
        return (unsigned)value;
    unsigned shift = 63U - HIST_STEP_BITS - (unsigned)__builtin_clzll(value);
    return (shift + 1) * HIST_STEPS + (unsigned)((value >> shift) & (HIST_STEPS - 1));
}

/* The largest value that falls into the slot. */
static inline uint64_t hist_slot_top(unsigned slot) {
    if (slot < HIST_STEPS)
        return slot;
    unsigned shift = slot / HIST_STEPS - 1;
    return ((((uint64_t)HIST_STEPS + slot % HIST_STEPS) + 1) << shift) - 1;
}

static inline void hist_add(struct hist *hist, uint64_t value) {
    hist->slots[hist_slot(value)]++;
    hist->count++;
    if (value > hist->max)
        hist->max = value;
}

/* The value that `share` (0 … 1) of the recorded ones do not exceed; 0 when nothing was recorded. */
static inline uint64_t hist_quantile(const struct hist *hist, double share) {
    uint64_t wanted = (uint64_t)(share * (double)hist->count + 0.5);
    uint64_t seen = 0;
    for (unsigned slot = 0; slot < HIST_SLOTS; slot++) {
        seen += hist->slots[slot];
        if (seen > 0 && seen >= wanted)
            return hist_slot_top(slot) < hist->max ? hist_slot_top(slot) : hist->max;
    }
    return hist->max;
}

/* One line for each slot in use, `nanoseconds count`: figures can be drawn or merged afterwards. */
static inline void hist_write(const struct hist *hist, FILE *out) {
    for (unsigned slot = 0; slot < HIST_SLOTS; slot++)
        if (hist->slots[slot] > 0)
            fprintf(out, "%ju %ju\n", (uintmax_t)hist_slot_top(slot), (uintmax_t)hist->slots[slot]);
}

static inline uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static inline double ns_to_us(uint64_t ns) { return (double)ns / 1000.0; }

#endif
