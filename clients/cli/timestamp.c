#include "clients/cli/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define OUTSIDE "outside the years 1677 to 2262, which 64 bits of nanoseconds can tell"

/* --- cursor over the text ------------------------------------------------------------------------------------------------- */

struct scan {
    const char *at, *end;
};

static bool scan_done(const struct scan *s)
{
    return s->at == s->end;
}
static char scan_peek(const struct scan *s)
{
    return s->at < s->end ? *s->at : '\0';
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool scan_char(struct scan *s, char c)
{
    if (scan_peek(s) != c || scan_done(s)) {
        return false;
    }
    s->at++;
    return true;
}

/* Exactly `count` digits. */
static bool scan_digits(struct scan *s, size_t count, int *ret_value)
{
    int value = 0;
    if ((size_t)(s->end - s->at) < count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(s->at[i])) {
            return false;
        }
        value = value * 10 + (s->at[i] - '0');
    }
    s->at += count;
    *ret_value = value;
    return true;
}

static size_t digits_ahead(const struct scan *s)
{
    size_t count = 0;
    while (s->at + count < s->end && is_digit(s->at[count])) {
        count++;
    }
    return count;
}

/* 1 to 9 digits of a fraction, as ns. */
static bool scan_fraction(struct scan *s, int64_t *ret_ns)
{
    size_t count = digits_ahead(s);
    int64_t ns = 0;
    if (count == 0 || count > 9) {
        return false;
    }
    for (size_t i = 0; i < 9; i++) {
        ns = ns * 10 + (i < count ? s->at[i] - '0' : 0);
    }
    s->at += count;
    *ret_ns = ns;
    return true;
}

static void scan_trim(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t')) {
        s->at++;
    }
    while (s->end > s->at && (s->end[-1] == ' ' || s->end[-1] == '\t' || s->end[-1] == '\r' || s->end[-1] == '\n')) {
        s->end--;
    }
}

/* --- the calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms") ----------------------------------------- */

static int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void civil_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (int)(month < 10 ? month + 3 : month - 9);
    *ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* --- zones ---------------------------------------------------------------------------------------------------------------- */

static bool zone_name_plain(const char *name)
{
    if (name[0] == '\0' || name[0] == '/' || strlen(name) >= ZONE_NAME_BYTES || strstr(name, "..") != NULL) {
        return false;
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (!is_digit(*c) && !(*c >= 'A' && *c <= 'Z') && !(*c >= 'a' && *c <= 'z') && strchr("_+-/", *c) == NULL) {
            return false;
        }
    }
    return true;
}

