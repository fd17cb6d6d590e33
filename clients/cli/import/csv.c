#include "clients/cli/import/csv.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/utf8.h"

/* Bytes are read through `bytes`, which is `chunk` or, after a rewind, `again`; what has been passed of a row is copied to row->raw
 * a stretch at a time (raw_from..at).
 *
 * A quote that never closes would swallow everything behind it. When the file ends or a field outgrows its bound within
 * quotes, only the line where the quote opened is bad: reading goes on behind that line, from what row->raw has kept. */
struct csv {
    struct rows rows;
    struct columns *columns;
    uint32_t *column_of; /* field -> column */
    size_t width;
    char delimiter;
    uint64_t line;   /* of the byte at `at` */
    uint64_t number; /* of the last row */
    struct out heading;
    bool resting;  /* within the rest of a row that was too long */
    bool finished; /* the source has ended */
    bool failed;   /* ... because reading failed, for this reason */
    struct failure reason;
    bool unclosed;      /* the row broke within quotes that opened ... */
    size_t unclosed_at; /* ... here in row->raw */
    uint64_t unclosed_line;
    size_t at, filled, raw_from;
    const char *bytes;
    char *again;
    char chunk[IMPORT_CHUNK_BYTES];
};

/* Where a field ended. */
enum field_end { FIELD_NEXT, FIELD_LAST, FIELD_BAD, FIELD_FAILED };

enum { END_OF_FILE = -1, READ_FAILED = -2 };

static void keep_raw(struct csv *csv, struct row *row)
{
    if (csv->at > csv->raw_from) {
        out_bytes(&row->raw, csv->bytes + csv->raw_from, csv->at - csv->raw_from);
        csv->raw_from = csv->at;
    }
}

/* The byte at hand, END_OF_FILE, or READ_FAILED. */
static int peek(struct csv *csv, struct row *row, struct failure *failure)
{
    if (csv->at == csv->filled) {
        keep_raw(csv, row);
        csv->at = csv->filled = csv->raw_from = 0;
        free(csv->again);
        csv->again = NULL;
        csv->bytes = csv->chunk;
        if (csv->failed) {
            *failure = csv->reason;
            return READ_FAILED;
        }
        if (csv->finished) {
            return END_OF_FILE;
        }
        if (source_read(csv->rows.source, csv->chunk, sizeof csv->chunk, &csv->filled, failure) != TRUC_OK) {
            csv->failed = true;
            csv->reason = *failure;
            csv->filled = 0;
            return READ_FAILED;
        }
        if (csv->filled == 0) {
            csv->finished = true;
            return END_OF_FILE;
        }
    }
    return (unsigned char)csv->bytes[csv->at];
}

static void pass(struct csv *csv)
{
    if (csv->bytes[csv->at++] == '\n') {
        csv->line++;
    }
}

/* How much of the row has been passed: in row->raw and not yet there. */
static size_t row_size(const struct csv *csv, const struct row *row)
{
    return row->raw.size + (csv->at - csv->raw_from);
}

/* Copies the stretch of bytes that need no thought to row->text: up to a stop character or the buffer's end. */
static void copy_plain(struct csv *csv, struct row *row, bool quoted)
{
    size_t from = csv->at;
    const char *buffer = csv->bytes;
    if (quoted) {
        while (csv->at < csv->filled && buffer[csv->at] != '"') {
            csv->line += buffer[csv->at] == '\n';
            csv->at++;
        }
    } else {
        while (csv->at < csv->filled && buffer[csv->at] != csv->delimiter && buffer[csv->at] != '\n' && buffer[csv->at] != '\r') {
            csv->at++;
        }
    }
    out_bytes(&row->text, buffer + from, csv->at - from);
}

