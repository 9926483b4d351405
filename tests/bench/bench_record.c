/*
 * How fast records are read, against a plain pass that counts the newlines of the same bytes, and
 * against that again for one record of a megabyte. Run by hand:
 *
 *   bench_record FILE.json...      the files' last parts must be records' own names
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/conda/record.h"

#define FILE_MAX (64 << 20)
#define FILES_MAX 4096
#define ROUNDS 9
#define ROUND_BYTES (64 << 20)

struct file {
	const char *name;
	char *data;
	size_t n;
};

static int file_load(const char *path, struct file *file)
{
	const char *slash = strrchr(path, '/');
	FILE *f = fopen(path, "rb");
	long size = -1;

	if (f != NULL && fseek(f, 0, SEEK_END) == 0)
		size = ftell(f);
	if (size >= 0 && size <= FILE_MAX && fseek(f, 0, SEEK_SET) == 0) {
		file->name = slash != NULL ? slash + 1 : path;
		file->n = (size_t)size;
		file->data = mem_alloc(file->n + 1);
		if (file->data != NULL && fread(file->data, 1, file->n, f) != file->n)
			size = -1;
	}
	if (f != NULL)
		fclose(f);
	return size >= 0 && size <= FILE_MAX && file->data != NULL ? 0 : -1;
}

static size_t count_lines(const char *data, size_t n)
{
	const char *end = data + n;
	size_t lines = 0;

	while ((data = memchr(data, '\n', (size_t)(end - data))) != NULL) {
		lines++;
		data++;
	}
	return lines;
}

struct bench {
	struct json_reader *reader;
	struct arena arena;
	size_t sink; /* keeps the compiler from leaving the work out */
};

static void read_file(struct bench *b, const struct file *file)
{
	struct record record;
	struct err err = ERR_INIT;

	json_reader_reset_bytes(b->reader, file->data, file->n);
	arena_reset(&b->arena);
	if (record_read(b->reader, file->name, &b->arena, &record, &err) < 0) {
		fprintf(stderr, "%s: %s\n", file->name, err.text);
		check_failed("a record reads", __FILE__, __LINE__);
	}
	b->sink += record.anchors.n;
}

static void count_file(struct bench *b, const struct file *file)
{
	b->sink += count_lines(file->data, file->n);
}

/* The best of the rounds, in bytes a microsecond of CPU = MB/s. */
static double best_rate(struct bench *b, const struct file *files, size_t n_files,
			void (*pass)(struct bench *b, const struct file *file))
{
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		clock_t start = clock();
		size_t bytes = 0;
		double rate;

		while (bytes < ROUND_BYTES) {
			for (size_t i = 0; i < n_files; i++) {
				pass(b, &files[i]);
				bytes += files[i].n;
			}
		}
		rate = (double)bytes / ((double)(clock() - start) * 1e6 / CLOCKS_PER_SEC);
		best = rate > best ? rate : best;
	}
	return best;
}

static void report(struct bench *b, const char *what, const struct file *files, size_t n)
{
	size_t bytes = 0;
	double records, lines;

	for (size_t i = 0; i < n; i++)
		bytes += files[i].n;
	records = best_rate(b, files, n, read_file);
	lines = best_rate(b, files, n, count_file);
	printf("%-48s %9zu bytes  record_read %6.0f MB/s  newlines %6.0f MB/s  ratio %.2f\n", what,
	       bytes, records, lines, lines / records);
}

int main(int argc, char **argv)
{
	static struct file files[FILES_MAX];
	struct bench bench = {0};
	size_t n = 0, biggest = 0;
	int status = 1;

	if (argc < 2 || argc > FILES_MAX) {
		fprintf(stderr, "usage: bench_record FILE.json...\n");
		return 2;
	}
	arena_init(&bench.arena, 1 << 20);
	if (json_reader_new(&record_limits, &bench.reader) < 0)
		goto out;
	for (n = 0; n < (size_t)argc - 1; n++) {
		if (file_load(argv[n + 1], &files[n]) < 0) {
			fprintf(stderr, "%s: not read\n", argv[n + 1]);
			goto out;
		}
		if (files[n].n > files[biggest].n)
			biggest = n;
	}
	report(&bench, "all", files, n);
	report(&bench, files[biggest].name, &files[biggest], 1);
	status = bench.sink > 0 ? 0 : 1;
out:
	for (size_t i = 0; i <= n && i < FILES_MAX; i++)
		mem_free(files[i].data);
	json_reader_free(bench.reader);
	arena_deinit(&bench.arena);
	return status;
}
