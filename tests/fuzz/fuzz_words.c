/* A line taken apart as a shell would, or refused; its words, quoted, are the same words again. */
#include <stdint.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "lib/base/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct words words, again;
	struct arena arena;
	struct buf line;
	char *text;

	arena_init(&arena, 8 * (n + 4096));
	buf_init(&line, 8 * (n + 4096));
	text = arena_strndup(&arena, (const char *)data, n);
	if (text && words_split(text, &arena, &words, NULL) == 0) {
		for (size_t i = 0; i < words.n; i++) {
			buf_addc(&line, ' ');
			text_shell_quote(&line, words.items[i]);
		}
		CHECK(buf_rc(&line) == 0);
		if (line.len <= WORDS_TEXT_MAX) {
			CHECK(words_split(buf_cstr(&line), &arena, &again, NULL) == 0);
			CHECK(again.n == words.n);
			for (size_t i = 0; i < words.n; i++)
				CHECK(strcmp(again.items[i], words.items[i]) == 0);
		}
	}
	buf_deinit(&line);
	arena_deinit(&arena);
	return 0;
}