/* After a field's last byte: a delimiter, a line end or the end of the file is passed. Anything else: FIELD_BAD, not passed. */
static enum field_end field_end(struct csv *csv, struct row *row, bool *ret_lone_cr, struct failure *failure)
{
    *ret_lone_cr = false;
    int byte = peek(csv, row, failure);
    if (byte == READ_FAILED) {
        return FIELD_FAILED;
    }
    if (byte == END_OF_FILE) {
        return FIELD_LAST;
    }
    if (byte == csv->delimiter) {
        pass(csv);
        return FIELD_NEXT;
    }
    if (byte == '\r') {
        pass(csv);
        byte = peek(csv, row, failure);
        if (byte == READ_FAILED) {
            return FIELD_FAILED;
        }
        *ret_lone_cr = byte != '\n' && byte != END_OF_FILE;
    }
    if (byte == '\n') {
        pass(csv);
        return FIELD_LAST;
    }
    return byte == END_OF_FILE ? FIELD_LAST : FIELD_BAD;
}

static bool too_large(const struct csv *csv, const struct row *row, size_t text_from, size_t field, struct failure *failure)
{
    if (row->text.size - text_from > IMPORT_FIELD_BYTES_MAX) {
        (void)failure_set(failure, TRUC_BAD_ROW, "field %zu is larger than %d bytes: is a closing quote missing?", field + 1,
                          IMPORT_FIELD_BYTES_MAX);
        return true;
    }
    if (row_size(csv, row) > IMPORT_ROW_BYTES_MAX) {
        (void)failure_set(failure, TRUC_BAD_ROW, "the row is larger than %d bytes", IMPORT_ROW_BYTES_MAX);
        return true;
    }
    return false;
}

static enum field_end quoted_field(struct csv *csv, struct row *row, size_t field, struct failure *failure)
{
    size_t text_from = row->text.size;
    csv->unclosed_line = csv->line;
    csv->unclosed_at = row_size(csv, row);
    pass(csv); /* the opening quote */
    for (;;) {
        int byte = peek(csv, row, failure);
        if (byte == READ_FAILED) {
            return FIELD_FAILED;
        }
        if (byte == END_OF_FILE) {
            csv->unclosed = true;
            (void)failure_set(failure, TRUC_BAD_ROW, "field %zu: the quote that opens in line %llu never closes", field + 1,
                              (unsigned long long)csv->unclosed_line);
            return FIELD_BAD;
        }
        if (byte == '"') {
            pass(csv);
            byte = peek(csv, row, failure);
            if (byte == READ_FAILED) {
                return FIELD_FAILED;
            }
            if (byte != '"') {
                break;
            }
            out_bytes(&row->text, "\"", 1);
            pass(csv);
            continue;
        }
        copy_plain(csv, row, true);
        if (too_large(csv, row, text_from, field, failure)) {
            csv->unclosed = true;
            return FIELD_BAD;
        }
    }
    bool lone_cr;
    enum field_end end = field_end(csv, row, &lone_cr, failure);
    if (end == FIELD_BAD) {
        (void)failure_set(failure, TRUC_BAD_ROW, "field %zu: text follows the closing quote", field + 1);
    }
    return end;
}

static enum field_end plain_field(struct csv *csv, struct row *row, size_t field, struct failure *failure)
{
    size_t text_from = row->text.size;
    for (;;) {
        copy_plain(csv, row, false);
        if (too_large(csv, row, text_from, field, failure)) {
            return FIELD_BAD;
        }
        bool lone_cr;
        enum field_end end = field_end(csv, row, &lone_cr, failure);
        if (end != FIELD_BAD) {
            return end;
        }
        if (lone_cr) { /* not a line end: part of the value */
            out_bytes(&row->text, "\r", 1);
        }
    }
}

static enum field_end one_field(struct csv *csv, struct row *row, size_t field, struct failure *failure)
{
    int byte = peek(csv, row, failure);
    if (byte == READ_FAILED) {
        return FIELD_FAILED;
    }
    return byte == '"' ? quoted_field(csv, row, field, failure) : plain_field(csv, row, field, failure);
}

/* Passes the rest of the line, whatever it holds, up to the largest row. Returns false when there is still more. */
static bool pass_line(struct csv *csv, struct row *row, struct failure *failure)
{
    for (;;) {
        int byte = peek(csv, row, failure);
        if (byte < 0) {
            return true;
        }
        const char *end = memchr(csv->bytes + csv->at, '\n', csv->filled - csv->at);
        if (end != NULL) {
            csv->at = (size_t)(end - csv->bytes);
            pass(csv);
            return true;
        }
        csv->at = csv->filled;
        if (row_size(csv, row) > IMPORT_ROW_BYTES_MAX) {
            return false;
        }
    }
}

