#include "clients/cli/import/summary.h"

#include <inttypes.h>

#include "clients/cli/timestamp.h"

enum { SAMPLES_SHOWN = 3 };

static void sample_text(struct out *out, const char *name, truc_text text)
{
    out_text(out, name);
    out_json_string(out, bytes_of(text.data, text.size));
}

void summary_sample(struct summary *summary, struct cli_context *context, const struct built *built)
{
    summary->dry_run = true;
    if (summary->samples++ >= SAMPLES_SHOWN) {
        return;
    }
    struct out *out = &context->out;
    char time[TIMESTAMP_TEXT_BYTES] = "";
    if (built->record.time_ns != 0) {
        (void)timestamp_print(built->record.time_ns, time);
    }
    out_format(out, "{\"row\":%" PRIu64 ",\"line\":%" PRIu64, built->row, built->line);
    sample_text(out, ",\"topic\":", (truc_text){built->topic, built->topic_size});
    out_text(out, ",\"id\":\"");
    cli_id_print(out, bytes_of(built->id, sizeof built->id));
    out_text(out, "\"");
    sample_text(out, ",\"key\":", built->record.key);
    sample_text(out, ",\"type\":", built->record.type);
    out_format(out, ",\"time\":\"%s\",\"data_bytes\":%zu", time, built->record.data_size);
    sample_text(out, ",\"content_type\":", built->record.content_type);
    out_text(out, "}\n");
}

static void optional_u64(struct out *out, const char *name, bool known, uint64_t value)
{
    if (known) {
        out_format(out, ",\"%s\":%" PRIu64, name, value);
    } else {
        out_format(out, ",\"%s\":null", name);
    }
}

static double rate_of(const struct summary *summary)
{
    return summary->sending_seconds > 0 ? (double)summary->sent / summary->sending_seconds : 0;
}

static void print_json(const struct summary *summary, struct out *out)
{
    out_format(out,
               "{\"rows\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"skipped\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"topics\":%" PRIu64,
               summary->rows, summary->sent, summary->skipped, summary->rejected, summary->topics);
    optional_u64(out, "keys", !summary->keys_more, summary->keys);
    optional_u64(out, "first_position", summary->placed, summary->first_position);
    optional_u64(out, "last_position", summary->placed, summary->last_position);
    out_format(out, ",\"seconds\":%.3f,\"records_per_second\":%.0f", summary->seconds, rate_of(summary));
    out_text(out, ",\"producer\":");
    out_json_string(out, bytes_of_text(summary->producer));
    if (summary->dry_run) {
        out_format(out, ",\"would_send\":%" PRIu64, summary->samples);
    }
    out_text(out, "}\n");
}

static void print_text(const struct summary *summary, struct out *out)
{
    out_format(out, "%s: %" PRIu64 " rows: ", summary->path, summary->rows);
    if (summary->dry_run) {
        out_format(out, "%" PRIu64 " would be sent, ", summary->samples);
    } else {
        out_format(out, "%" PRIu64 " sent, %" PRIu64 " already stored, ", summary->sent, summary->skipped);
    }
    out_format(out, "%" PRIu64 " rejected; %" PRIu64 " topics, %s%" PRIu64 " keys", summary->rejected, summary->topics,
               summary->keys_more ? "more than " : "", summary->keys);
    if (summary->placed) {
        out_format(out, "; positions %" PRIu64 " to %" PRIu64, summary->first_position, summary->last_position);
    }
    if (!summary->dry_run) {
        out_format(out, "; %.2f s, %.0f records/s", summary->seconds, rate_of(summary));
    }
    out_format(out, "\nproducer %s\n", summary->producer);
}

void summary_print(const struct summary *summary, struct cli_context *context)
{
    if (context->globals.json) {
        print_json(summary, &context->out);
    } else {
        print_text(summary, &context->out);
    }
}
