/* dossiers.c: invents the dossiers of a Hanoi one-stop shop, as CSV on standard output, the same for the same seed.
 *
 *   dossiers [--seed N] [--dossiers N] [--agency H26.16]
 *
 * One line per step of a dossier, in the order of time. Codes follow the national rules: agency `H26.16`, dossier
 * `H26.16-YYMMDD-NNNN`, procedure `1.011442.000.00.00.H26`; statuses are TrangThaiHoSo 1..10, channels HinhThuc 1..3. All names are
 * made up of common name parts. Standard C alone: the demo compiles it by itself. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DOSSIERS_MAX = 1000000, EVENTS_PER_DOSSIER_MAX = 40 };

static const int64_t zone_seconds = 7 * 3600; /* Hanoi */

struct procedure {
    const char *code, *name, *ministry; /* the ministry whose field it is: the receiver */
    int days;                           /* working days allowed */
};

static const struct procedure procedures[] = {
    {"1.011442.000.00.00.H26", "Đăng ký biện pháp bảo đảm bằng quyền sử dụng đất", "G10", 1},
    {"2.000815.000.00.00.H26", "Chứng thực bản sao từ bản chính", "G15", 1},
    {"1.004222.000.00.00.H26", "Đăng ký thường trú", "G01", 7},
    {"1.009999.000.00.00.H26", "Cấp giấy phép xây dựng mới", "G17", 20},
    {"1.013225.000.00.00.H26", "Cấp giấy phép xây dựng sửa chữa, cải tạo", "G17", 15},
    {"2.001610.000.00.00.H26", "Đăng ký thành lập doanh nghiệp tư nhân", "G12", 3},
    {"1.001193.000.00.00.H26", "Đăng ký khai sinh", "G15", 1},
    {"1.000894.000.00.00.H26", "Đăng ký kết hôn", "G15", 5},
    {"1.012259.000.00.00.H26", "Cấp giấy phép hành nghề khám bệnh, chữa bệnh", "G18", 30},
    {"1.003554.000.00.00.H26", "Hòa giải tranh chấp đất đai", "G10", 45},
};

static const char *const units[] = {
    "Bộ phận Một cửa",           "Phòng Quản lý đô thị",    "Phòng Tư pháp", "Phòng Tài nguyên và Môi trường",
    "Văn phòng Đăng ký đất đai", "Phòng Đăng ký kinh doanh"};
