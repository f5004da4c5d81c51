// Package sqliteorder keeps orders in eight SQLite files of thirty-two tables each, orders_0.db … in one directory.
//
// Every commit is synced. A directory has one process that writes; who that is, is proven by the caller. Which map it was
// written with is stored in every file; a directory is never opened with another. A [Store] is safe for concurrent use, but
// for Write and Put of one database, which run one at a time.
package sqliteorder
