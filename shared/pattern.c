/*
 * Why not regcomp(): it runs in workers of nginx, on what somebody posts, and
 * glibc takes gigabytes for a dozen + within each other and seconds for thirty
 * * in a group; PCRE goes back. Here a pattern is a list of ops (Thompson's
 * construction): all states that a text may be in are followed at once, so
 * that no pattern of 255 bytes is costly. Jumps are relative, and a part is
 * moved as a whole when something must stand in front of it.
 */
#include "pattern.h"

#include "json.h"

enum kind { CHAR, ANY, SET, BEGIN, END, SPLIT, JUMP, MATCH };

#define NOTHING (-1)
#define RAW 0x110000 /* a byte that is no UTF-8 */

/* A group that is open, or all. */
struct frame {
    int start;  /* its first op */
    int branch; /* the first op of the alternative being read */
    int jumps;  /* the last jump to its end, which names the one before */
};

struct reader {
    struct tocsin_pattern *pattern;
    struct tocsin_span rest;
    struct frame frames[TOCSIN_PATTERN_DEPTH + 1];
    unsigned depth;
    int atom; /* first op of what a repetition repeats, or NOTHING */
    const char *error;
};

static void fail(struct reader *reader, const char *error)
{
    if (reader->error == NULL) {
        reader->error = error;
    }
    reader->rest.len = 0;
}

static uint32_t take_code(struct tocsin_span *rest)
{
    const unsigned char *at = (const unsigned char *)rest->data;
    size_t i, len = tocsin_utf8_length(rest->data, rest->len);
    uint32_t code;

    if (len <= 1) {
        code = len == 0 ? RAW + at[0] : at[0];
        len = 1;
    } else {
        code = at[0] & (0x7fu >> len);
        for (i = 1; i < len; i++) {
            code = code << 6 | (at[i] & 0x3f);
        }
    }
    *rest = tocsin_span_of(rest->data + len, rest->len - len);
    return code;
}

static bool accept(struct tocsin_span *rest, struct tocsin_span text)
{
    if (rest->len < text.len || memcmp(rest->data, text.data, text.len) != 0) {
        return false;
    }
    *rest = tocsin_span_of(rest->data + text.len, rest->len - text.len);
    return true;
}

/* ------------------------------------------------------------------- ops */

static void insert(struct reader *reader, int at, enum kind kind, int arg)
{
    struct tocsin_pattern *pattern = reader->pattern;
    struct tocsin_pattern_op *op = &pattern->op[at];

    if (pattern->count + 1 >= TOCSIN_PATTERN_OPS) { /* leaves one to MATCH */
        fail(reader, "a pattern is too long");
        return;
    }
    memmove(op + 1, op, (pattern->count - (unsigned)at) * sizeof(*op));
    *op = (struct tocsin_pattern_op){.kind = (uint8_t)kind, .arg = arg};
    pattern->count++;
}

static int here(const struct reader *reader)
{
    return (int)reader->pattern->count;
}

static void append(struct reader *reader, enum kind kind, int arg)
{
    insert(reader, here(reader), kind, arg);
}

static void atom(struct reader *reader, enum kind kind, int arg)
{
    reader->atom = here(reader);
    append(reader, kind, arg);
}

/* ------------------------------------------------------------------ sets */

static void add_range(struct reader *reader, uint32_t low, uint32_t high)
{
    struct tocsin_pattern *pattern = reader->pattern;

    if (low > high) {
        fail(reader, "a range in [] ends before it begins");
    } else if (pattern->ranges == TOCSIN_PATTERN_RANGES) {
        fail(reader, "a pattern has too many ranges in []");
    } else {
        pattern->range[pattern->ranges].low = low;
        pattern->range[pattern->ranges++].high = high;
    }
}

/* Pairs of first and last. */
static void add_ranges(struct reader *reader, const char *pairs)
{
    for (; *pairs != '\0'; pairs += 2) {
        add_range(reader, (unsigned char)pairs[0], (unsigned char)pairs[1]);
    }
}

