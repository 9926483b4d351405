#include "platform/sandbox.h"

int sandbox_reader(struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "no sandbox on Windows");
}