/* Skips line ends that stand alone. Returns the byte at hand as peek does. */
static int pass_blank(struct csv *csv, struct row *row, struct failure *failure)
{
    int byte = peek(csv, row, failure);
    while (byte == '\n' || byte == '\r') {
        pass(csv);
        byte = peek(csv, row, failure);
    }
    csv->raw_from = csv->at;
    row->raw.size = 0;
    return byte;
}

/* Whether a value may stand in a record: UTF-8 without zero bytes. */
static bool value_fits(const struct csv *csv, struct bytes value, size_t field, struct failure *failure)
{
    if (utf8_valid(value) && (value.size == 0 || memchr(value.data, 0, value.size) == NULL)) {
        return true;
    }
    struct bytes name = columns_name(csv->columns, csv->column_of[field]);
    (void)failure_set(failure, TRUC_BAD_ROW, "column %s: %s", quote(name).text,
                      utf8_valid(value) ? "a zero byte" : "not UTF-8 (convert the file, for example with iconv)");
    return false;
}

/* Goes back to the line behind the one where the unclosed quote stands; row->raw is cut there. False when that line is all there
 * is, or when out of memory. */
static bool rewind_quote(struct csv *csv, struct row *row)
{
    keep_raw(csv, row);
    if (row->raw.status != TRUC_OK) {
        return false;
    }
    const char *end = memchr(row->raw.data + csv->unclosed_at, '\n', row->raw.size - csv->unclosed_at);
    if (end == NULL) {
        return false;
    }
    size_t kept = (size_t)(end + 1 - row->raw.data), behind = row->raw.size - kept, unread = csv->filled - csv->at;
    char *again = malloc(behind + unread + 1);
    if (again == NULL) {
        return false;
    }
    memcpy(again, row->raw.data + kept, behind);
    memcpy(again + behind, csv->bytes + csv->at, unread);
    free(csv->again);
    csv->bytes = csv->again = again;
    csv->at = csv->raw_from = 0;
    csv->filled = behind + unread;
    csv->line = csv->unclosed_line + 1;
    row->raw.size = kept;
    return true;
}

static enum row_kind bad_row(struct csv *csv, struct row *row, struct failure *failure)
{
    bool rewound = csv->unclosed && rewind_quote(csv, row);
    csv->unclosed = false;
    if (!rewound) {
        struct failure ignored; /* of reading on: it comes again with the next row */
        csv->resting = !pass_line(csv, row, &ignored);
        keep_raw(csv, row);
    }
    if (row->raw.status != TRUC_OK) {
        (void)failure_set(failure, row->raw.status, "while reading a row");
        return ROW_FAILED;
    }
    return ROW_BAD;
}

/* Reads the fields of a row that is known to begin here. */
static enum row_kind read_fields(struct csv *csv, struct row *row, struct failure *failure)
{
    enum field_end end = FIELD_NEXT;
    size_t field = 0;
    bool bad = false;
    for (; end == FIELD_NEXT; field++) {
        size_t from = row->text.size;
        end = one_field(csv, row, field, failure);
        if (end == FIELD_FAILED) {
            return ROW_FAILED;
        }
        if (end == FIELD_BAD) {
            return bad_row(csv, row, failure);
        }
        if (row->text.status != TRUC_OK) {
            (void)failure_set(failure, row->text.status, "while reading a row");
            return ROW_FAILED;
        }
        if (field >= csv->width) {
            row->text.size = from; /* counted, not kept */
            continue;
        }
        bool twice;
        if (row_add_here(row, csv->column_of[field], from, &twice) != TRUC_OK) {
            (void)failure_set(failure, TRUC_NO_MEMORY, "while reading a row");
            return ROW_FAILED;
        }
        bad = bad || !value_fits(csv, row_field_value(row, field), field, failure);
    }
    keep_raw(csv, row);
    if (row->raw.status != TRUC_OK) {
        (void)failure_set(failure, row->raw.status, "while reading a row");
        return ROW_FAILED;
    }
    if (!bad && field != csv->width) {
        (void)failure_set(failure, TRUC_BAD_ROW, "%zu fields where %zu belong", field, csv->width);
        bad = true;
    }
    return bad ? ROW_BAD : ROW_GOOD;
}

