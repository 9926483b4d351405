/* Compiler attributes and the few macros everybody needs. The one place that names a compiler. */
#ifndef ENVWARDEN_LIB_BASE_COMPILER_H
#define ENVWARDEN_LIB_BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__GNUC__)
#include <intrin.h>
#endif

#if defined(__MINGW32__)
#define EW_PRINTF(fmt, first) __attribute__((format(gnu_printf, fmt, first)))
#elif defined(__GNUC__)
#define EW_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define EW_PRINTF(fmt, first)
#endif

#if defined(__GNUC__)
#define EW_NORETURN __attribute__((noreturn))
#else
#define EW_NORETURN __declspec(noreturn)
#endif

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that embeds a member, from a pointer to the member. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* How many zero bits stand below the lowest one; v is not 0. */
static inline unsigned ew_ctz64(uint64_t v)
{
#if defined(__GNUC__)
	return (unsigned)__builtin_ctzll(v);
#else
	unsigned long at;
	_BitScanForward64(&at, v);
	return (unsigned)at;
#endif
}

/*
 * Stops the program, in every build, when one of our own invariants is broken. Never for input,
 * peers, disks or clocks: those are ordinary errors.
 */
#define CHECK(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))
EW_NORETURN void check_failed(const char *cond, const char *file, int line);

#endif
