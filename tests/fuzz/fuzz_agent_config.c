#include <stddef.h>
#include <stdint.h>

#include "agent/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct config config;
	struct buf out;
	struct err err = ERR_INIT;

	arena_init(&arena, 1 << 20);
	buf_init(&out, 1 << 20);
	config_init(&config);
	if (config_parse((const char *)data, size, &arena, &config, &err) == 0)
		config_print(&config, &out);
	buf_deinit(&out);
	arena_deinit(&arena);
	return 0;
}