static enum row_kind csv_next(struct rows *rows, struct row *row, struct failure *failure)
{
    struct csv *csv = (struct csv *)rows;
    if (csv->resting) {
        csv->resting = !pass_line(csv, row, failure);
        keep_raw(csv, row);
        return ROW_REST;
    }
    int byte = pass_blank(csv, row, failure);
    if (byte < 0) {
        return byte == END_OF_FILE ? ROW_END : ROW_FAILED;
    }
    row->line = csv->line;
    row->number = ++csv->number;
    return read_fields(csv, row, failure);
}

static void csv_close(struct rows *rows)
{
    struct csv *csv = (struct csv *)rows;
    source_close(rows->source);
    free(csv->column_of);
    free(csv->again);
    out_fini(&csv->heading);
    free(csv);
}

static struct bytes csv_heading(const struct rows *rows)
{
    const struct csv *csv = (const struct csv *)rows;
    return bytes_of(csv->heading.data, csv->heading.size);
}

static const struct rows_reader csv_reader = {csv_next, csv_close, csv_heading};

/* The delimiter of which the first line holds most, outside quotes; a comma when it holds none. */
static char find_delimiter(struct bytes head)
{
    static const char candidates[] = {',', ';', '\t'};
    size_t counts[sizeof candidates] = {0};
    bool quoted = false;
    for (size_t i = 0; i < head.size && (quoted || head.data[i] != '\n'); i++) {
        quoted ^= head.data[i] == '"';
        for (size_t c = 0; !quoted && c < sizeof candidates; c++) {
            counts[c] += head.data[i] == (uint8_t)candidates[c];
        }
    }
    size_t best = 0;
    for (size_t c = 1; c < sizeof candidates; c++) {
        best = counts[c] > counts[best] ? c : best;
    }
    return candidates[best];
}

/* Gives the next field a column. A name that stands twice is an error: templates could not tell which is meant. */
static truc_status name_field(struct csv *csv, struct bytes name, struct failure *failure)
{
    uint32_t column;
    truc_status status = columns_number(csv->columns, name, true, &column, failure);
    if (status != TRUC_OK) {
        return status;
    }
    for (size_t i = 0; i < csv->width; i++) {
        if (csv->column_of[i] == column) {
            return failure_set(failure, TRUC_BAD_ROW, "line 1: columns %zu and %zu are both named %s", i + 1, csv->width + 1,
                               quote(name).text);
        }
    }
    if (csv->width == IMPORT_COLUMNS_MAX) {
        return failure_set(failure, TRUC_TOO_MANY, "line 1: more than %d columns", IMPORT_COLUMNS_MAX);
    }
    if ((csv->width & (csv->width - 1)) == 0) { /* grows at powers of two */
        size_t capacity = csv->width == 0 ? 1 : csv->width * 2;
        uint32_t *column_of = realloc(csv->column_of, capacity * sizeof *column_of);
        if (column_of == NULL) {
            return failure_set(failure, TRUC_NO_MEMORY, "while reading the header");
        }
        csv->column_of = column_of;
    }
    csv->column_of[csv->width++] = column;
    return TRUC_OK;
}

