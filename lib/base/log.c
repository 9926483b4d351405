#include "lib/base/log.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "lib/base/text.h"

#define LOG_LINE_MAX 8192
#define LOG_VALUE_MAX 2048 /* bytes of one value; the rest is cut */
#define LOG_PROGRAM_MAX 32

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* Set up before threads start; only read afterwards. */
static struct {
	char program[LOG_PROGRAM_MAX];
	atomic_int level;
	log_sink_cb sink;
	void *ctx;
	const struct clock *clock;
} state = {.level = LOG_INFO};

void log_setup(const char *program, enum log_level level)
{
	snprintf(state.program, sizeof(state.program), "%s", program ? program : "");
	atomic_store(&state.level, (int)level);
}

void log_set_sink(log_sink_cb sink, void *ctx)
{
	state.sink = sink;
	state.ctx = ctx;
}

void log_set_clock(const struct clock *clock)
{
	state.clock = clock;
}

int log_level_parse(const char *text, enum log_level *level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return ERR_INVALID;
}

static void add_quoted(struct buf *line, const char *value)
{
	size_t n = strlen(value);
	bool cut = n > LOG_VALUE_MAX;

	if (cut)
		n = LOG_VALUE_MAX;
	buf_addc(line, '"');
	while (n > 0) {
		size_t plain = 0;
		while (plain < n && value[plain] != '"' && value[plain] != '\\')
			plain++;
		text_escape(line, value, plain);
		value += plain;
		n -= plain;
		if (n > 0) {
			buf_addc(line, '\\');
			buf_addc(line, *value++);
			n--;
		}
	}
	buf_adds(line, cut ? "...\"" : "\"");
}

static int64_t wall_ms(void)
{
	const struct clock *clock = state.clock;

	return clock ? clock->wall_ms(clock) : (int64_t)time(NULL) * 1000;
}

static void add_stamp(struct buf *line)
{
	char text[CLOCK_TEXT_MAX];

	clock_format(wall_ms(), text);
	buf_adds(line, text);
}

static void add_fields(struct buf *line, const struct log_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t start = line->len;

		if (!fields[i].key)
			continue;
		buf_addf(line, " %s=", fields[i].key);
		if (fields[i].str)
			add_quoted(line, fields[i].str);
		else
			buf_addf(line, "%" PRId64, fields[i].num);
		if (buf_rc(line) < 0) { /* a line that is full ends after its last whole field */
			line->len = start;
			return;
		}
	}
}

void log_event(enum log_level level, const char *group, const char *event,
	       const struct log_field *fields, size_t n)
{
	/* On the stack, so that running out of memory can be logged: never grown, never freed. */
	char room[LOG_LINE_MAX + 8];
	struct buf line = {.data = room, .cap = LOG_LINE_MAX + 1, .max = LOG_LINE_MAX};

	if ((int)level > atomic_load_explicit(&state.level, memory_order_relaxed))
		return;
	add_stamp(&line);
	buf_addf(&line, " %-5s ", level_names[level]);
	if (state.program[0])
		buf_addf(&line, "%s ", state.program);
	buf_addf(&line, "%s: %s", group, event);
	add_fields(&line, fields, n);
	if (buf_rc(&line) < 0) {
		memcpy(room + line.len, " ...", 4);
		line.len += 4;
	}
	room[line.len] = '\0';
	if (state.sink) {
		state.sink(state.ctx, level, room);
		return;
	}
	room[line.len] = '\n';
	(void)fwrite(room, 1, line.len + 1, stderr); /* one write: lines of threads never mix */
}