static const char *const surnames[] = {"Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng", "Bùi", "Đỗ", "Ngô"};
static const char *const middles[] = {"Văn", "Thị", "Đức", "Minh", "Thu", "Quang", "Hồng", "Thanh"};
static const char *const names[] = {"An", "Bình", "Châu", "Dũng", "Hà", "Hương", "Khánh", "Lan", "Nam", "Phượng", "Sơn", "Yến"};
static const char *const requests[] = {"Bổ sung \"Bản sao căn cước\" có chứng thực", "Thiếu bản vẽ, đề nghị nộp lại",
                                       "Bổ sung hợp đồng; ghi rõ ngày ký", "Ảnh chụp mờ\nđề nghị chụp lại"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct event {
    int64_t at; /* seconds since 1970 */
    uint32_t order, dossier;
    int status;
    const char *step, *unit, *note;
    uint32_t official;
};

struct dossier {
    char code[40];
    const struct procedure *procedure;
    int channel;
    int64_t received, due, finished;
};

struct office {
    const char *agency;
    uint64_t random;
    struct dossier *dossiers;
    struct event *events;
    size_t event_count;
};

/* splitmix64 */
static uint64_t draw(struct office *office)
{
    uint64_t z = (office->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint32_t below(struct office *office, size_t bound)
{
    return (uint32_t)(draw(office) % bound);
}
static bool chance(struct office *office, unsigned percent)
{
    return below(office, 100) < percent;
}

/* The next moment at which an office is open: 8 to 17 o'clock, Monday to Friday. */
static int64_t office_time(int64_t at)
{
    for (;;) {
        int64_t local = at + zone_seconds, day = local / 86400, second = local % 86400;
        int64_t weekday = (day + 4) % 7; /* 1970-01-01 was a Thursday; 0 is Sunday */
        if (weekday != 0 && weekday != 6 && second >= 8 * 3600 && second < 17 * 3600) {
            return at;
        }
        at = second < 8 * 3600 ? at + (8 * 3600 - second) : at + (86400 - second) + 8 * 3600;
        at += (at % 7) * 60;
    }
}

static int64_t working_days_later(int64_t at, int days)
{
    while (days-- > 0) {
        at = office_time(at + 86400);
    }
    return at;
}

static void add(struct office *office, uint32_t dossier, int64_t *at, uint32_t hours_max, int status, const char *step,
                uint32_t unit, const char *note)
{
    *at = office_time(*at + 120 + below(office, hours_max * 3600u));
    struct event *event = &office->events[office->event_count];
    *event = (struct event){*at, (uint32_t)office->event_count, dossier, status, step, units[unit], note, below(office, 4000)};
    office->event_count++;
}

/* The life of one dossier: 1, then 2 or 3; 4, perhaps with 5, 6 or 7 between; 9 and 10, or 8. */
static void live(struct office *office, uint32_t index, int64_t at)
{
    struct dossier *dossier = &office->dossiers[index];
    uint32_t unit = 1 + below(office, COUNT(units) - 1);
    if (dossier->channel == 2) {
        add(office, index, &at, 12, 1, "Đăng ký hồ sơ trực tuyến", 0, "");
    }
    if (chance(office, 4)) {
        add(office, index, &at, 6, 3, "Từ chối tiếp nhận", 0, "Hồ sơ không thuộc thẩm quyền");
        dossier->finished = at;
        return;
    }
    add(office, index, &at, 6, 2, "Tiếp nhận hồ sơ", 0, "");
    dossier->received = at;
    dossier->due = working_days_later(at, dossier->procedure->days);
    add(office, index, &at, 8, 4, "Phân công xử lý", unit, "");
    for (int round = 0; round < 3 && chance(office, 18); round++) {
        add(office, index, &at, 48, 5, "Yêu cầu bổ sung giấy tờ", unit, requests[below(office, COUNT(requests))]);
        add(office, index, &at, 96, 4, "Nhận giấy tờ bổ sung", unit, "");
    }
    if (chance(office, 35)) {
        add(office, index, &at, 24, 6, "Yêu cầu nộp phí, lệ phí", unit, "");
        add(office, index, &at, 48, 4, "Đã nộp phí, lệ phí", unit, "");
    }
    if (chance(office, 3)) {
        add(office, index, &at, 24, 7, "Công dân yêu cầu rút hồ sơ", 0, "");
        add(office, index, &at, 12, 8, "Dừng xử lý", unit, "");
        dossier->finished = at;
        return;
    }
    for (uint32_t steps = 1 + below(office, 3); steps > 0; steps--) {
        add(office, index, &at, 24, 4, steps == 1 ? "Trình ký" : "Thẩm định hồ sơ", unit, "");
    }
    add(office, index, &at, 16, 9, "Ký duyệt kết quả", unit, "");
    dossier->finished = at;
    add(office, index, &at, 48, 10, "Trả kết quả", 0, "");
}

static int by_time(const void *left, const void *right)
{
    const struct event *a = left, *b = right;
    if (a->at != b->at) {
        return a->at < b->at ? -1 : 1;
    }
    return a->order < b->order ? -1 : 1;
}

static void print_text(const char *text)
{
    if (strpbrk(text, ",\"\n;") == NULL) {
        (void)fputs(text, stdout);
        return;
    }
    (void)putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            (void)putchar('"');
        }
        (void)putchar(*text);
    }
    (void)putchar('"');
}

static void print_time(int64_t at)
{
    if (at != 0) {
        time_t local = (time_t)(at + zone_seconds);
        struct tm parts;
        char text[40];
        (void)gmtime_r(&local, &parts);
        (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts); /* without a zone, as such systems write it */
        (void)fputs(text, stdout);
    }
}

static void print_event(const struct office *office, const struct event *event)
{
    const struct dossier *dossier = &office->dossiers[event->dossier];
    bool ended = dossier->finished != 0 && event->at >= dossier->finished;
    (void)printf("%s,%s,%s,%s,", office->agency, dossier->procedure->ministry, dossier->code, dossier->procedure->code);
    print_text(event->step);
    (void)printf(",%d,%s,", event->status, event->unit);
    (void)printf("%s %s %s,%d,", surnames[event->official % COUNT(surnames)], middles[event->official / 10 % COUNT(middles)],
                 names[event->official / 80 % COUNT(names)], dossier->channel);
    print_time(event->at);
    (void)putchar(',');
    print_time(event->at >= dossier->received ? dossier->received : 0);
    (void)putchar(',');
    print_time(event->at >= dossier->received ? dossier->due : 0);
    (void)putchar(',');
    print_time(ended ? dossier->finished : 0);
    (void)putchar(',');
    print_text(event->note);
    (void)putchar('\n');
}

static void invent(struct office *office, uint32_t dossier_count)
{
    const int64_t begin = 1741046400; /* 2025-03-04 07:00 in Hanoi */
    int64_t day = 0, latest = 0;
    unsigned number = 0; /* of the day, so days must not go back */
    for (uint32_t i = 0; i < dossier_count; i++) {
        int64_t at = office_time(begin + (int64_t)i * 86400 / 60 + below(office, 1800)); /* about 60 a day */
        at = latest = at > latest ? at : latest;
        int64_t today = (at + zone_seconds) / 86400;
        number = today == day ? number + 1 : 1;
        day = today;
        time_t local = (time_t)(at + zone_seconds);
        struct tm parts;
        char date[16];
        (void)gmtime_r(&local, &parts);
        (void)strftime(date, sizeof date, "%y%m%d", &parts);
        struct dossier *dossier = &office->dossiers[i];
        (void)snprintf(dossier->code, sizeof dossier->code, "%s-%s-%04u", office->agency, date, number);
        dossier->procedure = &procedures[below(office, COUNT(procedures))];
        uint32_t way = below(office, 100);
        dossier->channel = way < 35 ? 1 : way < 93 ? 2 : 3;
        live(office, i, at);
    }
    qsort(office->events, office->event_count, sizeof *office->events, by_time);
}

static bool parse_number(const char *text, uint64_t maximum, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || number > maximum) {
        return false;
    }
    *ret_number = number;
    return true;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, dossier_count = 2500;
    struct office office = {.agency = "H26.16"};
    bool fits = argc % 2 == 1;
    for (int i = 1; fits && i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0) {
            fits = parse_number(argv[i + 1], UINT64_MAX, &seed);
        } else if (strcmp(argv[i], "--dossiers") == 0) {
            fits = parse_number(argv[i + 1], DOSSIERS_MAX, &dossier_count);
        } else if (strcmp(argv[i], "--agency") == 0) {
            office.agency = argv[i + 1];
            fits = strlen(office.agency) <= 16 && strpbrk(office.agency, ",\"\n") == NULL;
        } else {
            fits = false;
        }
    }
    if (!fits) {
        (void)fprintf(stderr, "usage: dossiers [--seed N] [--dossiers N] [--agency CODE]\n");
        return 2;
    }
    office.random = seed * 1000003;
    for (const char *c = office.agency; *c != '\0'; c++) { /* agencies differ under the same seed */
        office.random = office.random * 31 + (unsigned char)*c;
    }
    office.dossiers = calloc(dossier_count + 1, sizeof *office.dossiers);
    office.events = calloc(dossier_count * EVENTS_PER_DOSSIER_MAX + 1, sizeof *office.events);
    if (office.dossiers == NULL || office.events == NULL) {
        (void)fprintf(stderr, "dossiers: out of memory\n");
        return 4;
    }
    invent(&office, (uint32_t)dossier_count);
    (void)puts("agency,receiver,dossier,procedure,step,status,unit,official,channel,occurred,received,due,finished,note");
    for (size_t i = 0; i < office.event_count; i++) {
        print_event(&office, &office.events[i]);
    }
    free(office.dossiers);
    free(office.events);
    return ferror(stdout) || fflush(stdout) != 0 ? 5 : 0;
}
