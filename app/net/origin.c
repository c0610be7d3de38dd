/* SPDX-License-Identifier: Apache-2.0
 * net/origin.c: see origin.h. What is not understood is refused. */
#include "net/origin.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

static int same(struct str a, const char *z)
{
    return a.n == strlen(z) && strncasecmp(a.p, z, a.n) == 0;
}

/* Digits only, 1 to 5 of them. */
static int is_port(struct str s)
{
    if (s.n < 1 || s.n > 5) return 0;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return 0;
    return 1;
}

/* NAME, NAME:PORT, [ADDRESS] or [ADDRESS]:PORT; gives the name with its brackets, n = 0 when it is none of these. */
static struct str without_port(struct str s)
{
    struct str none = {"", 0};
    const char *end = s.n && s.p[0] == '[' ? memchr(s.p, ']', s.n) : NULL;
    size_t n = 0;
    if (s.n && s.p[0] == '[') {
        if (!end) return none;
        n = (size_t)(end - s.p) + 1;
    } else {
        while (n < s.n && s.p[n] != ':') n++;
    }
    if (n < s.n && (s.p[n] != ':' || !is_port(str_from(s, n + 1)))) return none;
    return (struct str){s.p, n};
}

/* Four numbers up to 255 of which the first is 127. */
static int is_127(struct str s)
{
    int part = 0, value = -1, first = 0;
    for (size_t i = 0; i <= s.n; i++) {
        char c = i < s.n ? s.p[i] : '.';
        if (c >= '0' && c <= '9') {
            value = (value < 0 ? 0 : value * 10) + (c - '0');
            if (value > 255) return 0;
        } else if (c == '.' && value >= 0) {
            if (part == 0) first = value;
            part++;
            value = -1;
        } else {
            return 0;
        }
    }
    return part == 4 && first == 127;
}

static int is_loopback(struct str name)
{
    struct str tail = STR(".localhost");
    if (name.n > tail.n && same(str_from(name, name.n - tail.n), ".localhost")) return 1;
    return same(name, "localhost") || same(name, "[::1]") || is_127(name);
}

static int listed(struct str name, const char *const *allow, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (same(name, allow[i])) return 1;
    return 0;
}

int origin_host_ok(const char *host, const char *const *allow, size_t n)
{
    struct str name = without_port(str_of(host));
    return name.n && (is_loopback(name) || listed(name, allow, n));
}

int origin_ok(const char *origin, const char *const *allow, size_t n)
{
    struct str s = str_of(origin);
    if (listed(STR("*"), allow, n) || listed(s, allow, n)) return 1;
    if (str_starts(s, STR("http://")))
        s = str_from(s, 7);
    else if (str_starts(s, STR("https://")))
        s = str_from(s, 8);
    else
        return 0;
    struct str name = without_port(s);
    return name.n && is_loopback(name);
}

int origin_is_loopback(const char *address)
{
    return strcmp(address, "::1") == 0 || is_loopback(str_of(address));
}