/* "+07:00", "-0330", "+07" as seconds east of Greenwich. */
static bool scan_offset(struct scan *s, int *ret_seconds)
{
    int sign = scan_peek(s) == '-' ? -1 : 1, hours = 0, minutes = 0;
    if (!scan_char(s, '+') && !scan_char(s, '-')) {
        return false;
    }
    if (!scan_digits(s, 2, &hours)) {
        return false;
    }
    if (scan_char(s, ':')) {
        if (!scan_digits(s, 2, &minutes)) {
            return false;
        }
    } else if (digits_ahead(s) == 2) {
        scan_digits(s, 2, &minutes);
    }
    if (hours > 23 || minutes > 59) {
        return false;
    }
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

/* What the C library's TZ must hold for a zone. False when there is no such zone. */
static bool zone_to_posix(const char *name, char *out, size_t out_size)
{
    struct scan s = {name, name + strlen(name)};
    int seconds = 0;
    if (scan_offset(&s, &seconds) && scan_done(&s)) {
        int west = -seconds, ahead = west < 0 ? -west : west;
        snprintf(out, out_size, "<LOC>%s%02d:%02d", west < 0 ? "-" : "+", ahead / 3600, ahead / 60 % 60);
        return true;
    }
    if (strcmp(name, "UTC") == 0) {
        snprintf(out, out_size, "UTC0");
        return true;
    }
    if (!zone_name_plain(name)) {
        return false;
    }
    char path[ZONE_NAME_BYTES + 256];
    struct stat file;
    const char *directory = getenv("TZDIR");
    int size = snprintf(path, sizeof path, "%s/%s", directory != NULL ? directory : "/usr/share/zoneinfo", name);
    if (size > 0 && (size_t)size < sizeof path && stat(path, &file) == 0 && S_ISREG(file.st_mode)) {
        snprintf(out, out_size, ":%s", name);
        return true;
    }
    /* A machine without the tz database still has the default zone; it differs from the database only before June 1975. */
    if (strcmp(name, ZONE_DEFAULT) == 0) {
        snprintf(out, out_size, "<+07>-7");
        return true;
    }
    return false;
}

truc_status zone_select(const char *name, struct zone *ret_zone)
{
    char posix[ZONE_NAME_BYTES + 2];
    if (!zone_to_posix(name, posix, sizeof posix)) {
        return TRUC_INVALID_ARGUMENT;
    }
    if (setenv("TZ", posix, 1) != 0) {
        return TRUC_NO_MEMORY;
    }
    tzset();
    struct zone zone = {{0}};
    snprintf(zone.name, sizeof zone.name, "%s", name);
    *ret_zone = zone;
    return TRUC_OK;
}

/* --- lengths of time ------------------------------------------------------------------------------------------------------ */

static int64_t scan_unit(struct scan *s)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {/* longer names before their beginnings */
                 {"ms", 1000000},
                 {"us", 1000},
                 {"ns", 1},
                 {"s", NS_PER_S},
                 {"m", 60 * NS_PER_S},
                 {"h", 3600 * NS_PER_S},
                 {"d", 86400 * NS_PER_S},
                 {"w", 7 * 86400 * NS_PER_S}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t size = strlen(units[i].name);
        if ((size_t)(s->end - s->at) >= size && memcmp(s->at, units[i].name, size) == 0) {
            s->at += size;
            return units[i].ns;
        }
    }
    return 0;
}

/* A number with up to 9 decimals, then a unit (bare: seconds when allowed), scaled to ns and added to *sum. */
static bool scan_span(struct scan *s, bool bare_allowed, int64_t *sum)
{
    int64_t whole = 0, fraction_ns = 0, part = 0;
    size_t digits = digits_ahead(s);
    if (digits == 0 || digits > 18) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        whole = whole * 10 + (s->at[i] - '0');
    }
    s->at += digits;
    if (scan_char(s, '.') && !scan_fraction(s, &fraction_ns)) {
        return false;
    }
    int64_t unit = scan_unit(s);
    if (unit == 0) {
        if (!bare_allowed || !scan_done(s)) {
            return false;
        }
        unit = NS_PER_S;
    }
    /* fraction_ns counts 1e-9 of a unit; the product fits: 1e9 x 6.1e14 needs 128 bits. */
    int64_t below = (int64_t)((__int128)fraction_ns * unit / NS_PER_S);
    return !__builtin_mul_overflow(whole, unit, &part) && !__builtin_add_overflow(part, below, &part) &&
           !__builtin_add_overflow(*sum, part, sum);
}

truc_status duration_parse(const char *text, size_t size, int64_t *ret_ns, const char **ret_why)
{
    struct scan s = {text, text + size};
    int64_t sum = 0;
    bool first = true;
    scan_trim(&s);
    do {
        if (!scan_span(&s, first, &sum)) {
            *ret_why = "not a length of time such as 10s, 500ms or 1h30m";
            return TRUC_INVALID_ARGUMENT;
        }
        first = false;
    } while (!scan_done(&s));
    *ret_ns = sum;
    return TRUC_OK;
}

/* --- times ---------------------------------------------------------------------------------------------------------------- */

struct civil {
    int year, month, day, hour, minute, second;
    int64_t fraction_ns;
    bool has_offset;
    int offset_seconds;
};

static const char *scan_relative(struct scan *s, int64_t now_ns, int64_t *ret_ns)
{
    bool back = scan_peek(s) == '-';
    int64_t sum = 0;
    s->at++;
    do {
        if (!scan_span(s, false, &sum)) {
            return "not a relative time such as -1h or -1d12h";
        }
    } while (!scan_done(s));
    if (back ? __builtin_sub_overflow(now_ns, sum, ret_ns) : __builtin_add_overflow(now_ns, sum, ret_ns)) {
        return OUTSIDE;
    }
    return NULL;
}

