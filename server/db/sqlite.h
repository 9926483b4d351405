/* The SQLite store's schema: one array of statements a migration, never changed once released. */
#ifndef ENVWARDEN_SERVER_DB_SQLITE_H
#define ENVWARDEN_SERVER_DB_SQLITE_H

extern const char *const sqlite_001[];
extern const char *const sqlite_002[];
extern const char *const sqlite_003[];
extern const char *const sqlite_004[];
extern const char *const sqlite_005[];
extern const char *const sqlite_006[];
extern const char *const sqlite_007[];
extern const char *const sqlite_008[];
extern const char *const sqlite_009[];

#endif
