//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"
)

// The two conditions of one server.
const noConsole, withCockpit = "no console", "a cockpit open"

// watched is what the cockpit of a sale watches.
func watched(sale string) string { return "/admin/v1/live?topic=sale:" + sale + "&topic=monitor" }

// openCockpit starts one server, which is measured without and with a cockpit of the sale that is attempted.
func (b *bench) openCockpit() error {
	s, err := b.startServer(filepath.Join(b.dir, "cockpit"))
	for _, name := range []string{noConsole, withCockpit} {
		b.cockpit = append(b.cockpit, &site{b: b, name: name, servers: []*server{s}})
	}
	if err != nil {
		return err
	}
	return b.cockpit[0].prepare()
}

// cockpitRound runs both conditions, each round the other one first: what a server has sold makes it slower.
func (b *bench) cockpitRound(n int) error {
	for i := range b.cockpit {
		s := b.cockpit[(i+n)%len(b.cockpit)]
		for _, part := range []struct {
			sale string
			run  func() error
		}{{saleOpen, s.wins}, {saleOut, s.refusals}, {saleOpen, s.rest}} {
			if err := s.seen(part.sale, part.run); err != nil {
				return err
			}
		}
	}
	return nil
}

// seen runs part, with a cockpit of the sale open if that is the condition. A stream that told nothing would make the figure worthless.
func (s *site) seen(sale string, part func() error) error {
	if s.name != withCockpit {
		return part()
	}
	told, end, err := s.servers[0].watch(watched(sale))
	if err != nil {
		return err
	}
	err = errors.Join(part(), end())
	if told() == 0 {
		err = errors.Join(err, fmt.Errorf("the cockpit of %s was told nothing", sale))
	}
	return err
}

// rest measures what a second costs in which nobody attempts: with a cockpit, the looks of its producer at what was sold before.
func (s *site) rest() error {
	seconds := max(1, int64(s.b.o.slice/time.Second))
	used := s.watch()
	time.Sleep(time.Duration(seconds) * time.Second)
	used.add(&s.b.f, s.name, "second of rest", seconds)
	return nil
}

// watch opens a stream of the operator's and reads it away until end; told is how many pieces have come.
func (s *server) watch(path string) (told func() int64, end func() error, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+path, http.NoBody)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		cancel()
		return nil, nil, errors.Join(fmt.Errorf("GET %s: %s", path, resp.Status), resp.Body.Close())
	}
	var n atomic.Int64
	done := make(chan error, 1)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			_, err := resp.Body.Read(buf)
			if err != nil {
				done <- errors.Join(unless(ctx.Err() != nil || errors.Is(err, io.EOF), err), resp.Body.Close())
				return
			}
			n.Add(1)
		}
	}()
	return n.Load, func() error { cancel(); return <-done }, nil
}

func unless(fine bool, err error) error {
	if fine {
		return nil
	}
	return err
}
