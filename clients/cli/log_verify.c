/* log_verify.c: truc log verify: a log's directory checked without a broker. */
#include <inttypes.h>
#include <stdio.h>

#include "broker/log/verify.h"
#include "clients/cli/cli.h"

enum { PROGRESS_EVERY_NS = 100000000 };

struct progress {
    struct cli_context *context;
    int64_t drawn_ns, begun_ns;
    bool drawn;
};

static bool on_progress(void *pointer, const struct log_verify_report *so_far)
{
    struct progress *progress = pointer;
    int64_t now_ns = timestamp_now();
    bool draw = progress->context->talking && !progress->context->globals.quiet;
    if (draw && now_ns - progress->drawn_ns >= PROGRESS_EVERY_NS) {
        double seconds = (double)(now_ns - progress->begun_ns) / 1e9;
        fprintf(stderr, "\r\033[K%" PRIu64 " records in %" PRIu64 " entries, %.1f MB, %.0f MB/s", so_far->record_count,
                so_far->entry_count, (double)so_far->bytes / 1e6, seconds > 0 ? (double)so_far->bytes / 1e6 / seconds : 0);
        progress->drawn_ns = now_ns;
        progress->drawn = true;
    }
    return !cli_stopped();
}

static void print_json(struct out *out, truc_status status, const struct log_verify_report *report)
{
    out_format(out, "{\"status\":\"%s\",\"domain\":", truc_status_name(status));
    out_json_string(out, bytes_of_text(report->identity.domain));
    out_text(out, ",\"log_id\":\"");
    out_hex(out, bytes_of(report->identity.log_id, sizeof report->identity.log_id));
    out_format(out,
               "\",\"generation\":%" PRIu64 ",\"segments\":%u,\"blocks\":%" PRIu64 ",\"entries\":%" PRIu64 ",\"records\":%" PRIu64,
               report->identity.generation, report->segment_count, report->block_count, report->entry_count, report->record_count);
    out_format(out, ",\"topics\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"chain\":\"", report->topic_count, report->bytes);
    out_hex(out, bytes_of(report->chain, sizeof report->chain));
    out_text(out, "\",\"bad\":");
    if (report->bad) {
        out_format(out, "{\"block\":%" PRIu64 ",\"position\":", report->bad_block);
        if (report->bad_position == UINT64_MAX) {
            out_text(out, "null");
        } else {
            out_u64(out, report->bad_position);
        }
        out_text(out, ",\"what\":");
        out_json_string(out, bytes_of_text(report->bad_what));
        out_text(out, "}}\n");
    } else {
        out_text(out, "null}\n");
    }
}

static void print_human(struct out *out, truc_status status, const struct log_verify_report *report)
{
    out_format(out, "domain      %s\nlog_id      ", report->identity.domain);
    out_hex(out, bytes_of(report->identity.log_id, sizeof report->identity.log_id));
    out_format(out,
               "\ngeneration  %" PRIu64 "\nsegments    %u\nblocks      %" PRIu64 "\nentries     %" PRIu64 "\nrecords     %" PRIu64,
               report->identity.generation, report->segment_count, report->block_count, report->entry_count, report->record_count);
    out_format(out, "\ntopics      %" PRIu64 "\nbytes       %" PRIu64 "\nchain       ", report->topic_count, report->bytes);
    out_hex(out, bytes_of(report->chain, sizeof report->chain));
    out_format(out, "\n%s\n", status == TRUC_OK ? "everything holds" : "the counts end where the damage begins");
}

static truc_status run(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    struct progress progress = {.context = context, .begun_ns = timestamp_now()};
    struct log_verify_report report = {0};
    char why[LOG_WHY_BYTES] = "";
    (void)options;
    (void)operand_count;
    cli_catch_stop();
    truc_status status = log_verify(operands[0], on_progress, &progress, &report, why);
    if (progress.drawn) {
        fprintf(stderr, "\r\033[K");
    }
    if (status == TRUC_OK || (status == TRUC_DAMAGED && report.bad)) {
        if (context->globals.json) {
            print_json(&context->out, status, &report);
        } else {
            print_human(&context->out, status, &report);
        }
    }
    if (status == TRUC_OK || status == TRUC_CANCELLED) {
        return status;
    }
    if (!report.bad) {
        return cli_error(context, status, "%s: %s", operands[0], why[0] != '\0' ? why : truc_status_text(status));
    }
    out_flush(&context->out); /* the report before the verdict when both go to a terminal */
    if (report.bad_position == UINT64_MAX) {
        return cli_error(context, status, "%s: block %" PRIu64 ": %s", operands[0], report.bad_block, report.bad_what);
    }
    return cli_error(context, status, "%s: block %" PRIu64 ", position %" PRIu64 ": %s", operands[0], report.bad_block,
                     report.bad_position, report.bad_what);
}

static const truc_status exits[] = {TRUC_IO, TRUC_CANCELLED, TRUC_NOT_FOUND, TRUC_DAMAGED, TRUC_LOCKED};

const struct cli_verb verb_log_verify = {
    .name = "log verify",
    .summary = "check a log's directory, byte by byte, without a broker",
    .example = "truc log verify /var/lib/truc",
    .operands = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .notes = "Reads every block and checks structure, checksums, the chain of blocks, that positions and offsets are dense, append "
             "times "
             "increasing, leaves, digests, directories and producers' sequences. It stops at the first thing that is wrong, names "
             "block and "
             "position, and ends with DAMAGED. It writes nothing. The last chain value stands for the whole log: two copies with "
             "the same "
             "value hold the same records.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
