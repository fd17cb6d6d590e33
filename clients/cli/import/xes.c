#include "clients/cli/import/xes.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>

/* What an open element is. */
enum element {
    ELEMENT_LOG,
    ELEMENT_TRACE,
    ELEMENT_EVENT,
    ELEMENT_GLOBAL,
    ELEMENT_ATTRIBUTE, /* string, date, int, float, boolean, id: children are nested under its path */
    ELEMENT_CONTAINER, /* likewise, but without a value of its own */
    ELEMENT_LIST,      /* children are its items */
    ELEMENT_VALUES     /* of a list: likewise */
};

struct open_element {
    enum element element;
    size_t path_size;    /* of the column's name so far */
    unsigned item_count; /* of a list */
};

enum { STACK_MAX = IMPORT_DEPTH_MAX + 4 };

/* The window holds the file's bytes from the event that is being read on, so that a rejected event can be given back as it came. */
struct xes {
    struct rows rows;
    struct columns *columns;
    XML_Parser parser;
    struct open_element stack[STACK_MAX];
    size_t depth;
    unsigned skipping;    /* depth within an element that is passed over */
    char name_space[256]; /* of the root, with its separator; "" when it has none */
    char path[IMPORT_COLUMN_BYTES_MAX + 1];
    struct row trace;                    /* attributes of the trace at hand */
    struct failure trace_bad, event_bad; /* TRUC_OK: nothing wrong */
    bool trace_has_events;
    struct row *row; /* of the call under way */
    bool row_ready;
    uint64_t number;
    struct failure fatal; /* raised in a handler; stops the parser */
    struct out window;
    uint64_t window_at, fed, handled, event_at; /* offsets in the file */
    bool in_event, suspended, finished;
};

enum { TOKEN_BYTES_MAX = IMPORT_ROW_BYTES_MAX };

static void stop_with(struct xes *xes, truc_status status, const char *what)
{
    if (xes->fatal.status == TRUC_OK) {
        (void)failure_set(&xes->fatal, status, "line %llu: %s", (unsigned long long)XML_GetCurrentLineNumber(xes->parser), what);
    }
    (void)XML_StopParser(xes->parser, XML_FALSE);
}

/* Each handler says so first: everything before is done with. */
static void note_progress(struct xes *xes)
{
    xes->handled = (uint64_t)XML_GetCurrentByteIndex(xes->parser) + (uint64_t)XML_GetCurrentByteCount(xes->parser);
}

static const char *attribute_named(const XML_Char **attributes, const char *name)
{
    for (size_t i = 0; attributes[i] != NULL; i += 2) {
        if (strcmp(attributes[i], name) == 0) {
            return attributes[i + 1];
        }
    }
    return NULL;
}

static bool find_attribute_element(const char *local, enum element *ret_element)
{
    static const struct {
        const char *local;
        enum element element;
    } attributes[] = {{"string", ELEMENT_ATTRIBUTE},    {"date", ELEMENT_ATTRIBUTE},    {"int", ELEMENT_ATTRIBUTE},
                      {"float", ELEMENT_ATTRIBUTE},     {"boolean", ELEMENT_ATTRIBUTE}, {"id", ELEMENT_ATTRIBUTE},
                      {"container", ELEMENT_CONTAINER}, {"list", ELEMENT_LIST}};
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        if (strcmp(local, attributes[i].local) == 0) {
            *ret_element = attributes[i].element;
            return true;
        }
    }
    return false;
}

/* Where faults of the attributes that are being read belong: to the event, or to all events of the trace. */
static struct failure *current_bad(struct xes *xes)
{
    return xes->in_event ? &xes->event_bad : &xes->trace_bad;
}

static void set_bad(struct xes *xes, const char *what, const char *about)
{
    struct failure *bad = current_bad(xes);
    if (bad->status == TRUC_OK) {
        (void)failure_set(bad, TRUC_BAD_ROW, "%s%s", what, about);
    }
}

static bool scope_is_trace(const XML_Char **attributes)
{
    const char *scope = attribute_named(attributes, "scope");
    return scope != NULL && strcmp(scope, "trace") == 0;
}

/* Writes the column's name of an attribute behind its parent's path. Returns its size, 0 when it is too long. */
static size_t extend_path(struct xes *xes, struct open_element *parent, const char *key)
{
    size_t at = parent->path_size, room = sizeof xes->path - at;
    int added;
    if (parent->element == ELEMENT_LIST || parent->element == ELEMENT_VALUES) {
        unsigned item = parent->item_count++;
        added = *key == '\0' ? snprintf(xes->path + at, room, "/%u", item) : snprintf(xes->path + at, room, "/%u:%s", item, key);
    } else if (parent->element == ELEMENT_ATTRIBUTE || parent->element == ELEMENT_CONTAINER) {
        added = snprintf(xes->path + at, room, "/%s", key);
    } else {
        added = snprintf(xes->path + at, room, "%s", key);
    }
    return added < 0 || (size_t)added >= room ? 0 : at + (size_t)added;
}

