#include "lib/base/clock.h"

#include <stdbool.h>

#include "lib/base/compiler.h"
#include "lib/base/err.h"

#define MS_DAY INT64_C(86400000)
#define MS_MIN INT64_C(-62167219200000) /* 0000-01-01T00:00:00.000Z */
#define MS_MAX INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

static int64_t fixed_wall(const struct clock *clock)
{
	return container_of(clock, const struct clock_fixed, clock)->wall_ms;
}

static int64_t fixed_mono(const struct clock *clock)
{
	return container_of(clock, const struct clock_fixed, clock)->mono_ms;
}

void clock_fixed_init(struct clock_fixed *c, int64_t wall_ms)
{
	*c = (struct clock_fixed){
		.clock = {.wall_ms = fixed_wall, .mono_ms = fixed_mono},
		.wall_ms = wall_ms,
	};
}

void clock_fixed_advance(struct clock_fixed *c, int64_t ms)
{
	c->wall_ms += ms;
	c->mono_ms += ms;
}

/*
 * Civil dates without libc (whose calendar functions differ between systems): years are counted
 * from March, so that the leap day is the last of its year, in eras of 400 years.
 */
static int64_t days_from_civil(int y, int m, int d)
{
	int year = m > 2 ? y : y - 1;
	int era = (year >= 0 ? year : year - 399) / 400;
	int year_of_era = year - era * 400;
	int day_of_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return (int64_t)era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int *y, int *m, int *d)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int day_of_era = (int)(z - era * 146097);
	int year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int month = (5 * day_of_year + 2) / 153; /* 0 = March */

	*d = day_of_year - (153 * month + 2) / 5 + 1;
	*m = month < 10 ? month + 3 : month - 9;
	*y = (int)(era * 400) + year_of_era + (*m <= 2);
}

/* v with n digits and the character after them, at *p, moving on. */
static void put(char **p, int v, int n, char after)
{
	for (int i = n; i-- > 0; v /= 10)
		(*p)[i] = (char)('0' + v % 10);
	(*p)[n] = after;
	*p += n + 1;
}

void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_MAX])
{
	int64_t ms = wall_ms < MS_MIN ? MS_MIN : wall_ms > MS_MAX ? MS_MAX : wall_ms;
	int64_t days = (ms - MS_MIN) / MS_DAY + MS_MIN / MS_DAY;
	int rest = (int)(ms - days * MS_DAY);
	int y, m, d;
	char *p = out;

	civil_from_days(days, &y, &m, &d);
	put(&p, y, 4, '-');
	put(&p, m, 2, '-');
	put(&p, d, 2, 'T');
	put(&p, rest / 3600000, 2, ':');
	put(&p, rest / 60000 % 60, 2, ':');
	put(&p, rest / 1000 % 60, 2, '.');
	put(&p, rest % 1000, 3, 'Z');
	*p = '\0';
}

/* Exactly n digits at *p, moving on; false when there are none such. */
static bool digits(const char **p, int n, int *out)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		char c = (*p)[i];
		if (c < '0' || c > '9')
			return false;
		v = v * 10 + (c - '0');
	}
	*p += n;
	*out = v;
	return true;
}

static bool literal(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static int days_in_month(int y, int m)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return m == 2 && leap ? 29 : days[m - 1];
}

static bool parse_date(const char **p, int64_t *ms)
{
	int y, m, d;

	if (!digits(p, 4, &y) || !literal(p, '-') || !digits(p, 2, &m) || !literal(p, '-') ||
	    !digits(p, 2, &d))
		return false;
	if (m < 1 || m > 12 || d < 1 || d > days_in_month(y, m))
		return false;
	*ms = days_from_civil(y, m, d) * MS_DAY;
	return true;
}

/* hh:mm:ss[.fraction]; digits past the milliseconds are dropped. */
static bool parse_time(const char **p, int64_t *ms)
{
	int h, m, s, fraction = 0, scale = 100;

	if (!digits(p, 2, &h) || !literal(p, ':') || !digits(p, 2, &m) || !literal(p, ':') ||
	    !digits(p, 2, &s) || h > 23 || m > 59 || s > 59)
		return false;
	if (literal(p, '.')) {
		int digit;
		if (!digits(p, 1, &digit))
			return false;
		do {
			fraction += digit * scale;
			scale /= 10;
		} while (digits(p, 1, &digit));
	}
	*ms = INT64_C(1000) * (h * 3600 + m * 60 + s) + fraction;
	return true;
}

static bool parse_offset(const char **p, int64_t *ms)
{
	int h, m, sign = **p == '-' ? -1 : 1;

	if (literal(p, 'Z')) {
		*ms = 0;
		return true;
	}
	if (!literal(p, '+') && !literal(p, '-'))
		return false;
	if (!digits(p, 2, &h) || !literal(p, ':') || !digits(p, 2, &m) || h > 23 || m > 59)
		return false;
	*ms = INT64_C(60000) * sign * (h * 60 + m);
	return true;
}

int clock_parse(const char *text, int64_t *wall_ms)
{
	const char *p = text;
	int64_t date, time, offset, sum;

	if (!parse_date(&p, &date) || !literal(&p, 'T') || !parse_time(&p, &time) ||
	    !parse_offset(&p, &offset) || *p != '\0')
		return ERR_INVALID;
	sum = date + time - offset;
	if (sum < MS_MIN || sum > MS_MAX)
		return ERR_INVALID;
	*wall_ms = sum;
	return 0;
}
