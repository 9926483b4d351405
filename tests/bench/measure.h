/*
 * What the programs here that measure in C share: a clock, percentiles and the line they print. A
 * line is a row of the table in docs/performance.md:
 *
 *   | what | figure | reference | ratio | budget | ok or OVER |
 */
#ifndef ENVWARDEN_TESTS_BENCH_MEASURE_H
#define ENVWARDEN_TESTS_BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>

double measure_now_us(void); /* monotonic */

/* Sorts the samples; the one that `share` (0..1) of them do not exceed. n > 0 */
double measure_percentile(double *samples, size_t n, double share);

/* Prints the message and ends the program. */
_Noreturn void measure_fail(const char *what);

struct measure_row {
	const char *what;
	double figure;
	double reference; /* taken in the same run; 0 = there is none */
	double ratio;	  /* 0 = figure / reference */
	const char *unit;
	const char *budget;
	bool ok;
};
void measure_print(const struct measure_row *row);

#endif
