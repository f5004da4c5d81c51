package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/internal/ident"
	"penstock/order/driver"
	"penstock/order/shard"
	"penstock/order/sqliteorder"
)

// someOrders writes orders of as many users into a data directory and returns the id of the first, alice's.
func someOrders(t *testing.T, dir string, n int) ident.ID {
	t.Helper()
	s, err := sqliteorder.Open(t.Context(), filepath.Join(dir, "orders"), sqliteorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	gen, first := ident.NewGenerator(1, 0), ident.ID(0)
	for i := range n {
		user := "alice"
		if i > 0 {
			user = fmt.Sprint("u", i)
		}
		slot := ident.SlotOf(user)
		db, table := s.Map().Route(slot)
		o := driver.Order{ID: gen.Next(time.Now(), slot), User: user, Table: table, State: driver.Accepted, CreatedAt: time.Now(), PayBefore: time.Now()}
		if err := s.Database(db).Put(t.Context(), []driver.Order{o}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = o.ID
		}
	}
	return first
}

// An order and its user are said to be in the same table, the shares add up, and every order is in its place until one is not.
func TestShardCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id := someOrders(t, dir, 200)
	code, byID, errText := shell(t, "shard", "where", id.String())
	if code != 0 || !strings.Contains(byID, "orders_0073") || !strings.Contains(byID, "orders_2") {
		t.Errorf("exit %d: %s%s", code, byID, errText)
	}
	if code, byUser, _ := shell(t, "shard", "where", "--user", "alice"); code != 0 || byUser != byID {
		t.Errorf("exit %d: %s, by id: %s", code, byUser, byID)
	}
	code, out, errText := shell(t, "shard", "spread", "--data", dir, "--json")
	var spread struct {
		Orders            int64
		Databases, Tables []share
	}
	if err := json.Unmarshal([]byte(out), &spread); code != 0 || err != nil || spread.Orders != 200 || len(spread.Databases) != 8 || len(spread.Tables) != 256 {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errText)
	}
	if code, out, _ := shell(t, "shard", "spread", "--data", dir); code != 0 || !strings.Contains(out, "200 orders in 8 databases, 256 tables") || !strings.Contains(out, "###") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, out, errText := shell(t, "shard", "verify", "--data", dir); code != 0 || out != "pass: 200 orders looked at, 0 misplaced\n" {
		t.Errorf("exit %d: %s%s", code, out, errText)
	}
	s, err := sqliteorder.Open(t.Context(), filepath.Join(dir, "orders"), sqliteorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB(2).W.Exec(fmt.Sprintf("INSERT INTO %s SELECT * FROM %s", shard.TableName(2, 10), shard.TableName(2, 9))); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := shell(t, "shard", "verify", "--data", dir); code != exitFailed || !strings.Contains(out, id.String()+" is in orders_0074, its place is orders_0073") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, out, _ := shell(t, "shard", "verify", "--data", dir, "--json"); code != exitFailed || !strings.Contains(out, `"verdict": "fail"`) {
		t.Errorf("exit %d: %s", code, out)
	}
}

// What cannot be looked at is said with the exit code for it, and nothing is created.
func TestShardRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"shard", "verify", "--data", dir}, exitUnreachable, "has no orders"},
		{[]string{"shard", "spread", "--orders", "mysql://u:secret@127.0.0.1:1/penstock"}, exitUnreachable, "127.0.0.1:1"},
		{[]string{"shard", "where"}, exitUsage, "--user"},
		{[]string{"shard", "where", "x"}, exitUsage, `"x" is not an id`},
		{[]string{"shard", "wher"}, exitUsage, "where"},
	} {
		code, out, errText := shell(t, c.args...)
		if code != c.code || !strings.Contains(out+errText, c.want) || strings.Contains(out+errText, "secret") {
			t.Errorf("%q: exit %d\n%s%s", c.args, code, out, errText)
		}
	}
	if found, err := filepath.Glob(filepath.Join(dir, "*", "*.db")); err != nil || len(found) != 0 {
		t.Errorf("created %q: %v", found, err)
	}
}
