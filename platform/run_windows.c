#include "platform/run.h"

#include <string.h>
#include <wchar.h>

#include <windows.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "platform/windows_text.h"

#define LINE_MAX_UNITS 32768 /* the system's limit */

bool run_is_program(const char *path)
{
	wchar_t wide[PATHS_MAX];
	DWORD attributes;

	if (windows_path(path, wide, NULL) < 0)
		return false;
	attributes = GetFileAttributesW(wide);
	return attributes != INVALID_FILE_ATTRIBUTES && !(attributes & FILE_ATTRIBUTE_DIRECTORY);
}

static int find_in(wchar_t *folders, const char *name, char out[PATHS_MAX])
{
	wchar_t *next;

	for (wchar_t *f = folders; f; f = next) {
		char folder[PATHS_MAX];

		next = wcschr(f, L';');
		if (next)
			*next++ = L'\0';
		if (windows_utf8(f, folder, sizeof(folder), NULL) == 0 &&
		    paths_is_absolute(folder) && paths_join(out, folder, name, NULL) == 0 &&
		    run_is_program(out))
			return 0;
	}
	return ERR_NOTFOUND;
}

/* Programs proper alone: a batch file would be read by a shell. */
int run_find(const char *name, char out[PATHS_MAX], struct err *err)
{
	wchar_t *folders = mem_alloc(LINE_MAX_UNITS * sizeof(wchar_t));
	char file[PATHS_MAX];
	struct buf text;
	int rc = ERR_NOTFOUND;
	DWORD n;

	if (!folders)
		return err_nomem(err);
	buf_init(&text, sizeof(file) - 1);
	buf_addf(&text, "%s.exe", name);
	n = GetEnvironmentVariableW(L"PATH", folders, LINE_MAX_UNITS);
	if (buf_rc(&text) == 0 && n > 0 && n < LINE_MAX_UNITS) {
		memcpy(file, buf_cstr(&text), text.len + 1);
		rc = find_in(folders, file, out);
	}
	buf_deinit(&text);
	mem_free(folders);
	return rc == 0 ? 0 : err_set(err, rc, "%s is not found", name);
}

/* As programs take their command line apart again: quotes around, backslashes before a quote. */
static void add_word(struct buf *line, const char *word)
{
	size_t slashes = 0;

	buf_addc(line, '"');
	for (; *word; word++) {
		if (*word == '\\') {
			slashes++;
			continue;
		}
		for (size_t i = *word == '"' ? 2 * slashes + 1 : slashes; i > 0; i--)
			buf_addc(line, '\\');
		slashes = 0;
		buf_addc(line, *word);
	}
	for (size_t i = 2 * slashes; i > 0; i--)
		buf_addc(line, '\\');
	buf_addc(line, '"');
}

static int make_line(const char *const *words, wchar_t *out, struct err *err)
{
	struct buf line;
	int rc;

	buf_init(&line, LINE_MAX_UNITS);
	for (size_t i = 0; words[i]; i++) {
		if (i > 0)
			buf_addc(&line, ' ');
		add_word(&line, words[i]);
	}
	rc = buf_rc(&line);
	if (rc == 0)
		rc = windows_wide(buf_cstr(&line), out, LINE_MAX_UNITS, err);
	buf_deinit(&line);
	return rc < 0 ? err_set(err, rc, "the command is too long") : 0;
}

/* Ours is short-lived, so its own environment may get them. */
static int set_variables(const char *const *extra, struct err *err)
{
	for (; *extra; extra++) {
		wchar_t wide[PATHS_MAX];
		wchar_t *equals;
		int rc = windows_wide(*extra, wide, PATHS_MAX, err);

		if (rc < 0)
			return rc;
		equals = wcschr(wide, L'=');
		CHECK(equals != NULL);
		*equals = L'\0';
		if (!SetEnvironmentVariableW(wide, equals + 1))
			return windows_error(err, GetLastError(), "set a variable");
	}
	return 0;
}

static BOOL WINAPI pass_over(DWORD type)
{
	return type == CTRL_C_EVENT || type == CTRL_BREAK_EVENT;
}

static int start(const struct run_command *command, wchar_t *line, HANDLE *process, struct err *err)
{
	STARTUPINFOW startup = {.cb = sizeof(startup), .dwFlags = STARTF_USESTDHANDLES};
	PROCESS_INFORMATION made;
	wchar_t program[PATHS_MAX];
	int rc = windows_wide(command->program, program, PATHS_MAX, err);

	if (rc < 0)
		return rc;
	startup.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
	startup.hStdOutput = GetStdHandle(STD_ERROR_HANDLE);
	startup.hStdError = GetStdHandle(STD_ERROR_HANDLE);
	if (!CreateProcessW(program, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &made))
		return windows_error(err, GetLastError(), "run %s", command->program);
	(void)CloseHandle(made.hThread);
	*process = made.hProcess;
	return 0;
}

int run_wait(const struct run_command *command, int *status, struct err *err)
{
	wchar_t *line = mem_alloc(LINE_MAX_UNITS * sizeof(wchar_t));
	HANDLE process = NULL;
	DWORD code = 0;
	int rc = line ? make_line(command->words, line, err) : err_nomem(err);

	if (rc == 0)
		rc = set_variables(command->extra, err);
	(void)SetConsoleCtrlHandler(pass_over, TRUE);
	if (rc == 0)
		rc = start(command, line, &process, err);
	if (rc == 0 && (WaitForSingleObject(process, INFINITE) != WAIT_OBJECT_0 ||
			!GetExitCodeProcess(process, &code)))
		rc = windows_error(err, GetLastError(), "wait for %s", command->program);
	if (rc == 0)
		*status = (int)code;
	(void)SetConsoleCtrlHandler(pass_over, FALSE);
	if (process)
		(void)CloseHandle(process);
	mem_free(line);
	return rc;
}