static const char *scan_epoch(struct scan *s, int64_t *ret_ns)
{
    int64_t whole = 0, fraction_ns = 0;
    bool negative = scan_char(s, '-');
    size_t digits = digits_ahead(s);
    if (digits == 0 || digits > 18) {
        return "behind @ stand the seconds since 1970, such as @1591318800";
    }
    for (size_t i = 0; i < digits; i++) {
        whole = whole * 10 + (s->at[i] - '0');
    }
    s->at += digits;
    if ((scan_char(s, '.') && !scan_fraction(s, &fraction_ns)) || !scan_done(s)) {
        return "behind @ stand the seconds since 1970, such as @1591318800";
    }
    int64_t ns = 0;
    if (__builtin_mul_overflow(whole, NS_PER_S, &ns) || __builtin_add_overflow(ns, fraction_ns, &ns)) {
        return OUTSIDE;
    }
    *ret_ns = negative ? -ns : ns;
    return NULL;
}

/* "20200605", "202006050800", "20200605080000". */
static bool scan_compact(struct scan *s, size_t digits, struct civil *civil)
{
    return scan_digits(s, 4, &civil->year) && scan_digits(s, 2, &civil->month) && scan_digits(s, 2, &civil->day) &&
           (digits < 12 || (scan_digits(s, 2, &civil->hour) && scan_digits(s, 2, &civil->minute))) &&
           (digits < 14 || scan_digits(s, 2, &civil->second));
}

static bool scan_day(struct scan *s, struct civil *civil)
{
    char separator = '\0';
    if (!scan_digits(s, 4, &civil->year)) {
        return false;
    }
    separator = scan_peek(s);
    return (separator == '-' || separator == '/') && scan_char(s, separator) && scan_digits(s, 2, &civil->month) &&
           scan_char(s, separator) && scan_digits(s, 2, &civil->day);
}

static bool scan_clock(struct scan *s, struct civil *civil)
{
    if (!scan_digits(s, 2, &civil->hour) || !scan_char(s, ':') || !scan_digits(s, 2, &civil->minute)) {
        return false;
    }
    if (scan_char(s, ':')) {
        if (!scan_digits(s, 2, &civil->second)) {
            return false;
        }
        if ((scan_char(s, '.') || scan_char(s, ',')) && !scan_fraction(s, &civil->fraction_ns)) {
            return false;
        }
    }
    return true;
}

static bool scan_zone(struct scan *s, struct civil *civil)
{
    scan_trim(s);
    if (scan_done(s)) {
        return true;
    }
    civil->has_offset = true;
    if (scan_char(s, 'Z') || scan_char(s, 'z')) {
        return scan_done(s);
    }
    return scan_offset(s, &civil->offset_seconds) && scan_done(s);
}

static const char *scan_civil(struct scan *s, struct civil *civil)
{
    static const char *const unreadable = "not a time such as 2020-06-05T08:00:00+07:00, 2020-06-05 08:00, 2020-06-05 or -1h";
    size_t digits = digits_ahead(s);
    if (digits == 8 || digits == 12 || digits == 14) {
        if (!scan_compact(s, digits, civil) || !scan_zone(s, civil)) {
            return unreadable;
        }
    } else {
        if (!scan_day(s, civil)) {
            return unreadable;
        }
        if (scan_char(s, 'T') || scan_char(s, 't') || scan_char(s, ' ')) {
            scan_trim(s);
            if (!scan_clock(s, civil)) {
                return unreadable;
            }
        }
        if (!scan_zone(s, civil)) {
            return unreadable;
        }
    }
    if (civil->month < 1 || civil->month > 12 || civil->day < 1 || civil->day > days_in_month(civil->year, civil->month)) {
        return "a day that is not in the calendar";
    }
    if (civil->hour > 23 || civil->minute > 59 || civil->second > 60) {
        return "a time of day that does not exist";
    }
    return NULL;
}

