#include "platform/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "platform/posix_io.h"

static int descriptor(enum terminal_stream stream)
{
	switch (stream) {
	case TERMINAL_IN:
		return STDIN_FILENO;
	case TERMINAL_OUT:
		return STDOUT_FILENO;
	case TERMINAL_ERR:
		break;
	}
	return STDERR_FILENO;
}

bool terminal_is(enum terminal_stream stream)
{
	return isatty(descriptor(stream)) == 1;
}

int terminal_width(enum terminal_stream stream)
{
	struct winsize size;
	if (ioctl(descriptor(stream), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

bool terminal_colour(enum terminal_stream stream)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	if (no_color && no_color[0] != '\0')
		return false;
	if (!term || strcmp(term, "dumb") == 0)
		return false;
	return terminal_is(stream);
}

/* One line without its newline; what is over cap is read and dropped, so that it answers nothing.
 */
static int read_line(int fd, char *out, unsigned cap, struct err *err)
{
	unsigned n = 0;
	bool over = false;
	for (;;) {
		char c;
		ssize_t got = read(fd, &c, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, errno, "read from the terminal");
		if (got == 0)
			return err_set(err, ERR_CANCELED, "the terminal was closed");
		if (c == '\n')
			break;
		if (n + 1 < cap)
			out[n++] = c;
		else
			over = true;
	}
	out[n] = '\0';
	return over ? err_set(err, ERR_LIMIT, "that line is too long") : 0;
}

static int open_terminal(int *fd, struct err *err)
{
	*fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	return *fd < 0 ? err_set(err, ERR_NOTFOUND, "no terminal to ask on") : 0;
}

int terminal_read_line(const char *prompt, bool secret, char *out, unsigned cap, struct err *err)
{
	struct termios before;
	int fd;
	int rc = open_terminal(&fd, err);
	if (rc < 0)
		return rc;
	bool hidden = secret && tcgetattr(fd, &before) == 0;
	if (hidden) {
		struct termios quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		hidden = tcsetattr(fd, TCSAFLUSH, &quiet) == 0;
	}
	rc = posix_write_all(fd, prompt, strlen(prompt), "write to the terminal", err);
	if (rc == 0)
		rc = read_line(fd, out, cap, err);
	if (hidden) {
		(void)tcsetattr(fd, TCSADRAIN, &before);
		(void)posix_write_all(fd, "\n", 1, "terminal", NULL);
	}
	posix_close(fd);
	return rc;
}
