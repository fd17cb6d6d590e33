#include "clients/cli/bench/report.h"

#include <string.h>

static const struct {
    const char *name;
    double share;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}, {"max", 1.0}};
enum { QUANTILES = sizeof quantiles / sizeof *quantiles };

/* Every figure of a report, in order: the one list behind the three formats. */
enum { FIGURES_MAX = 40 };
struct figure {
    const char *group, *name; /* group NULL: top level */
    const char *text;         /* or a number: */
    double number;
    int digits;
};
struct figures {
    struct figure items[FIGURES_MAX];
    size_t count;
};

static void add_number(struct figures *figures, const char *group, const char *name, double number, int digits)
{
    figures->items[figures->count++] = (struct figure){.group = group, .name = name, .number = number, .digits = digits};
}

static void add_text(struct figures *figures, const char *group, const char *name, const char *text)
{
    figures->items[figures->count++] = (struct figure){.group = group, .name = name, .text = text};
}

static void collect_load(struct figures *figures, const char *verb, const struct load_spec *spec)
{
    add_text(figures, NULL, "bench", verb);
    add_number(figures, "load", "size", (double)spec->payload_size, 0);
    add_number(figures, "load", "connections", spec->connections, 0);
    add_number(figures, "load", "waiting", spec->waiting, 0);
    add_number(figures, "load", "rate", spec->rate, 0);
    add_number(figures, "load", "topics", spec->topics, 0);
    add_number(figures, "load", "topic_run", spec->topic_run, 0);
    add_number(figures, "load", "keys", spec->keys, 0);
    add_number(figures, "load", "skew", spec->skew, 2);
    add_text(figures, "load", "batch_bytes", spec->batch_bytes ? spec->batch_bytes : "default");
    add_text(figures, "load", "batch_records", spec->batch_records ? spec->batch_records : "default");
    add_text(figures, "load", "linger_us", spec->linger_us ? spec->linger_us : "default");
    add_text(figures, "load", "codec", spec->codec ? spec->codec : "none");
    add_text(figures, "load", "evidence", spec->evidence ? spec->evidence : "topic");
}

static void collect(struct figures *figures, const char *verb, const struct load_spec *spec, const struct load_result *result,
                    const struct environment *environment)
{
    double per_second = (double)result->records / result->seconds;
    figures->count = 0;
    collect_load(figures, verb, spec);
    add_number(figures, NULL, "seconds", result->seconds, 3);
    add_number(figures, NULL, "records", (double)result->records, 0);
    add_number(figures, NULL, "records_per_s", per_second, 1);
    add_number(figures, NULL, "mb_per_s", per_second * (double)spec->payload_size / 1e6, 3);
    if (result->latency.count) {
        add_number(figures, "latency_us", "mean", histogram_mean(&result->latency) / 1e3, 1);
        for (size_t i = 0; i < QUANTILES; i++)
            add_number(figures, "latency_us", quantiles[i].name,
                       (double)histogram_quantile(&result->latency, quantiles[i].share) / 1e3, 1);
    }
    if (environment) {
        add_text(figures, "environment", "cpu", environment->cpu);
        add_number(figures, "environment", "cores", (double)environment->cores, 0);
        add_text(figures, "environment", "kernel", environment->kernel);
        add_number(figures, "environment", "flush_p50_us", environment->flush_p50_us, 1);
        add_number(figures, "environment", "flush_p99_us", environment->flush_p99_us, 1);
        add_number(figures, "environment", "device_mb_per_s", environment->device_mb_per_s, 1);
    }
}

static bool same_group(const struct figure *a, const struct figure *b)
{
    return a->group == b->group || (a->group && b->group && strcmp(a->group, b->group) == 0);
}

static void print_json(struct out *out, const struct figures *figures)
{
    for (size_t i = 0; i < figures->count; i++) {
        const struct figure *figure = &figures->items[i], *before = i ? figure - 1 : NULL;
        bool opens = figure->group && (!before || !same_group(before, figure));
        bool closes = before && before->group && !same_group(before, figure);
        out_text(out, closes ? "}" : "");
        out_text(out, i == 0 ? "{" : ",");
        if (opens)
            out_format(out, "\"%s\":{", figure->group);
        out_format(out, "\"%s\":", figure->name);
        if (figure->text)
            out_json_string(out, bytes_of_text(figure->text));
        else
            out_format(out, "%.*f", figure->digits, figure->number);
    }
    out_text(out, figures->items[figures->count - 1].group ? "}}\n" : "}\n");
}

static void print_csv(struct out *out, const struct figures *figures)
{
    for (size_t i = 0; i < figures->count; i++) {
        const struct figure *figure = &figures->items[i];
        out_format(out, "%s%s%s%s", i ? "," : "", figure->group ? figure->group : "", figure->group ? "." : "", figure->name);
    }
    for (size_t i = 0; i < figures->count; i++) {
        const struct figure *figure = &figures->items[i];
        if (figure->text)
            out_format(out, "%s\"%s\"", i ? "," : "\n", figure->text);
        else
            out_format(out, "%s%.*f", i ? "," : "\n", figure->digits, figure->number);
    }
    out_text(out, "\n");
}

static void print_table(struct out *out, const struct figures *figures)
{
    for (size_t i = 0; i < figures->count; i++) {
        const struct figure *figure = &figures->items[i], *before = i ? figure - 1 : NULL;
        if (figure->group && (!before || !same_group(before, figure)))
            out_format(out, "%s\n", figure->group);
        out_format(out, "%s%-*s", figure->group ? "  " : "", figure->group ? 16 : 18, figure->name);
        if (figure->text)
            out_format(out, "%s\n", figure->text);
        else
            out_format(out, "%.*f\n", figure->digits, figure->number);
    }
}

void bench_report(struct out *out, const char *format, const char *verb, const struct load_spec *spec,
                  const struct load_result *result, const struct environment *environment)
{
    struct figures figures;
    collect(&figures, verb, spec, result, environment);
    if (strcmp(format, "json") == 0)
        print_json(out, &figures);
    else if (strcmp(format, "csv") == 0)
        print_csv(out, &figures);
    else
        print_table(out, &figures);
}