static truc_status read_header(struct csv *csv, struct row *row, struct failure *failure)
{
    enum field_end end = FIELD_NEXT;
    int byte = pass_blank(csv, row, failure);
    if (byte < 0) {
        return byte == READ_FAILED ? failure->status
                                   : failure_set(failure, TRUC_BAD_ROW, "the file is empty: its first line must name the columns");
    }
    while (end == FIELD_NEXT) {
        size_t from = row->text.size;
        end = one_field(csv, row, csv->width, failure);
        if (end == FIELD_FAILED) {
            return failure->status;
        }
        if (end == FIELD_BAD) {
            char why[FAILURE_BYTES];
            memcpy(why, failure->why, sizeof why);
            return failure_set(failure, TRUC_BAD_ROW, "line 1, which names the columns: %.600s", why);
        }
        struct bytes name = row->text.size > from ? bytes_of(row->text.data + from, row->text.size - from) : bytes_of("", 0);
        char generic[32];
        if (name.size == 0) {
            name = bytes_of(generic, (size_t)snprintf(generic, sizeof generic, "column_%zu", csv->width + 1));
        }
        if (!utf8_valid(name) || memchr(name.data, 0, name.size) != NULL) {
            return failure_set(failure, TRUC_BAD_ROW, "line 1: the name of column %zu is not UTF-8", csv->width + 1);
        }
        truc_status status = name_field(csv, name, failure);
        if (status != TRUC_OK) {
            return status;
        }
    }
    keep_raw(csv, row);
    out_bytes(&csv->heading, row->raw.data, row->raw.size);
    if (row->raw.status != TRUC_OK || row->text.status != TRUC_OK || csv->heading.status != TRUC_OK) {
        return failure_set(failure, TRUC_NO_MEMORY, "while reading the header");
    }
    return TRUC_OK;
}

/* A reader before its first byte: byte order mark passed, delimiter known. */
static truc_status csv_create(struct source *take_source, char delimiter, struct columns *columns, struct csv **ret_csv,
                              struct failure *failure)
{
    struct csv *csv = calloc(1, sizeof *csv);
    if (csv == NULL) {
        source_close(take_source);
        return failure_set(failure, TRUC_NO_MEMORY, "while opening a CSV file");
    }
    csv->rows = (struct rows){&csv_reader, take_source};
    csv->columns = columns;
    csv->bytes = csv->chunk;
    csv->line = 1;
    out_init(&csv->heading, -1);
    struct bytes head;
    truc_status status = source_peek(take_source, &head, failure);
    if (status == TRUC_OK && head.size >= 2 && (memcmp(head.data, "\xff\xfe", 2) == 0 || memcmp(head.data, "\xfe\xff", 2) == 0)) {
        status = failure_set(failure, TRUC_BAD_ROW, "the file is UTF-16: convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)");
    }
    if (status == TRUC_OK && head.size >= 3 && memcmp(head.data, "\xef\xbb\xbf", 3) == 0) {
        char mark[3];
        size_t size;
        status = source_read(take_source, mark, sizeof mark, &size, failure);
        head = bytes_of(head.data + 3, head.size - 3);
    }
    if (status != TRUC_OK) {
        csv_close(&csv->rows);
        return status;
    }
    csv->delimiter = delimiter != 0 ? delimiter : find_delimiter(head);
    *ret_csv = csv;
    return TRUC_OK;
}

truc_status csv_open(struct source *take_source, char delimiter, struct columns *columns, struct rows **ret_rows,
                     struct failure *failure)
{
    struct csv *csv;
    truc_status status = csv_create(take_source, delimiter, columns, &csv, failure);
    if (status != TRUC_OK) {
        return status;
    }
    struct row row;
    row_init(&row);
    status = read_header(csv, &row, failure);
    row_fini(&row);
    if (status != TRUC_OK) {
        csv_close(&csv->rows);
        return status;
    }
    *ret_rows = &csv->rows;
    return TRUC_OK;
}

truc_status csv_open_bare(struct source *take_source, size_t width, struct columns *columns, struct rows **ret_rows,
                          struct failure *failure)
{
    struct csv *csv;
    truc_status status = csv_create(take_source, 0, columns, &csv, failure);
    if (status != TRUC_OK) {
        return status;
    }
    for (size_t i = 0; i < width && status == TRUC_OK; i++) {
        char name[32];
        status = name_field(csv, bytes_of(name, (size_t)snprintf(name, sizeof name, "%zu", i + 1)), failure);
    }
    if (status != TRUC_OK) {
        csv_close(&csv->rows);
        return status;
    }
    *ret_rows = &csv->rows;
    return TRUC_OK;
}
