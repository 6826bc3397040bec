// Preloaded, a clock that is LAB_CLOCK seconds off.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) =
        (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    const char *off = getenv("LAB_CLOCK");
    if (result == 0 && clock == CLOCK_REALTIME && off != NULL)
        now->tv_sec += atol(off);
    return result;
}
