/* What is in a sample: its number, and behind it words each of which depends on the number and on its place. */
#ifndef LM_PAYLOAD_H
#define LM_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The clock that sender and receiver share, in seconds. */
static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* splitmix64's last step. */
static inline uint64_t word(uint64_t number, uint64_t place)
{
    uint64_t z = (number << 32) + place + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline void fill(uint8_t *bytes, size_t size, uint64_t number)
{
    for (size_t at = 0; at < size; at += 8) {
        uint64_t w = at ? word(number, at) : number;
        memcpy(bytes + at, &w, size - at < 8 ? size - at : 8);
    }
}

/* Prints when a sample came, its number and size, and whether all of its bytes are the right ones. */
static inline void tell(const uint8_t *bytes, size_t size)
{
    uint64_t number = 0;
    int good = size >= 8;
    double came = now();
    memcpy(&number, bytes, good ? 8 : size);
    for (size_t at = 8; good && at < size; at += 8) {
        uint64_t w = word(number, at);
        good = !memcmp(bytes + at, &w, size - at < 8 ? size - at : 8);
    }
    printf("%.6f %llu %zu %s\n", came, (unsigned long long)number, size, good ? "good" : "wrong");
    fflush(stdout);
}

/* Waits until the number-th sample is due, and prints that it is sent now. */
static inline void await(double began, double hz, uint64_t number)
{
    double wait = began + (double)number / hz - now();
    if (wait > 0) {
        struct timespec t = {(time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9)};
        nanosleep(&t, NULL);
    }
    printf("%.6f %llu\n", now(), (unsigned long long)number);
    fflush(stdout);
}

#endif