static const struct {
    struct tocsin_span name;
    const char *pairs;
} classes[] = {
    {{"[:alpha:]", 9}, "AZaz"},     {{"[:digit:]", 9}, "09"},
    {{"[:alnum:]", 9}, "09AZaz"},   {{"[:upper:]", 9}, "AZ"},
    {{"[:lower:]", 9}, "az"},       {{"[:space:]", 9}, "\t\r  "},
    {{"[:xdigit:]", 10}, "09AFaf"}, {{"[:punct:]", 9}, "!/:@[`{~"},
    {{"[:blank:]", 9}, "\t\t  "},   {{"[:word:]", 8}, "09AZ__az"},
};

/* Of the letter of an escape: d, w or s, great for all others. */
static const char *class_of(uint32_t letter)
{
    switch (letter | 0x20) {
    case 'd':
        return "09";
    case 'w':
        return "09AZ__az";
    case 's':
        return "\t\r  ";
    default:
        return NULL;
    }
}

/* A character behind a backslash; RAW where that means nothing. */
static uint32_t plain_escape(uint32_t code)
{
    static const char from[] = "nrtfv", to[] = "\n\r\t\f\v";
    const char *at;
    bool letter = (code | 0x20) >= 'a' && (code | 0x20) <= 'z';

    if (code == 0 || code >= 0x80 || (code >= '0' && code <= '9')) {
        return RAW;
    }
    at = strchr(from, (int)code);
    if (at != NULL) {
        return (unsigned char)to[at - from];
    }
    return letter ? RAW : code;
}

static uint32_t read_escape(struct reader *reader)
{
    uint32_t code =
        reader->rest.len == 0 ? RAW : plain_escape(take_code(&reader->rest));

    if (code == RAW) {
        fail(reader, "a pattern has a \\ before what it gives no meaning");
    }
    return code;
}

static bool read_class(struct reader *reader)
{
    size_t i;

    for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (accept(&reader->rest, classes[i].name)) {
            add_ranges(reader, classes[i].pairs);
            return true;
        }
    }
    if (reader->rest.len > 1 && reader->rest.data[0] == '\\' &&
        class_of((unsigned char)reader->rest.data[1]) != NULL) {
        if (reader->rest.data[1] < 'a') {
            fail(reader, "a pattern has \\D, \\W or \\S within []");
            return true;
        }
        add_ranges(reader, class_of((unsigned char)reader->rest.data[1]));
        accept(&reader->rest, tocsin_span_of(reader->rest.data, 2));
        return true;
    }
    return false;
}

static uint32_t read_member(struct reader *reader)
{
    return accept(&reader->rest, TOCSIN_SPAN("\\")) ? read_escape(reader)
                                                    : take_code(&reader->rest);
}

static void read_range(struct reader *reader)
{
    uint32_t low = read_member(reader), high = low;

    if (reader->rest.len > 1 && reader->rest.data[0] == '-' &&
        reader->rest.data[1] != ']') {
        accept(&reader->rest, TOCSIN_SPAN("-"));
        high = read_member(reader);
    }
    if (reader->error == NULL) {
        add_range(reader, low, high);
    }
}

/* Behind '['. A ']' that comes first stands for itself. */
static void read_set(struct reader *reader)
{
    struct tocsin_pattern *pattern = reader->pattern;
    unsigned first = pattern->ranges;
    bool negative = accept(&reader->rest, TOCSIN_SPAN("^"));
    bool begun = false, closed = false;

    while (reader->rest.len > 0 &&
           !(begun && (closed = accept(&reader->rest, TOCSIN_SPAN("]"))))) {
        if (!read_class(reader)) {
            read_range(reader);
        }
        begun = true;
    }
    if (!closed) {
        fail(reader, "a [ has no ]");
    }
    atom(reader, SET, (int)first);
    if (reader->error == NULL) {
        pattern->op[reader->atom].negative = negative;
        pattern->op[reader->atom].count = (uint16_t)(pattern->ranges - first);
    }
}

