/*
 * The commands of envwarden-server, one a file. Each gets the arguments after its name, prints data
 * on stdout and returns 0 or a code with its reason; ERR_USAGE shows how it is used.
 */
#ifndef ENVWARDEN_SERVER_COMMAND_H
#define ENVWARDEN_SERVER_COMMAND_H

#include "lib/base/err.h"

int cmd_init(int argc, char **argv, struct err *err);
int cmd_serve(int argc, char **argv, struct err *err);
int cmd_join_code(int argc, char **argv, struct err *err);
int cmd_restore(int argc, char **argv, struct err *err);
int cmd_root(int argc, char **argv, struct err *err);

#endif
