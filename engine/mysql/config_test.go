package mysql_test

import (
	"fmt"
	"strings"
	"testing"

	"penstock/engine/mysql"
)

// A URL says server, user and database, and its password is never printed.
func TestParse(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		mysql.Example:                             "mysql://penstock:…@127.0.0.1:3306/penstock",
		"mysql://ann@db.example/shop":             "mysql://ann@db.example:3306/shop",
		"mysql://ann:p%40ss%2Fw@[::1]:13306/shop": "mysql://ann:…@[::1]:13306/shop",
		" mysql://ann:secret@db:1?tls=true ":      "mysql://ann:…@db:1/",
		"mysql://a%40b:secret@db/x?tls=false":     "mysql://a%40b:…@db:3306/x",
	} {
		c, err := mysql.Parse(raw)
		if err != nil || c.String() != want {
			t.Errorf("%s: %s, %v; wanted %s", raw, c, err, want)
		}
		if shown := fmt.Sprintf("%v %+v %#v %s", c, c, c, c.With("other")); strings.Contains(shown, "secret") || strings.Contains(shown, "p@ss") {
			t.Errorf("%s prints as %s", raw, shown)
		}
	}
}

// A wrong URL is refused with the name of what is wrong and a valid example, and without the password.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                                         "begin with mysql://",
		"postgres://ann:secret@db/shop":            "begin with mysql://",
		"ann:secret@tcp(db:3306)/shop":             "begin with mysql://",
		"mysql://ann:secret@:3306/shop":            "names no host",
		"mysql://db:3306/shop":                     "names no user",
		"mysql://ann:secret@db:0/shop":             `port "0"`,
		"mysql://ann:secret@db:http/shop":          "the port is a number",
		"mysql://ann:secret%zz@db/shop":            "% as %25",
		"mysql://ann:secret@db/a/b":                `database name "a/b"`,
		"mysql://ann:x@a/b,mysql://bob:secret@c/d": "database name after the host",
		"mysql://ann:secret@db/shop?parse=1":       `parameter "parse" is unknown`,
		"mysql://ann:secret@db/shop?tls=yes":       "tls=yes is none of",
		"mysql://ann:secret@db/shop?ca=/x.pem":     "ca is given without tls=true",
		"mysql://ann:secret@x#secret@db/shop":      "#",
		"mysql://ann:secret/1@db:3306/shop":        "/ as %2F",
		"mysql://ann:secret@db/" + longName(65):    "database name",
	} {
		_, err := mysql.Parse(raw)
		switch {
		case err == nil:
			t.Errorf("%s was accepted", raw)
		case !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), mysql.Example):
			t.Errorf("%s: %v; wanted it to say %s", raw, err, want)
		case strings.Contains(strings.ReplaceAll(err.Error(), mysql.Example, ""), "secret"):
			t.Errorf("the password is in: %v", err)
		}
	}
}

func longName(n int) string { return strings.Repeat("x", n) }

// Options out of range are refused by name.
func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]mysql.Options{
		"Pool": {Pool: -1}, "Reply": {Reply: 1e9}, "LockWait": {LockWait: 1}, "Lifetime": {Lifetime: -1}, "Abandon": {Abandon: 1},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s out of range: %v", name, err)
		}
	}
	if err := (mysql.Options{}).Validate(); err != nil {
		t.Error(err)
	}
}

// Value lists are as long and as wide as asked.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	if got := mysql.Placeholders(2, 3); got != "(?,?,?),(?,?,?)" {
		t.Error(got)
	}
	if got := mysql.Placeholders(1, 1); got != "(?)" {
		t.Error(got)
	}
}
