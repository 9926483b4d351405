#include "lib/base/json.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"

void json_writer_init(struct json_writer *w, struct buf *out)
{
	*w = (struct json_writer){.out = out};
	w->first[0] = true;
}

/* What must stand between the value before and the one that comes. */
static void separate(struct json_writer *w)
{
	if (w->after_key)
		w->after_key = false;
	else if (w->first[w->depth])
		w->first[w->depth] = false;
	else
		buf_addc(w->out, ',');
}

static void begin(struct json_writer *w, char bracket)
{
	CHECK(w->depth + 1 < JSON_WRITER_DEPTH);
	separate(w);
	buf_addc(w->out, bracket);
	w->first[++w->depth] = true;
}

static void end(struct json_writer *w, char bracket)
{
	CHECK(w->depth > 0 && !w->after_key);
	buf_addc(w->out, bracket);
	w->depth--;
}

void json_begin_object(struct json_writer *w)
{
	begin(w, '{');
}

void json_end_object(struct json_writer *w)
{
	end(w, '}');
}

void json_begin_array(struct json_writer *w)
{
	begin(w, '[');
}

void json_end_array(struct json_writer *w)
{
	end(w, ']');
}

static void add_escape(struct buf *out, uint32_t cp)
{
	static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: character, its letter */

	for (const char *p = shorts; *p; p += 2) {
		if ((uint32_t)(unsigned char)*p == cp) {
			buf_addc(out, '\\');
			buf_addc(out, p[1]);
			return;
		}
	}
	if (cp >= 0x10000) {
		buf_addf(out, "\\u%04x", 0xd800 + (unsigned)((cp - 0x10000) >> 10));
		cp = 0xdc00 + (cp & 0x3ff);
	}
	buf_addf(out, "\\u%04x", (unsigned)cp);
}

static void add_string(struct buf *out, const char *text, size_t n)
{
	size_t plain = 0; /* where the run not yet appended begins */

	buf_addc(out, '"');
	for (size_t i = 0; i < n;) {
		uint32_t cp = 0;
		size_t len = text_utf8_decode(text + i, n - i, &cp);
		bool escaped = cp < 0x20 || cp == '"' || cp == '\\' || cp == 0x7f ||
			       (cp > 0x7f && text_is_hidden(cp));

		if (len == 0 || escaped) {
			buf_add(out, text + plain, i - plain);
			plain = i + (len ? len : 1);
			if (len == 0)
				buf_adds(out, "\xef\xbf\xbd"); /* U+FFFD */
			else
				add_escape(out, cp);
		}
		i += len ? len : 1;
	}
	buf_add(out, text + plain, n - plain);
	buf_addc(out, '"');
}

void json_key(struct json_writer *w, const char *key)
{
	CHECK(w->depth > 0 && !w->after_key);
	separate(w);
	add_string(w->out, key, strlen(key));
	buf_addc(w->out, ':');
	w->after_key = true;
}

void json_str(struct json_writer *w, const char *text)
{
	if (text)
		json_strn(w, text, strlen(text));
	else
		json_put_null(w);
}

void json_strn(struct json_writer *w, const char *text, size_t n)
{
	separate(w);
	add_string(w->out, text, n);
}

void json_int(struct json_writer *w, int64_t v)
{
	separate(w);
	buf_addf(w->out, "%" PRId64, v);
}

void json_raw(struct json_writer *w, const char *json, size_t n)
{
	separate(w);
	buf_add(w->out, json, n);
}

void json_bool(struct json_writer *w, bool v)
{
	separate(w);
	buf_adds(w->out, v ? "true" : "false");
}

void json_put_null(struct json_writer *w)
{
	separate(w);
	buf_adds(w->out, "null");
}

void json_kv_str(struct json_writer *w, const char *key, const char *text)
{
	json_key(w, key);
	json_str(w, text);
}

void json_kv_str_opt(struct json_writer *w, const char *key, const char *text)
{
	if (text && *text)
		json_kv_str(w, key, text);
}

void json_kv_int(struct json_writer *w, const char *key, int64_t v)
{
	json_key(w, key);
	json_int(w, v);
}

void json_kv_bool(struct json_writer *w, const char *key, bool v)
{
	json_key(w, key);
	json_bool(w, v);
}

void json_kv_hex_opt(struct json_writer *w, const char *key, const void *data, size_t n)
{
	if (!data || n == 0)
		return;
	json_key(w, key);
	separate(w);
	buf_addc(w->out, '"');
	buf_add_hex(w->out, data, n);
	buf_addc(w->out, '"');
}

void json_kv_time_opt(struct json_writer *w, const char *key, int64_t wall_ms)
{
	char text[CLOCK_TEXT_MAX];

	if (wall_ms == 0)
		return;
	clock_format(wall_ms, text);
	json_kv_str(w, key, text);
}
