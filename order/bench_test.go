package order

import (
	"context"
	"database/sql"
	"fmt"
	"syscall"
	"testing"
	"time"

	bus "penstock/bus/driver"
	"penstock/order/shard"
)

const poll = 500

// BenchmarkHandle writes new orders with their events from poll batches of 500 messages into the eight databases, synced.
// ns/order is wall time; cpu-ns/order is what the process took of the processors.
func BenchmarkHandle(b *testing.B) {
	s, msgs := won(b, b.N*poll)
	measure(b, func(i int) { s.handle(msgs[i*poll : (i+1)*poll]...) })
}

// BenchmarkHandleOneDatabase is the same where all users of a poll batch live in one database, so that its batches are full.
func BenchmarkHandleOneDatabase(b *testing.B) {
	s, all := won(b, b.N*poll*10)
	msgs := all[:0]
	for _, m := range all {
		if isIn(s, m.User, 0) {
			msgs = append(msgs, m)
		}
	}
	if len(msgs) < b.N*poll {
		b.Fatalf("only %d messages are for database 0", len(msgs))
	}
	measure(b, func(i int) { s.handle(msgs[i*poll : (i+1)*poll]...) })
}

// BenchmarkBare is the peer: the same rows put into one table without an index and without events, 100 in a transaction,
// synced.
func BenchmarkBare(b *testing.B) {
	s, msgs := won(b, b.N*poll)
	ctx := context.Background()
	db := s.files.DB(0)
	if _, err := db.W.ExecContext(ctx, "CREATE TABLE bare AS SELECT * FROM "+shard.TableName(0, 0)); err != nil {
		b.Fatal(err)
	}
	measure(b, func(i int) {
		for n := 0; n < poll; n += 100 {
			if err := db.Tx(ctx, func(tx *sql.Tx) error {
				st, err := tx.PrepareContext(ctx, "INSERT INTO bare VALUES(?,?,?,?,?,'pending_payment',?,?,0,?,?,?,2,NULL,?)")
				for _, m := range msgs[i*poll+n : i*poll+n+100] {
					if err == nil {
						var c change
						if err = c.read(&m, 1); err != nil {
							break
						}
						_, err = st.ExecContext(ctx, int64(c.ID), c.own.User, c.own.Sale, c.own.Key, c.own.Items, c.own.Amount, c.own.Currency,
							c.own.Created, c.own.PayBefore, c.at, c.own.Trace)
					}
				}
				return err
			}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkReads tells what an owner's look at an order costs, and a page of 50 of his list, and of an operator's.
func BenchmarkReads(b *testing.B) {
	s, msgs := won(b, 20_000)
	for i := 0; i < len(msgs); i += poll {
		s.handle(msgs[i : i+poll]...)
	}
	ctx := context.Background()
	user, id := msgs[77].User, s.firstID()
	for name, read := range map[string]func() error{
		"get":  func() error { _, err := s.Get(ctx, "", id); return err },
		"own":  func() error { _, _, err := s.List(ctx, user, "", 50); return err },
		"list": func() error { _, _, err := s.List(ctx, "", "", 50); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// won returns the messages of n claims of as many users.
func won(b *testing.B, n int) (*bundle, []bus.Message) {
	s := setup(b, Options{})
	for i := range n {
		a := s.claims.win(fmt.Sprintf("buyer-%07d", i))
		s.claims.acknowledge(a.ID)
		if i%50 == 0 {
			s.clk.Advance(time.Millisecond)
		}
	}
	return s, s.claims.messages()
}

func measure(b *testing.B, do func(i int)) {
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for i := range b.N {
		do(i)
	}
	b.StopTimer()
	rows := float64(b.N * poll)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/rows, "ns/order")
	b.ReportMetric(float64(cpuTime(b)-before)/rows, "cpu-ns/order")
}

func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
