/* SPDX-License-Identifier: Apache-2.0
 *
 * base/core.h: the kinds of cores of this machine: large and small ones are not alike, and work that is cut in equal parts waits for the small ones. */
#ifndef BASE_CORE_H
#define BASE_CORE_H

enum { CORE_KINDS_MAX = 8 };

struct core_kind {
    int n;         /* logical processors of this kind */
    long strength; /* against each other only: cpu_capacity on ARM, else the highest frequency in kHz; 0: not known */
};

/* The strongest first. sys: "/sys/devices". Gives how many kinds there are; 0 when nothing is known. */
int core_kinds(const char *sys, struct core_kind kind[CORE_KINDS_MAX]);

#endif
