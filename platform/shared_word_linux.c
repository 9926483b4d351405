#include "platform/shared_word.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/posix_io.h"

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock would be each process's own");

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int shared_word_new(int *fd, struct err *err)
{
	int made = memfd_create("envwarden", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (made < 0)
		return errno == ENOSYS ? err_set(err, ERR_UNSUPPORTED, "no memory to share here")
				       : err_errno(err, errno, "memory to share");
	if (ftruncate(made, sizeof(uint64_t)) < 0 || fcntl(made, F_ADD_SEALS, SEALS) < 0) {
		int rc = err_errno(err, errno, "memory to share");

		posix_close(made);
		return rc;
	}
	*fd = made;
	return 0;
}

void shared_word_close(int fd)
{
	posix_close(fd);
}

int shared_word_map(int fd, bool writes, _Atomic uint64_t **out, struct err *err)
{
	struct stat st;
	void *page;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 ||
	    st.st_size != (off_t)sizeof(uint64_t))
		return err_set(err, ERR_INVALID, "no memory that was shared");
	page = mmap(NULL, sizeof(uint64_t), writes ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
		    fd, 0);
	if (page == MAP_FAILED)
		return err_errno(err, errno, "memory to share");
	*out = page;
	return 0;
}

void shared_word_unmap(const _Atomic uint64_t *word)
{
	if (word != NULL)
		(void)munmap((void *)(uintptr_t)word, sizeof(uint64_t));
}
