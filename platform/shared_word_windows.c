#include "platform/shared_word.h"

#include <stddef.h>

int shared_word_new(int *fd, struct err *err)
{
	(void)fd;
	return err_set(err, ERR_UNSUPPORTED, "no memory to share on Windows yet");
}

void shared_word_close(int fd)
{
	(void)fd;
}

int shared_word_map(int fd, bool writes, _Atomic uint64_t **out, struct err *err)
{
	(void)fd;
	(void)writes;
	(void)out;
	return err_set(err, ERR_UNSUPPORTED, "no memory to share on Windows yet");
}

void shared_word_unmap(const _Atomic uint64_t *word)
{
	(void)word;
}
