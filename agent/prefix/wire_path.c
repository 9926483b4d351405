#include "agent/prefix/wire_path.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"

int wire_path(struct wire_path *room, const char *path, struct err *err)
{
	struct buf text;
	int rc;

	room->text[0] = '\0';
	buf_init(&text, LIMIT_PATH);
	text_from_path(&text, path);
	rc = buf_rc(&text);
	if (rc == 0)
		memcpy(room->text, buf_cstr(&text), text.len + 1);
	buf_deinit(&text);
	return rc < 0 ? err_set(err, rc, "the path does not fit a message") : 0;
}
