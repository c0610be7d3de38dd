/* SPDX-License-Identifier: Apache-2.0
 * tests/tap.h: the whole test framework: numbered lines on stdout that prove(1) reads. */
#ifndef TAP_H
#define TAP_H

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int tap_n, tap_bad;
__attribute__((unused)) static int tap_case_bad;

#define CHECK(cond)                                                           \
    do {                                                                      \
        if (!(cond)) {                                                        \
            tap_case_bad++;                                                   \
            printf("# %s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #cond); \
        }                                                                     \
    } while (0)
#define CHECK_EQ(a, b)                                                                             \
    do {                                                                                           \
        long long tap_a = (long long)(a), tap_b = (long long)(b);                                  \
        if (tap_a != tap_b) {                                                                      \
            tap_case_bad++;                                                                        \
            printf("# %s:%d: %s is %lld, not %s = %lld\n", __FILE__, __LINE__, #a, tap_a, #b, tap_b); \
        }                                                                                          \
    } while (0)
#define CHECK_STR(a, b)                                                                             \
    do {                                                                                            \
        const char *tap_a = (a), *tap_b = (b);                                                      \
        if (!tap_a || !tap_b || strcmp(tap_a, tap_b)) {                                             \
            tap_case_bad++;                                                                         \
            printf("# %s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #a, tap_a ? tap_a : "(null)", \
                   tap_b ? tap_b : "(null)");                                                       \
        }                                                                                           \
    } while (0)
#define CHECK_NEAR(a, b, tol)                                                                       \
    do {                                                                                            \
        double tap_a = (double)(a), tap_b = (double)(b);                                            \
        if (!(fabs(tap_a - tap_b) <= (tol))) {                                                      \
            tap_case_bad++;                                                                         \
            printf("# %s:%d: %s is %.9g, not %.9g +- %g\n", __FILE__, __LINE__, #a, tap_a, tap_b, (double)(tol)); \
        }                                                                                           \
    } while (0)

__attribute__((unused)) static void tap_ok(int ok, const char *name)
{
    tap_n++;
    tap_bad += !ok;
    printf("%sok %d - %s\n", ok ? "" : "not ", tap_n, name);
    fflush(stdout);
}
/* Runs one case: a function without arguments whose name is the sentence it proves. */
#define RUN(fn)                    \
    do {                           \
        tap_case_bad = 0;          \
        fn();                      \
        tap_ok(!tap_case_bad, #fn); \
    } while (0)
#define SKIP(why) (printf("ok %d # SKIP %s\n", ++tap_n, (why)), fflush(stdout))
__attribute__((unused)) static int tap_done(void)
{
    printf("1..%d\n", tap_n);
    return tap_bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
/* Call first: a test that hangs is killed; ten times later where all is slower (tools/check.sh sets LAR_SLOW). With LAR_TEST_LOCALE the test
 * runs under that locale's LC_NUMERIC, whose point must be another (tests/locale.t). */
__attribute__((unused)) static void tap_timeout(unsigned seconds)
{
    const char *name = getenv("LAR_TEST_LOCALE");
    if (name && (!setlocale(LC_NUMERIC, name) || *localeconv()->decimal_point == '.')) {
        printf("Bail out! locale %s: cannot be had, or writes 0.5\n", name);
        exit(EXIT_FAILURE);
    }
    alarm(getenv("LAR_SLOW") ? 10 * seconds : seconds);
}

#endif
