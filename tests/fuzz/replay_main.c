/*
 * Stands in for libFuzzer in ordinary builds: feeds each file named on the command line, and each
 * file in a directory named there, to the fuzz target once. No files at all is a failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILE_MAX (16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, size_t size)
{
	FILE *file = fopen(path, "rb");
	/* Of the exact size, so that the sanitizer sees each read past the end. */
	uint8_t *data = malloc(size ? size : 1);
	int rc = -1;

	if (file && data && size <= FILE_MAX && fread(data, 1, size, file) == size)
		rc = LLVMFuzzerTestOneInput(data, size);
	else
		fprintf(stderr, "cannot read %s\n", path);
	free(data);
	if (file)
		fclose(file);
	return rc;
}

/* The number of files replayed, negative on failure. */
static int replay(const char *path, int may_descend)
{
	struct dirent *entry;
	struct stat st;
	int count = 0;
	DIR *dir;

	if (stat(path, &st) != 0) {
		perror(path);
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path, (size_t)st.st_size) == 0 ? 1 : -1;
	if (!may_descend)
		return 0;
	dir = opendir(path);
	if (!dir) {
		perror(path);
		return -1;
	}
	while (count >= 0 && (entry = readdir(dir))) {
		char name[4096];
		int n;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		n = replay(name, 0);
		count = n < 0 ? n : count + n;
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		int n = replay(argv[i], 1);

		if (n < 0)
			return EXIT_FAILURE;
		count += n;
	}
	printf("%d inputs replayed\n", count);
	return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
