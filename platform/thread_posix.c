#include "platform/thread.h"

#include <pthread.h>
#include <signal.h>

#include "lib/base/mem.h"

struct start {
	void (*run)(void *arg);
	void *arg;
};

static void *begin(void *context)
{
	struct start start = *(struct start *)context;

	mem_free(context);
	start.run(start.arg);
	return NULL;
}

int thread_start(void (*run)(void *arg), void *arg, struct err *err)
{
	struct start *start = mem_calloc(1, sizeof *start);
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;
	sigset_t before;
	int e;

	if (start == NULL)
		return err_nomem(err);
	*start = (struct start){run, arg};
	CHECK(pthread_attr_init(&attr) == 0);
	CHECK(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0);
	/* Signals are for the threads that wait for them. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&thread, &attr, begin, start);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	if (e == 0)
		return 0;
	mem_free(start);
	return err_errno(err, e, "start a thread");
}