static void keep_value(struct xes *xes, size_t path_size, const char *value)
{
    struct row *row = xes->in_event ? xes->row : &xes->trace;
    if (row->text.size + strlen(value) > IMPORT_ROW_BYTES_MAX || strlen(value) > IMPORT_FIELD_BYTES_MAX) {
        set_bad(xes, "larger than allowed: attribute ", quote(bytes_of(xes->path, path_size)).text);
        return;
    }
    uint32_t column;
    bool twice;
    truc_status status = columns_number(xes->columns, bytes_of(xes->path, path_size), true, &column, &xes->fatal);
    if (status == TRUC_OK) {
        status = row_add(row, column, bytes_of_text(value), &twice);
    }
    if (status != TRUC_OK) {
        stop_with(xes, status, "out of memory");
    } else if (twice) {
        set_bad(xes, "given twice: attribute ", quote(bytes_of(xes->path, path_size)).text);
    }
}

/* An element that is an attribute, under anything that may hold one. */
static void open_attribute(struct xes *xes, struct open_element *parent, enum element element, const XML_Char **attributes)
{
    const char *key = attribute_named(attributes, "key");
    const char *value = attribute_named(attributes, "value");
    bool in_list = parent->element == ELEMENT_LIST || parent->element == ELEMENT_VALUES;
    bool within_global = xes->depth > 1 && xes->stack[1].element == ELEMENT_GLOBAL;
    if (key == NULL || (*key == '\0' && !in_list)) {
        if (!in_list) {
            set_bad(xes, "an attribute has no key", "");
        }
        key = "";
    }
    size_t path_size = extend_path(xes, parent, key);
    if (path_size == 0) {
        set_bad(xes, "the name of an attribute is empty or too long", "");
        xes->skipping = 1;
        return;
    }
    if (xes->depth == STACK_MAX) {
        set_bad(xes, "attributes are nested too deeply", "");
        xes->skipping = 1;
        return;
    }
    xes->stack[xes->depth++] = (struct open_element){element, path_size, 0};
    if (within_global) {
        uint32_t column;
        truc_status status = columns_number(xes->columns, bytes_of(xes->path, path_size), true, &column, &xes->fatal);
        if (status != TRUC_OK) {
            stop_with(xes, status, "out of memory");
        }
    } else if (value != NULL) {
        keep_value(xes, path_size, value);
    } else if (element == ELEMENT_ATTRIBUTE) {
        set_bad(xes, "without a value: attribute ", quote(bytes_of(xes->path, path_size)).text);
    }
}

static void open_event(struct xes *xes, bool in_trace)
{
    xes->in_event = true;
    xes->event_at = (uint64_t)XML_GetCurrentByteIndex(xes->parser);
    xes->event_bad = (struct failure){.status = TRUC_OK};
    struct row *row = xes->row;
    row->number = ++xes->number;
    row->line = XML_GetCurrentLineNumber(xes->parser);
    xes->stack[xes->depth++] = (struct open_element){ELEMENT_EVENT, 0, 0};
    if (!in_trace) {
        xes->trace_bad = (struct failure){.status = TRUC_OK};
        return;
    }
    xes->trace_has_events = true;
    bool twice;
    uint32_t column;
    truc_status status = row_add_all(row, &xes->trace, &twice, &column);
    if (status != TRUC_OK) {
        stop_with(xes, status, "out of memory");
    }
}

/* An element under the log itself. */
static bool open_top(struct xes *xes, const char *local, const XML_Char **attributes)
{
    if (strcmp(local, "trace") == 0) {
        row_clear(&xes->trace);
        xes->trace_bad = (struct failure){.status = TRUC_OK};
        xes->trace_has_events = false;
        memcpy(xes->path, "case:", 5);
        xes->stack[xes->depth++] = (struct open_element){ELEMENT_TRACE, 5, 0};
        return true;
    }
    if (strcmp(local, "event") == 0) {
        open_event(xes, false);
        return true;
    }
    if (strcmp(local, "global") == 0) {
        size_t path_size = scope_is_trace(attributes) ? 5 : 0;
        memcpy(xes->path, "case:", 5);
        xes->stack[xes->depth++] = (struct open_element){ELEMENT_GLOBAL, path_size, 0};
        return true;
    }
    return false;
}