/* ------------------------------------------------- groups and repetitions */

static void open_group(struct reader *reader)
{
    if (accept(&reader->rest, TOCSIN_SPAN("?")) &&
        !accept(&reader->rest, TOCSIN_SPAN(":"))) {
        fail(reader, "a pattern has flags: only (?:...) is known");
        return;
    }
    if (reader->depth == TOCSIN_PATTERN_DEPTH) {
        fail(reader, "a pattern has too many groups within each other");
        return;
    }
    reader->frames[++reader->depth] =
        (struct frame){here(reader), here(reader), NOTHING};
    reader->atom = NOTHING;
}

static void close_group(struct reader *reader)
{
    struct frame *frame = &reader->frames[reader->depth];
    int jump = frame->jumps;

    while (jump != NOTHING) {
        int before = reader->pattern->op[jump].arg;

        reader->pattern->op[jump].arg = here(reader) - jump;
        jump = before;
    }
    reader->atom = frame->start;
}

static void next_branch(struct reader *reader)
{
    struct frame *frame = &reader->frames[reader->depth];

    insert(reader, frame->branch, SPLIT, here(reader) - frame->branch + 2);
    append(reader, JUMP, frame->jumps);
    frame->jumps = here(reader) - 1;
    frame->branch = here(reader);
    reader->atom = NOTHING;
}

static void repeat(struct reader *reader, uint32_t how)
{
    int start = reader->atom, len = here(reader) - start;

    if (start == NOTHING) {
        fail(reader, "a pattern repeats nothing, or a repetition");
        return;
    }
    if (how == '+') {
        append(reader, SPLIT, -len);
    } else if (how == '?') {
        insert(reader, start, SPLIT, len + 1);
    } else {
        insert(reader, start, SPLIT, len + 2);
        append(reader, JUMP, -(len + 1));
    }
    /* "few of them" makes no difference to a text that matches as a whole */
    accept(&reader->rest, TOCSIN_SPAN("?"));
    reader->atom = NOTHING;
}

static void read_backslash(struct reader *reader)
{
    uint32_t code = reader->rest.len == 0 ? 0 : (uint8_t)reader->rest.data[0];
    unsigned first = reader->pattern->ranges;

    if (class_of(code) == NULL) {
        atom(reader, CHAR, (int)read_escape(reader));
        return;
    }
    take_code(&reader->rest);
    add_ranges(reader, class_of(code));
    atom(reader, SET, (int)first);
    if (reader->error == NULL) {
        reader->pattern->op[reader->atom].negative = code < 'a';
        reader->pattern->op[reader->atom].count =
            (uint16_t)(reader->pattern->ranges - first);
    }
}

static void read_one(struct reader *reader)
{
    uint32_t code = take_code(&reader->rest);

    switch (code) {
    case '(':
        open_group(reader);
        return;
    case ')':
        if (reader->depth == 0) {
            fail(reader, "a pattern has a ) without a (");
            return;
        }
        close_group(reader);
        reader->depth--;
        return;
    case '|':
        next_branch(reader);
        return;
    case '*':
    case '+':
    case '?':
        repeat(reader, code);
        return;
    case '{':
        fail(reader, "a pattern repeats by number: use *, + or ?");
        return;
    case '[':
        read_set(reader);
        return;
    case '\\':
        read_backslash(reader);
        return;
    case '.':
        atom(reader, ANY, 0);
        return;
    case '^':
    case '$':
        append(reader, code == '^' ? BEGIN : END, 0);
        reader->atom = NOTHING;
        return;
    default:
        atom(reader, CHAR, (int)code);
    }
}

const char *tocsin_pattern_compile(struct tocsin_pattern *pattern,
                                   struct tocsin_span text)
{
    struct reader reader = {.pattern = pattern, .rest = text, .atom = NOTHING};

