package mysql

import (
	"errors"
	"fmt"
	"time"
)

// Options tunes the connections. The zero value is good for a server in the same data centre.
type Options struct {
	// Pool is the most connections open at once, all of which may stay idle; 0 means 20.
	Pool int
	// Lifetime is after how long a connection is replaced, so that a moved server is found; 0 means 5 minutes.
	Lifetime time.Duration
	// Connect bounds dialling and logging in; 0 means 3 s.
	Connect time.Duration
	// Reply bounds the wait for each answer of the server, that to COMMIT included; 0 means 15 s. It must be longer than LockWait.
	Reply time.Duration
	// LockWait is how long a statement waits for a row lock before it fails with an error for which [Retry] is true, in whole
	// seconds; 0 means 5 s.
	LockWait time.Duration
	// Abandon is how long a session may say nothing before the server ends it and undoes its transaction, in whole seconds, so
	// that a process that is paused or cut off does not keep its locks; 0 means 30 s. The pool closes idle connections before.
	Abandon time.Duration
	// Prepared sends values apart from the statement's text, which costs a second round trip for each statement that the
	// caller has not prepared. By default values are written into the text, safely quoted.
	Prepared bool
	// Scripts lets one message have several statements, which the server runs in order up to the first that fails. Whoever writes
	// values into the text of statements must be sure of each.
	Scripts bool
	// ReadOnly says that the database is only read: a replica is welcome, and the checks that guard writes are left out.
	ReadOnly bool
}

// Validate names the first field that is out of range.
func (o Options) Validate() error {
	d := o.withDefaults()
	switch {
	case o.Pool < 0:
		return fmt.Errorf("mysql: Pool is %d; it must be positive, such as 20", o.Pool)
	case o.Lifetime < 0 || o.Connect < 0 || o.Reply < 0 || o.LockWait < 0 || o.Abandon < 0:
		return errors.New("mysql: Lifetime, Connect, Reply, LockWait and Abandon must be positive")
	case d.LockWait%time.Second != 0:
		return fmt.Errorf("mysql: LockWait is %v; it must be whole seconds, such as 5s", o.LockWait)
	case d.Abandon%time.Second != 0:
		return fmt.Errorf("mysql: Abandon is %v; it must be whole seconds, such as 30s", o.Abandon)
	case d.Reply <= d.LockWait:
		return fmt.Errorf("mysql: Reply (%v) must be longer than LockWait (%v), or a wait for a lock looks like a lost server", d.Reply, d.LockWait)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Pool == 0 {
		o.Pool = 20
	}
	if o.Lifetime == 0 {
		o.Lifetime = 5 * time.Minute
	}
	if o.Connect == 0 {
		o.Connect = 3 * time.Second
	}
	if o.Reply == 0 {
		o.Reply = 15 * time.Second
	}
	if o.Abandon == 0 {
		o.Abandon = 30 * time.Second
	}
	if o.LockWait == 0 {
		o.LockWait = 5 * time.Second
	}
	return o
}