static void open_root(struct xes *xes, const char *name, const char *local)
{
    size_t size = (size_t)(local - name);
    if (strcmp(local, "log") != 0 || size >= sizeof xes->name_space) {
        stop_with(xes, TRUC_BAD_ROW, "not an XES file: its outermost element is not <log>");
        return;
    }
    memcpy(xes->name_space, name, size);
    xes->name_space[size] = '\0';
    xes->stack[xes->depth++] = (struct open_element){ELEMENT_LOG, 0, 0};
}

static void XMLCALL on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct xes *xes = context;
    note_progress(xes);
    if (xes->skipping > 0) {
        xes->skipping++;
        return;
    }
    const char *separator = strrchr(name, '\n');
    const char *local = separator == NULL ? name : separator + 1;
    if (xes->depth == 0) {
        open_root(xes, name, local);
        return;
    }
    struct open_element *parent = &xes->stack[xes->depth - 1];
    size_t name_space_size = (size_t)(local - name);
    bool known = strlen(xes->name_space) == name_space_size && memcmp(xes->name_space, name, name_space_size) == 0;
    enum element element;
    if (!known) {
        xes->skipping = 1;
    } else if (parent->element == ELEMENT_LOG) {
        xes->skipping = open_top(xes, local, attributes) ? 0 : 1;
    } else if (parent->element == ELEMENT_TRACE && strcmp(local, "event") == 0) {
        open_event(xes, true);
    } else if (find_attribute_element(local, &element)) {
        if (parent->element == ELEMENT_TRACE && xes->trace_has_events) {
            stop_with(xes, TRUC_BAD_ROW, "an attribute of the trace stands behind its first event");
            return;
        }
        open_attribute(xes, parent, element, attributes);
    } else if (parent->element == ELEMENT_LIST && strcmp(local, "values") == 0 && xes->depth < STACK_MAX) {
        xes->stack[xes->depth++] = (struct open_element){ELEMENT_VALUES, parent->path_size, parent->item_count};
    } else {
        xes->skipping = 1;
    }
}

static void XMLCALL on_end(void *context, const XML_Char *name)
{
    struct xes *xes = context;
    (void)name;
    note_progress(xes);
    if (xes->skipping > 0) {
        xes->skipping--;
        return;
    }
    if (xes->depth == 0) {
        return; /* only after stop_with: the parser may still report what it has */
    }
    struct open_element closed = xes->stack[--xes->depth];
    if (closed.element == ELEMENT_VALUES) {
        xes->stack[xes->depth - 1].item_count = closed.item_count;
    } else if (closed.element == ELEMENT_EVENT) {
        xes->in_event = false;
        xes->row_ready = true;
        (void)XML_StopParser(xes->parser, XML_TRUE);
    }
}

static void XMLCALL on_text(void *context, const XML_Char *text, int size)
{
    (void)text;
    (void)size;
    note_progress(context);
}

static void XMLCALL on_entity(void *context, const XML_Char *name, int is_parameter, const XML_Char *value, int value_size,
                              const XML_Char *base, const XML_Char *system, const XML_Char *public, const XML_Char *notation)
{
    (void)name, (void)is_parameter, (void)value, (void)value_size, (void)base, (void)system, (void)public, (void)notation;
    stop_with(context, TRUC_BAD_ROW, "the file declares XML entities, which are refused: they can unfold without bound");
}

static void XMLCALL on_skipped_entity(void *context, const XML_Char *name, int is_parameter)
{
    (void)name, (void)is_parameter;
    stop_with(context, TRUC_BAD_ROW, "the file uses an XML entity that it does not define");
}

/* The file's bytes of the event that just ended go to row->raw. */
static void keep_raw(struct xes *xes, struct row *row)
{
    size_t from = (size_t)(xes->event_at - xes->window_at), to = (size_t)(xes->handled - xes->window_at);
    out_bytes(&row->raw, xes->window.data + from, to - from);
    out_bytes(&row->raw, "\n", 1);
}

static enum row_kind finish_row(struct xes *xes, struct row *row, struct failure *failure)
{
    xes->row_ready = false;
    keep_raw(xes, row);
    if (row->raw.status != TRUC_OK || row->text.status != TRUC_OK) {
        (void)failure_set(failure, TRUC_NO_MEMORY, "while reading an event");
        return ROW_FAILED;
    }
    if (xes->event_bad.status != TRUC_OK || xes->trace_bad.status != TRUC_OK) {
        *failure = xes->event_bad.status != TRUC_OK ? xes->event_bad : xes->trace_bad;
        return ROW_BAD;
    }
    return ROW_GOOD;
}

