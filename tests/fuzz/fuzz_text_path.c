/* The text that stands for a path: the way back is bounded, and undoes what was made of any path.
 */
#include <stdint.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

#define PATH_CAP 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char path[PATH_CAP];
	char *text = mem_alloc(n + 1);
	struct buf made;

	if (text == NULL)
		return 0;
	memcpy(text, data, n);
	text[n] = '\0';
	if (text_to_path(text, path, sizeof path) == 0)
		CHECK(strlen(path) < sizeof path);
	buf_init(&made, 4 * n + 1);
	text_from_path(&made, text);
	buf_addc(&made, '\0');
	CHECK(buf_rc(&made) == 0);
	if (strlen(text) < sizeof path) {
		CHECK(text_is_utf8(made.data, made.len - 1));
		CHECK(text_to_path(made.data, path, sizeof path) == 0);
		CHECK(strcmp(path, text) == 0);
	}
	buf_deinit(&made);
	mem_free(text);
	return 0;
}