/* Seconds of a time of day read in the process's zone. */
static const char *civil_in_zone(const struct civil *civil, int64_t *ret_seconds)
{
    struct tm asked = {.tm_year = civil->year - 1900,
                       .tm_mon = civil->month - 1,
                       .tm_mday = civil->day,
                       .tm_hour = civil->hour,
                       .tm_min = civil->minute,
                       .tm_sec = civil->second < 60 ? civil->second : 59,
                       .tm_isdst = -1};
    struct tm found = asked;
    time_t seconds = mktime(&found);
    if (found.tm_hour != asked.tm_hour || found.tm_min != asked.tm_min || found.tm_mday != asked.tm_mday) {
        return "a time of day that the zone skips; write it with its offset";
    }
    *ret_seconds = (int64_t)seconds + (civil->second == 60);
    return NULL;
}

static const char *civil_to_ns(const struct civil *civil, const struct zone *zone, int64_t *ret_ns, bool *ret_zoned)
{
    int64_t seconds = 0, ns = 0;
    bool zoned = !civil->has_offset && zone != NULL;
    if (zoned) {
        const char *why = civil_in_zone(civil, &seconds);
        if (why != NULL) {
            return why;
        }
    } else {
        seconds = days_from_civil(civil->year, civil->month, civil->day) * 86400 + civil->hour * 3600 + civil->minute * 60 +
                  civil->second - civil->offset_seconds;
    }
    if (__builtin_mul_overflow(seconds, NS_PER_S, &ns) || __builtin_add_overflow(ns, civil->fraction_ns, &ns)) {
        return OUTSIDE;
    }
    *ret_zoned = zoned;
    *ret_ns = ns;
    return NULL;
}

truc_status timestamp_parse(const char *text, size_t size, const struct zone *zone, int64_t now_ns, int64_t *ret_ns,
                            bool *ret_zoned, const char **ret_why)
{
    struct scan s = {text, text + size};
    struct civil civil = {0};
    const char *why = NULL;
    int64_t ns = 0;
    bool zoned = false;

    scan_trim(&s);
    char first = scan_peek(&s);
    if (first == '+' || first == '-') {
        why = scan_relative(&s, now_ns, &ns);
    } else if (first == '@') {
        s.at++;
        why = scan_epoch(&s, &ns);
    } else if (s.end - s.at == 3 && memcmp(s.at, "now", 3) == 0) {
        ns = now_ns;
    } else {
        why = scan_civil(&s, &civil);
        if (why == NULL) {
            why = civil_to_ns(&civil, zone, &ns, &zoned);
        }
    }
    if (why != NULL) {
        *ret_why = why;
        return TRUC_INVALID_ARGUMENT;
    }
    *ret_ns = ns;
    if (ret_zoned != NULL) {
        *ret_zoned = zoned;
    }
    return TRUC_OK;
}

/* --- printing ------------------------------------------------------------------------------------------------------------- */

static char *put_digits(char *out, int64_t value, size_t count)
{
    for (size_t i = count; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + count;
}

size_t timestamp_print(int64_t ns, char out[TIMESTAMP_TEXT_BYTES])
{
    int year = 0, month = 0, day = 0;
    int64_t seconds = ns / NS_PER_S, fraction = ns % NS_PER_S;
    if (fraction < 0) {
        fraction += NS_PER_S;
        seconds--;
    }
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    civil_from_days(days, &year, &month, &day);
    char *p = put_digits(out, year, 4);
    *p++ = '-';
    p = put_digits(p, month, 2);
    *p++ = '-';
    p = put_digits(p, day, 2);
    *p++ = 'T';
    p = put_digits(p, rest / 3600, 2);
    *p++ = ':';
    p = put_digits(p, rest / 60 % 60, 2);
    *p++ = ':';
    p = put_digits(p, rest % 60, 2);
    *p++ = '.';
    p = put_digits(p, fraction, 9);
    *p++ = 'Z';
    *p = '\0';
    return (size_t)(p - out);
}

int64_t timestamp_now(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}
