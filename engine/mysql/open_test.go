package mysql_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"penstock/engine/mysql"
	"penstock/internal/engines"
	"penstock/internal/faultproxy"
)

// A good server is opened with the session that was asked for, and nothing to warn about.
func TestOpen(t *testing.T) {
	t.Parallel()
	b := bench{engines.MariaDB(t)}
	c := parse(t, b.server.URL()).With("made-here")
	for range 2 {
		if err := mysql.EnsureDatabase(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	db := open(t, c, mysql.Options{})
	if db.Flavour != mysql.MariaDB || !strings.Contains(db.Version, "MariaDB") || len(db.Warnings) != 0 || db.Config().Database() != "made-here" {
		t.Fatalf("%s %s of %s, warnings %q", db.Flavour, db.Version, db.Config(), db.Warnings)
	}
	t.Run("keys compare as bytes", func(t *testing.T) { keysCompareAsBytes(t, b) })
	t.Run("clock", func(t *testing.T) { clockTells(t, db) })
	t.Run("what is wrong is said by name", func(t *testing.T) { saysWhatIsWrong(t, b) })
	t.Run("what is down is said to be down", func(t *testing.T) { saysWhatIsDown(t, b) })
	t.Run("settings of the server", func(t *testing.T) { saysWhichSetting(t, b) })
}

func keysCompareAsBytes(t *testing.T, b bench) {
	for _, prepared := range []bool{false, true} {
		db := b.table(t, mysql.Options{Prepared: prepared})
		ids := []string{"ann", "ann ", "Ann", "änn", "a\x00nn", "a'n\\n", "\xff\xfe"}
		for _, id := range ids {
			exec(t, db, "INSERT INTO item (id) VALUES (?)", []byte(id))
		}
		if n := count(t, db); n != len(ids) {
			t.Fatalf("prepared %v: %d ids are kept as %d rows", prepared, len(ids), n)
		}
		for _, id := range ids[:6] {
			var got string
			if err := db.QueryRowContext(t.Context(), "SELECT id FROM item WHERE id = ?", id).Scan(&got); err != nil || got != id {
				t.Errorf("prepared %v: %q reads as %q, %v", prepared, id, got, err)
			}
		}
		_, err := db.ExecContext(t.Context(), "INSERT INTO item (id) VALUES (?)", strings.Repeat("x", 65))
		if err == nil {
			t.Error("a value too long for its column was cut")
		}
		_, err = db.ExecContext(t.Context(), "INSERT INTO item (id) VALUES ('ann')")
		if !mysql.Duplicate(err) || mysql.Retry(err) || mysql.Lost(err) || mysql.Unavailable(err) {
			t.Errorf("a duplicate is classified wrongly: %v", err)
		}
	}
}

func clockTells(t *testing.T, db *mysql.DB) {
	var micros int64
	if err := db.QueryRowContext(t.Context(), "SELECT "+mysql.NowMicros).Scan(&micros); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(time.UnixMicro(micros)).Abs(); d > time.Minute {
		t.Fatalf("the server's clock is %v away", d)
	}
}

func saysWhatIsWrong(t *testing.T, b bench) {
	good := b.config(t)
	root := open(t, good, mysql.Options{})
	latin := b.config(t)
	exec(t, root, "ALTER DATABASE "+latin.Database()+" CHARACTER SET latin1")
	exec(t, root, "CREATE USER 'reader'@'%' IDENTIFIED BY 'geheim'")
	exec(t, root, "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON "+good.Database()+".* TO 'reader'@'%'")
	at := func(user, database string) mysql.Config {
		return parse(t, "mysql://"+user+"@"+b.server.Addr()+"/"+database)
	}
	for name, c := range map[string]struct {
		config mysql.Config
		says   []string
	}{
		"wrong password":   {at("reader:falsch", good.Database()), []string{"user reader", "mend user and password"}},
		"unknown user":     {at("nobody", good.Database()), []string{"user nobody", "mend user and password"}},
		"unknown database": {at("root", "nowhere"), []string{"no database nowhere", "CREATE DATABASE `nowhere`"}},
		"denied database":  {at("reader:geheim", "mysql"), []string{"user reader", "GRANT SELECT", "`mysql`.*"}},
		"no database":      {at("root", ""), []string{"names no database", mysql.Example}},
		"character set":    {latin, []string{"latin1", "ALTER DATABASE `" + latin.Database() + "` CHARACTER SET utf8mb4"}},
		"privileges": {at("reader:geheim", good.Database()), []string{
			"lacks ALTER, INDEX", "GRANT ALTER, INDEX ON `" + good.Database() + "`.* TO 'reader'@'%'"}},
		"no TLS": {at("root", good.Database()+"?tls=true"), []string{"tls=true", "ca="}},
	} {
		db, err := mysql.Open(t.Context(), c.config, mysql.Options{})
		if err == nil {
			t.Errorf("%s: it was opened", name)
			_ = db.Close()
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v; wanted it to say %q", name, err, s)
			}
		}
		if mysql.Unavailable(err) || strings.Contains(err.Error(), "falsch") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: unavailable, or with the password: %v", name, err)
		}
	}
}

func saysWhatIsDown(t *testing.T, b bench) {
	c := b.config(t)
	proxy := faultproxy.New(t, b.server.Addr())
	through := parse(t, "mysql://root@"+proxy.Addr()+"/"+c.Database())
	for name, spoil := range map[string]func(){"refused": proxy.Refuse, "reset": proxy.Reset, "black hole": proxy.BlackHole} {
		spoil()
		began := time.Now()
		_, err := mysql.Open(t.Context(), through, mysql.Options{Connect: 300 * time.Millisecond})
		if !mysql.Unavailable(err) || !strings.Contains(err.Error(), proxy.Addr()) || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s: it took %v to say so", name, took)
		}
	}
	proxy.BlackHole()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := mysql.Open(ctx, through, mysql.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("under an ended context: %v", err)
	}
	proxy.Pass()
	open(t, through, mysql.Options{})
}

func saysWhichSetting(t *testing.T, b bench) {
	c := b.config(t)
	root := open(t, c, mysql.Options{})
	set := func(name, value string) { exec(t, root, "SET GLOBAL "+name+" = "+value) }
	set("innodb_flush_log_at_trx_commit", "2")
	if _, err := mysql.Open(t.Context(), c, mysql.Options{}); err == nil || mysql.Unavailable(err) ||
		!strings.Contains(err.Error(), "SET GLOBAL innodb_flush_log_at_trx_commit = 1") {
		t.Errorf("a server that does not sync: %v", err)
	}
	set("innodb_flush_log_at_trx_commit", "1")
	set("sync_binlog", "0")
	if w := open(t, c, mysql.Options{}).Warnings; len(w) != 1 || !strings.Contains(w[0], "SET GLOBAL sync_binlog = 1") {
		t.Errorf("warnings about sync_binlog: %q", w)
	}
	set("sync_binlog", "1")
	set("read_only", "1")
	if _, err := mysql.Open(t.Context(), c, mysql.Options{}); !mysql.Unavailable(err) || !strings.Contains(err.Error(), "name the primary") {
		t.Errorf("a server that only reads: %v", err)
	}
	reader := open(t, c, mysql.Options{ReadOnly: true})
	if err := mysql.Migrate(t.Context(), reader, "x", []string{"CREATE TABLE x (y INT)"}, nil); err == nil {
		t.Error("a database that is only read was migrated")
	}
	set("read_only", "0")
}
