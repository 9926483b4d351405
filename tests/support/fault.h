/*
 * Fault injection: runs a test's body again and again, the n-th allocation failing in the n-th run,
 * until a run gets by without the failure. The body says by its result what happened: 0 = all well,
 * negative = the error it was given; it frees what it got either way (the sanitizer looks for
 * leaks).
 */
#ifndef ENVWARDEN_TESTS_SUPPORT_FAULT_H
#define ENVWARDEN_TESTS_SUPPORT_FAULT_H

typedef int (*fault_body_cb)(void *ctx);

/*
 * Fails the test unless every run whose allocation failed returns ERR_NOMEM (a body that copes with
 * a failure may return 0) and the last, untouched one returns 0. Returns the number of failed runs;
 * give the least that the body must have to `at_least`.
 */
int fault_each_alloc(fault_body_cb body, void *ctx, int at_least);

#endif
