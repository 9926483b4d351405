#include "platform/safe_write.h"

static int unsupported(struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "not available on Windows");
}

int safe_write_file(const struct safe_dir *dir, const char *name, const void *data, size_t n,
		    unsigned mode, struct err *err)
{
	(void)dir;
	(void)name;
	(void)data;
	(void)n;
	(void)mode;
	return unsupported(err);
}

int safe_write_rename(const struct safe_dir *dir, const char *from, const char *to, struct err *err)
{
	(void)dir;
	(void)from;
	(void)to;
	return unsupported(err);
}

int safe_write_dir(const struct safe_dir *dir, const char *name, unsigned mode, struct err *err)
{
	(void)dir;
	(void)name;
	(void)mode;
	return unsupported(err);
}

int safe_write_remove(const struct safe_dir *dir, const char *name, struct err *err)
{
	(void)dir;
	(void)name;
	return unsupported(err);
}

int safe_write_remove_dir(const struct safe_dir *dir, const char *name, struct err *err)
{
	(void)dir;
	(void)name;
	return unsupported(err);
}