/* Drops what the window no longer needs: the bytes before the event at hand, or before what has been handled. */
static void trim_window(struct xes *xes)
{
    uint64_t keep = xes->in_event ? xes->event_at : xes->handled;
    size_t drop = keep > xes->window_at ? (size_t)(keep - xes->window_at) : 0;
    if (drop > 0 && drop <= xes->window.size) {
        memmove(xes->window.data, xes->window.data + drop, xes->window.size - drop);
        xes->window.size -= drop;
        xes->window_at += drop;
    }
}

/* Reads the next bytes of the file into the parser. */
static enum XML_Status feed(struct xes *xes, struct failure *failure, bool *ret_failed)
{
    *ret_failed = true;
    trim_window(xes);
    if (xes->fed - xes->handled > TOKEN_BYTES_MAX || xes->window.size > 2 * (size_t)IMPORT_ROW_BYTES_MAX) {
        (void)failure_set(failure, TRUC_BAD_ROW, "line %llu: an element is larger than %d bytes",
                          (unsigned long long)XML_GetCurrentLineNumber(xes->parser), TOKEN_BYTES_MAX);
        return XML_STATUS_ERROR;
    }
    void *buffer = XML_GetBuffer(xes->parser, IMPORT_CHUNK_BYTES);
    if (buffer == NULL) {
        (void)failure_set(failure, TRUC_NO_MEMORY, "while reading XML");
        return XML_STATUS_ERROR;
    }
    size_t size;
    if (source_read(xes->rows.source, buffer, IMPORT_CHUNK_BYTES, &size, failure) != TRUC_OK) {
        return XML_STATUS_ERROR;
    }
    out_bytes(&xes->window, buffer, size);
    if (xes->window.status != TRUC_OK) {
        (void)failure_set(failure, TRUC_NO_MEMORY, "while reading XML");
        return XML_STATUS_ERROR;
    }
    xes->fed += size;
    xes->finished = size == 0;
    *ret_failed = false;
    return XML_ParseBuffer(xes->parser, (int)size, size == 0);
}

static enum row_kind xes_next(struct rows *rows, struct row *row, struct failure *failure)
{
    struct xes *xes = (struct xes *)rows;
    xes->row = row;
    for (;;) {
        enum XML_Status status;
        bool failed = false;
        if (xes->suspended) {
            xes->suspended = false;
            status = XML_ResumeParser(xes->parser);
        } else if (xes->finished) {
            return ROW_END;
        } else {
            status = feed(xes, failure, &failed);
        }
        if (failed) {
            return ROW_FAILED;
        }
        if (xes->fatal.status != TRUC_OK) {
            *failure = xes->fatal;
            return ROW_FAILED;
        }
        if (status == XML_STATUS_ERROR) {
            (void)failure_set(failure, TRUC_BAD_ROW, "line %llu, column %llu: not well-formed XML: %s",
                              (unsigned long long)XML_GetCurrentLineNumber(xes->parser),
                              (unsigned long long)XML_GetCurrentColumnNumber(xes->parser) + 1,
                              XML_ErrorString(XML_GetErrorCode(xes->parser)));
            return ROW_FAILED;
        }
        xes->suspended = status == XML_STATUS_SUSPENDED;
        if (xes->row_ready) {
            return finish_row(xes, row, failure);
        }
    }
}

static void xes_close(struct rows *rows)
{
    struct xes *xes = (struct xes *)rows;
    source_close(rows->source);
    if (xes->parser != NULL) {
        XML_ParserFree(xes->parser);
    }
    row_fini(&xes->trace);
    out_fini(&xes->window);
    free(xes);
}

static const struct rows_reader xes_reader = {xes_next, xes_close, NULL};

truc_status xes_open(struct source *take_source, struct columns *columns, struct rows **ret_rows, struct failure *failure)
{
    struct xes *xes = calloc(1, sizeof *xes);
    if (xes == NULL) {
        source_close(take_source);
        return failure_set(failure, TRUC_NO_MEMORY, "while opening an XES file");
    }
    xes->rows = (struct rows){&xes_reader, take_source};
    xes->columns = columns;
    row_init(&xes->trace);
    out_init(&xes->window, -1);
    xes->parser = XML_ParserCreateNS(NULL, '\n');
    if (xes->parser == NULL) {
        xes_close(&xes->rows);
        return failure_set(failure, TRUC_NO_MEMORY, "while opening an XES file");
    }
    XML_SetUserData(xes->parser, xes);
    XML_SetElementHandler(xes->parser, on_start, on_end);
    XML_SetCharacterDataHandler(xes->parser, on_text);
    XML_SetDefaultHandler(xes->parser, on_text);
    XML_SetEntityDeclHandler(xes->parser, on_entity);
    XML_SetSkippedEntityHandler(xes->parser, on_skipped_entity);
    *ret_rows = &xes->rows;
    return TRUC_OK;
}
