package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	lib "modernc.org/sqlite/lib"
)

// findings is how many things that are wrong with one file are told.
const findings = 5

// Verify looks at every page of a file, as SQLite's integrity check does: tables, indexes and what they say of each other. It
// returns what is wrong, nothing for a whole file; an error means that the file could not be looked at. What was committed to the
// log beside it counts. What a row may say is not judged here: CHECK constraints are left out. It migrates nothing and writes no
// row, and it takes a time that grows with the file.
func Verify(ctx context.Context, path string) (wrong []string, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	q := url.Values{"_pragma": {"busy_timeout(5000)", "temp_store(memory)", "query_only(1)", "ignore_check_constraints(1)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	rows, err := db.QueryContext(ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", findings))
	if Damaged(err) {
		return []string{err.Error()}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, fmt.Errorf("look at %s: %w", path, err)
		}
		if line != "ok" {
			wrong = append(wrong, line)
		}
	}
	if err := rows.Err(); Damaged(err) {
		return append(wrong, err.Error()), nil
	} else if err != nil {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	return wrong, nil
}

// Damaged reports whether err says that a file is no database, or that what is in it makes no sense.
func Damaged(err error) bool {
	c := code(err) & 0xff
	return c == lib.SQLITE_CORRUPT || c == lib.SQLITE_NOTADB
}
