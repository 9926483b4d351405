/* The packages and changes that the golden files were made of. */
#ifndef ENVWARDEN_TESTS_PROTO_SAMPLES_H
#define ENVWARDEN_TESTS_PROTO_SAMPLES_H

#include "lib/conda/change.h"
#include "lib/conda/package.h"

/* first, first + 1, ... */
void sample_bytes(unsigned char *out, size_t n, unsigned first);
struct uuid sample_uuid(unsigned first);

struct package sample_numpy(void);    /* all fields */
struct package sample_openssl(void);  /* md5 only */
struct package sample_requests(void); /* pypi, no hash */

/* All three, sorted; the caller deinits. */
void sample_packages(struct package_list *out);

void sample_update(struct change *out); /* the caller deinits */
void sample_gap(struct change *out);

/* Each field compared; failures end the test. */
void assert_package_equal(const struct package *a, const struct package *b);
void assert_change_equal(const struct change *a, const struct change *b);

#endif
