#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses prints, and what is printed parses to the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct server_config config, again;
	struct buf first, second;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	buf_init(&first, 2 * CONFIG_FILE_MAX);
	buf_init(&second, 2 * CONFIG_FILE_MAX);
	config_init(&config);
	config_init(&again);
	if (config_parse((const char *)data, size, &arena, &config, NULL) == 0) {
		config_print(&config, &first);
		CHECK(buf_rc(&first) == 0);
		CHECK(config_parse(first.data, first.len, &arena, &again, NULL) == 0);
		config_print(&again, &second);
		CHECK(strcmp(buf_cstr(&first), buf_cstr(&second)) == 0);
	}
	buf_deinit(&first);
	buf_deinit(&second);
	arena_deinit(&arena);
	return 0;
}
