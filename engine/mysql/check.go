package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// errReadsOnly says that the server does not write at present.
var errReadsOnly = errors.New("the server only reads (read_only is on, as on a replica)")

// wrongError is something that only a person can mend.
type wrongError struct{ error }

func (e *wrongError) Unwrap() error { return e.error }

func wrong(format string, args ...any) error { return &wrongError{fmt.Errorf(format, args...)} }

// check finds out whom we talk to and whether a commit means what it says.
func (db *DB) check(ctx context.Context) error {
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&db.Version); err != nil {
		return err
	}
	db.Flavour = flavour(db.Version)
	if err := oldEnough(db.Flavour, db.Version); err != nil {
		return err
	}
	checks := []func(context.Context) error{db.checkSession, db.checkCharset}
	if !db.opt.ReadOnly {
		checks = append(checks, db.checkWritable, db.checkDurable, db.checkPrivileges)
	}
	for _, f := range checks {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return nil
}

func flavour(version string) Flavour {
	switch {
	case strings.Contains(version, "TiDB"):
		return TiDB
	case strings.Contains(version, "MariaDB"):
		return MariaDB
	}
	return MySQL
}

// oldest is the first release of a family with what is used here: row locks on READ COMMITTED with strict mode alone would be
// had earlier, but older ones get no mends any more.
var oldest = map[Flavour][2]int{MySQL: {8, 0}, MariaDB: {10, 6}, TiDB: {6, 5}}

func oldEnough(f Flavour, version string) error {
	plain := strings.TrimPrefix(version, "5.5.5-") // MariaDB's disguise for old replicas
	if _, own, found := strings.Cut(plain, "TiDB-v"); found {
		plain = own
	}
	parts := strings.SplitN(plain, ".", 3)
	if len(parts) < 2 {
		return nil
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	want := oldest[f]
	if err1 != nil || err2 != nil || major > want[0] || major == want[0] && minor >= want[1] {
		return nil
	}
	return wrong("%s %s is too old: use %s %d.%d or newer", f, version, f, want[0], want[1])
}

// checkSession makes sure that what a session asks for is what it has: something between us and the server may swallow it.
func (db *DB) checkSession(ctx context.Context) error {
	isolation := "@@session.transaction_isolation"
	if db.Flavour == MariaDB {
		isolation = "@@session.tx_isolation"
	}
	var mode, zone, charset, level string
	err := db.QueryRowContext(ctx, "SELECT @@session.sql_mode, @@session.time_zone, @@session.character_set_client, "+isolation).
		Scan(&mode, &zone, &charset, &level)
	if err != nil {
		return err
	}
	for _, v := range []struct {
		name, got string
		good      bool
	}{
		{"sql_mode", mode, strings.Contains(mode, "STRICT_ALL_TABLES")},
		{"time_zone", zone, zone == "+00:00"},
		{"character_set_client", charset, charset == "utf8mb4"},
		{"transaction isolation", level, level == "READ-COMMITTED"},
	} {
		if !v.good {
			return wrong("the session's %s is %q although another was set: connect to the server itself, "+
				"or let the proxy in between pass SET statements on", v.name, v.got)
		}
	}
	return nil
}

func (db *DB) checkCharset(ctx context.Context) error {
	var charset string
	name := db.config.database
	err := db.QueryRowContext(ctx, "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = ?", name).
		Scan(&charset)
	if err != nil {
		return err
	}
	if charset != "utf8mb4" {
		return wrong("the character set of database %s is %s, which cannot hold every name: "+
			"ALTER DATABASE %s CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", name, charset, quote(name))
	}
	return nil
}

func (db *DB) checkWritable(ctx context.Context) error {
	if db.Flavour == TiDB {
		return nil
	}
	var readOnly bool
	if err := db.QueryRowContext(ctx, "SELECT @@global.read_only").Scan(&readOnly); err != nil {
		return err
	}
	if readOnly {
		return fmt.Errorf("%w: name the primary in the URL, or make this server one by SET GLOBAL read_only = 0", errReadsOnly)
	}
	return nil
}

// checkDurable refuses a server that says yes before it has synced. TiDB has no such switch.
func (db *DB) checkDurable(ctx context.Context) error {
	if db.Flavour == TiDB {
		return nil
	}
	var flush, syncBinlog int64
	var binlog bool
	err := db.QueryRowContext(ctx, "SELECT @@global.innodb_flush_log_at_trx_commit, @@global.log_bin, @@global.sync_binlog").
		Scan(&flush, &binlog, &syncBinlog)
	if err != nil {
		return err
	}
	if flush != 1 {
		return wrong("innodb_flush_log_at_trx_commit is %d, so a power cut takes back what was promised: "+
			"SET GLOBAL innodb_flush_log_at_trx_commit = 1, and set it in the server's configuration file", flush)
	}
	if binlog && syncBinlog != 1 {
		db.Warnings = append(db.Warnings, fmt.Sprintf("sync_binlog is %d: after a power cut replicas and backups may miss "+
			"what the primary has; SET GLOBAL sync_binlog = 1", syncBinlog))
	}
	return nil
}

// needed are the privileges without which rooms could not keep or migrate their tables.
var needed = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX"}

// checkPrivileges names what the user lacks. Privileges that come by a role cannot be listed on every server, and TiDB does not
// list those on a database; then the first statement that lacks one says so.
func (db *DB) checkPrivileges(ctx context.Context) error {
	if db.Flavour == TiDB {
		return nil
	}
	var user string
	var role sql.NullString
	if err := db.QueryRowContext(ctx, "SELECT CURRENT_USER(), CURRENT_ROLE()").Scan(&user, &role); err != nil {
		return err
	}
	if role.Valid && role.String != "" && role.String != "NONE" {
		return nil
	}
	at := strings.LastIndex(user, "@")
	if at < 0 {
		return nil
	}
	grantee := "'" + user[:at] + "'@'" + user[at+1:] + "'"
	has, err := db.privileges(ctx, grantee)
	if err != nil {
		return err
	}
	var lacking []string
	for _, p := range needed {
		if !has[p] {
			lacking = append(lacking, p)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	list := strings.Join(lacking, ", ")
	return wrong("user %s lacks %s in database %s: GRANT %s ON %s.* TO %s", grantee, list, db.config.database,
		list, quote(db.config.database), grantee)
}

func (db *DB) privileges(ctx context.Context, grantee string) (map[string]bool, error) {
	rows, err := db.QueryContext(ctx, `SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = ?
		UNION SELECT privilege_type FROM information_schema.schema_privileges WHERE grantee = ? AND ? LIKE table_schema`,
		grantee, grantee, db.config.database)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	has := map[string]bool{}
	for rows.Next() {
		var p string
		if err := rows.Scan(&p); err != nil {
			return nil, err
		}
		has[strings.ToUpper(p)] = true
	}
	return has, rows.Err()
}