    pattern->count = pattern->ranges = 0;
    if (text.len > TOCSIN_PATTERN_MAX) {
        return "a pattern has more than 255 bytes";
    }
    reader.frames[0] = (struct frame){0, 0, NOTHING};
    while (reader.rest.len > 0) {
        read_one(&reader);
    }
    if (reader.error == NULL && reader.depth > 0) {
        return "a pattern has a ( without a )";
    }
    if (reader.error != NULL) {
        return reader.error;
    }
    close_group(&reader);
    pattern->op[pattern->count++] = (struct tocsin_pattern_op){.kind = MATCH};
    return NULL;
}

/* --------------------------------------------------------------- matching */

/* The states that a text may be in, and those it comes to next. */
struct machine {
    const struct tocsin_pattern *pattern;
    uint16_t now[TOCSIN_PATTERN_OPS], next[TOCSIN_PATTERN_OPS];
    uint16_t todo[TOCSIN_PATTERN_OPS];
    uint32_t marks[TOCSIN_PATTERN_OPS]; /* the step that put it into a list */
    unsigned now_count, next_count, todo_count;
    uint32_t step;
};

static void push(struct machine *machine, int op)
{
    if (machine->marks[op] != machine->step) {
        machine->marks[op] = machine->step;
        machine->todo[machine->todo_count++] = (uint16_t)op;
    }
}

/* Into `next` goes `op`, or what it leads to without taking a character. */
static void enter(struct machine *machine, int op, bool begin, bool end)
{
    push(machine, op);
    while (machine->todo_count > 0) {
        int at = machine->todo[--machine->todo_count];
        const struct tocsin_pattern_op *it = &machine->pattern->op[at];

        switch ((enum kind)it->kind) {
        case SPLIT:
            push(machine, at + 1);
            push(machine, at + it->arg);
            break;
        case JUMP:
            push(machine, at + it->arg);
            break;
        case BEGIN:
        case END:
            if (it->kind == BEGIN ? begin : end) {
                push(machine, at + 1);
            }
            break;
        case CHAR:
        case ANY:
        case SET:
        case MATCH:
            machine->next[machine->next_count++] = (uint16_t)at;
            break;
        }
    }
}

static void turn(struct machine *machine)
{
    memcpy(machine->now, machine->next,
           machine->next_count * sizeof(machine->now[0]));
    machine->now_count = machine->next_count;
    machine->next_count = 0;
    machine->step++;
}

static bool takes(const struct tocsin_pattern *pattern,
                  const struct tocsin_pattern_op *op, uint32_t code)
{
    unsigned i;

    if (op->kind == CHAR) {
        return (uint32_t)op->arg == code;
    }
    if (op->kind != SET) {
        return op->kind == ANY;
    }
    for (i = 0; i < op->count; i++) {
        if (code >= pattern->range[(unsigned)op->arg + i].low &&
            code <= pattern->range[(unsigned)op->arg + i].high) {
            return !op->negative;
        }
    }
    return op->negative;
}

bool tocsin_pattern_matches(const struct tocsin_pattern *pattern,
                            struct tocsin_span text)
{
    struct machine machine;
    unsigned i;

    machine.pattern = pattern;
    memset(machine.marks, 0, sizeof(machine.marks));
    machine.next_count = machine.todo_count = 0;
    machine.step = 1;
    enter(&machine, 0, true, text.len == 0);
    turn(&machine);
    while (text.len > 0 && machine.now_count > 0) {
        uint32_t code = take_code(&text);

        for (i = 0; i < machine.now_count; i++) {
            int at = machine.now[i];

            if (takes(pattern, &pattern->op[at], code)) {
                enter(&machine, at + 1, false, text.len == 0);
            }
        }
        turn(&machine);
    }
    for (i = 0; i < machine.now_count; i++) {
        if (pattern->op[machine.now[i]].kind == MATCH) {
            return true;
        }
    }
    return false;
}
