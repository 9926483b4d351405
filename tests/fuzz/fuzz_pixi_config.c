#include <stdint.h>
#include <string.h>

#include "agent/reader/pixi_config.h"
#include "lib/base/compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pixi_config got;

	if (pixi_config_parse(data, size, &got, NULL) == 0 && got.detached == PIXI_DETACHED_PATH)
		CHECK(got.path[0] != '\0' && strlen(got.path) < PIXI_PATH_MAX);
	return 0;
}
