#include "agent/cli/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/command.h"
#include "lib/base/text.h"

#define LINE_MAX_BYTES 8192

void output_say(const char *fmt, ...)
{
	char raw[LINE_MAX_BYTES / 2];
	struct buf line;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	buf_init(&line, LINE_MAX_BYTES * 4);
	buf_adds(&line, "envwarden: ");
	text_escape(&line, raw, strlen(raw));
	buf_addc(&line, '\n');
	if (buf_rc(&line) == 0)
		(void)fwrite(line.data, 1, line.len, stderr);
	buf_deinit(&line);
}

int output_usage(const char *command, const struct err *err)
{
	output_say("%s: %s (see: envwarden %s --help)", command, err->text, command);
	return EXIT_USAGE;
}

int output_write(struct buf *text, struct err *err)
{
	int rc = buf_rc(text);

	if (rc < 0)
		return err_set(err, rc, "%s", err_text(rc));
	if (text->len > 0 && fwrite(text->data, 1, text->len, stdout) != text->len)
		return err_set(err, ERR_IO, "cannot write to standard output");
	if (fflush(stdout) != 0)
		return err_set(err, ERR_IO, "cannot write to standard output");
	buf_clear(text);
	return 0;
}

void output_document(struct json_writer *w, struct buf *out, const char *schema)
{
	json_writer_init(w, out);
	json_begin_object(w);
	json_kv_str(w, "schema", schema);
}

int output_end_document(struct json_writer *w, struct err *err)
{
	json_end_object(w);
	buf_addc(w->out, '\n');
	return output_write(w->out, err);
}
