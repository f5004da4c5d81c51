//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"syscall"
	"time"

	"penstock/internal/engines/launch"
	"penstock/order/shard"
)

// few is the stock that the peer must sell out exactly before its rates count.
const few = 1000

// sell makes sure that the peer does what it is measured at: it sells a small stock to the last unit and no further, and every
// unit sold is in its queue or written.
func (p *peer) sell() error {
	if err := p.offer("few", few); err != nil {
		return err
	}
	passes, err := p.b.passes("few", 3*few)
	if err != nil {
		return err
	}
	c := contest{addrs: []string{p.addr}, status: http.StatusCreated, others: []int{http.StatusConflict}}
	t, err := p.b.load(c, "/v1/sales/few/attempts", func(n int64) string {
		if n >= int64(len(passes)) {
			return ""
		}
		return passes[n]
	}).run(0, 2*time.Second)
	if err != nil {
		return err
	}
	recorded, err := p.number("LLEN flashsale:orders:few/sku-1")
	if refused := t.others[http.StatusConflict]; err == nil && (t.total != few || recorded != few || refused == 0) {
		err = fmt.Errorf("of %d units it sold %d and recorded %d; it refused %d attempts", few, t.total, recorded, refused)
	}
	return err
}

// lose kills the tuned peer and the one process on MariaDB and Redis with −9 while they sell, and counts units that have
// neither a buyer's order nor a place in the stock any more.
func (b *bench) lose() error {
	for _, p := range b.peers {
		if err := p.lose(); err != nil {
			return err
		}
	}
	if len(b.shared) > 0 {
		return b.shared[0].lose()
	}
	return nil
}

func (p *peer) lose() error {
	const sale, stock = "killed", 1_000_000
	if err := p.offer(sale, stock); err != nil {
		return err
	}
	won, err := p.b.interrupt(contest{addrs: []string{p.addr}, sale: sale, status: http.StatusCreated}, func() error {
		return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	})
	if err != nil {
		return err
	}
	_ = p.cmd.Wait() // it says that it was killed
	item := sale + "/sku-1"
	left, err := p.number("GET flashsale:stock:" + item)
	if err != nil {
		return err
	}
	recorded, err := p.number("LLEN flashsale:orders:" + item)
	if err != nil {
		return err
	}
	queued, err := p.queued(item)
	if err != nil {
		return err
	}
	p.b.losses = append(p.b.losses, fmt.Sprintf("%-22s %d wins answered, %d units taken, %d orders queued, %d recorded: %d units lost",
		p.name, won, stock-left, queued, recorded, stock-left-queued))
	return nil
}

// queued counts the orders of an item that are in the queue or have been written, once the processor pauses in between.
func (p *peer) queued(item string) (int64, error) {
	if err := errors.Join(p.processor.Process.Kill(), wait(p.processor)); err != nil {
		return 0, err
	}
	waiting, err := p.number(`EVAL "local n = 0 for _, o in ipairs(redis.call('lrange', 'flashsale:queue', 0, -1)) do if string.find(o, ARGV[1], 1, true) then n = n + 1 end end return n" 0 ` + item)
	if err != nil {
		return 0, err
	}
	db, err := launch.OpenMariaDB(p.b.engines.mariadb.Addr())
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var written int64
	err = db.QueryRow("SELECT COUNT(*) FROM "+p.database+".orders WHERE sku_id = ?", item).Scan(&written)
	return waiting + written, err
}

func wait(cmd *exec.Cmd) error {
	var killed *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &killed) {
		return err
	}
	return nil
}

// lose kills the process, starts it again and counts what it holds against the orders it has written.
func (s *site) lose() error {
	const sale, stock = "killed", 1_000_000
	server := s.servers[0]
	if err := server.offer(sale, stock); err != nil {
		return err
	}
	won, err := s.b.interrupt(contest{addrs: s.addrs(), sale: sale, status: http.StatusCreated, others: doubts}, server.kill)
	if err != nil {
		return err
	}
	if err := errors.Join(server.start(s.b), server.drain()); err != nil {
		return err
	}
	held, err := server.held(sale)
	if err != nil {
		return err
	}
	orders, err := s.orders(sale)
	if err != nil {
		return err
	}
	s.b.losses = append(s.b.losses, fmt.Sprintf("%-22s %d wins answered, %d units taken, %d orders written: %d units lost", s.name, won, held, orders, held-orders))
	return nil
}

// orders counts the rows of a sale in all tables.
func (s *site) orders(sale string) (n int64, err error) {
	db, err := launch.OpenMariaDB(s.b.engines.mariadb.Addr())
	if err != nil {
		return 0, err
	}
	defer db.Close()
	for d := range shard.Databases {
		for t := range shard.Tables {
			var rows int64
			query := fmt.Sprintf("SELECT COUNT(*) FROM `%s_orders_%d`.%s WHERE sale = ?", s.database, d, shard.TableName(d, t))
			if err := db.QueryRowContext(context.Background(), query, sale).Scan(&rows); err != nil {
				return 0, err
			}
			n += rows
		}
	}
	return n, nil
}

// interrupt runs a contest, kills who answers it in the middle, and returns the number of wins that were answered.
func (b *bench) interrupt(c contest, kill func() error) (int64, error) {
	passes, err := b.passes(c.sale, 200_000)
	if err != nil {
		return 0, err
	}
	killed := make(chan error, 1)
	time.AfterFunc(time.Second, func() { killed <- kill() })
	t, broken := b.load(c, "/v1/sales/"+c.sale+"/attempts", func(n int64) string {
		if n >= int64(len(passes)) {
			return ""
		}
		return passes[n]
	}).run(0, 2*time.Second)
	if err := <-killed; err != nil {
		return 0, err
	}
	if broken == nil {
		return 0, errors.New("nothing was interrupted")
	}
	return t.total, nil
}
