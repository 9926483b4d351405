#include "tests/bench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

double measure_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int cmp_samples(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double measure_percentile(double *samples, size_t n, double share)
{
	qsort(samples, n, sizeof *samples, cmp_samples);
	return samples[(size_t)(share * (double)(n - 1) + 0.5)];
}

_Noreturn void measure_fail(const char *what)
{
	perror(what);
	exit(1);
}

void measure_print(const struct measure_row *row)
{
	double ratio = row->ratio;

	if (row->reference > 0 && ratio <= 0)
		ratio = row->figure / row->reference;
	printf("| %s | %.4g %s |", row->what, row->figure, row->unit);
	if (row->reference > 0)
		printf(" %.4g %s | %.2f |", row->reference, row->unit, ratio);
	else
		printf(" - | - |");
	printf(" %s | %s |\n", row->budget, row->ok ? "ok" : "OVER");
	(void)fflush(stdout);
}
