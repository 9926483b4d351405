#include "platform/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/compiler.h"
#include "platform/posix_io.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define ARCH AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define ARCH AUDIT_ARCH_S390X
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#else
#define ARCH 0 /* no filter known here */
#endif

/* The leak checker of sanitizer builds stops its own threads by ptrace. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(leak_sanitizer)
#define SANITIZED 1
#endif
#endif

static const uint32_t denied[] = {
	SYS_execve,
	SYS_execveat,
#if !defined(SANITIZED)
	SYS_ptrace,
#endif
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_io_uring_setup, /* its ring makes sockets without a system call to filter */
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_keyctl,
	SYS_open_by_handle_at, /* with the right to read all it opens files past every path */
};

#define REFUSE (SECCOMP_RET_ERRNO | EPERM)
#define FILTER_MAX (2 * ARRAY_SIZE(denied) + 16)

struct filter {
	struct sock_filter code[FILTER_MAX];
	unsigned short n;
};

static void add(struct filter *f, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
	CHECK(f->n < FILTER_MAX);
	f->code[f->n++] = (struct sock_filter){.code = code, .jt = if_true, .jf = if_false, .k = k};
}

static void load(struct filter *f, size_t offset)
{
	add(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void refuse_if(struct filter *f, uint16_t comparison, uint32_t k)
{
	add(f, BPF_JMP | BPF_K | comparison, k, 0, 1);
	add(f, BPF_RET | BPF_K, REFUSE, 0, 0);
}

static void refuse_unless_equal(struct filter *f, uint32_t k)
{
	add(f, BPF_JMP | BPF_K | BPF_JEQ, k, 1, 0);
	add(f, BPF_RET | BPF_K, REFUSE, 0, 0);
}

static void build(struct filter *f)
{
	/* The lower half of the first argument, where a C int lies. */
	size_t domain = offsetof(struct seccomp_data, args);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	domain += 4;
#endif
	f->n = 0;
	load(f, offsetof(struct seccomp_data, arch));
	refuse_unless_equal(f, ARCH);
	load(f, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
	refuse_if(f, BPF_JGE, 0x40000000); /* the x32 numbers are the same calls again */
#endif
	for (size_t i = 0; i < ARRAY_SIZE(denied); i++)
		refuse_if(f, BPF_JEQ, denied[i]);
	/* Name services are asked through unix sockets; no other kind is needed. */
	add(f, BPF_JMP | BPF_K | BPF_JEQ, SYS_socket, 0, 3);
	load(f, domain);
	refuse_unless_equal(f, AF_UNIX);
	add(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

static int filter_calls(struct err *err)
{
	struct filter filter;
	if (ARCH == 0)
		return err_set(err, ERR_UNSUPPORTED, "no system call filter for this processor");
	build(&filter);
	struct sock_fprog program = {.len = filter.n, .filter = filter.code};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
		return err_set(err, ERR_UNSUPPORTED, "this kernel takes no system call filter");
	return 0;
}

/* Everything that changes a file system is handled and no rule allows any of it anywhere. */
static int forbid_writing(struct err *err)
{
	const uint64_t refer = 1u << 13;    /* kernels from 5.19 */
	const uint64_t truncate = 1u << 14; /* kernels from 6.2 */
	struct landlock_ruleset_attr rules = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
				     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
				     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
				     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
				     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM,
	};
	long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
			       LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return err_set(err, ERR_UNSUPPORTED, "this kernel has no landlock");
	if (version >= 2)
		rules.handled_access_fs |= refer;
	if (version >= 3)
		rules.handled_access_fs |= truncate;
	long fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules.handled_access_fs), 0);
	if (fd < 0)
		return err_errno(err, errno, "landlock rules");
	int rc = 0;
	if (syscall(SYS_landlock_restrict_self, (int)fd, 0) < 0)
		rc = err_errno(err, errno, "landlock");
	posix_close((int)fd);
	return rc;
}

int sandbox_reader(struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, errno, "give up new privileges");
	int writing = forbid_writing(err);
	int calls = filter_calls(writing < 0 ? NULL : err);
	return writing < 0 ? writing : calls;
}
