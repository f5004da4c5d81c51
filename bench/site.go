//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"penstock/auth"
)

// Sales of every contestant: one that never ends, one whose only unit is bought.
const (
	saleOpen = "bench"
	saleOut  = "bench-out"
)

// site is a Penstock of one process or several on shared engines. The first serves the operator.
type site struct {
	b       *bench
	name    string
	servers []*server
	// beside are the processes of its engines, for their share of the work.
	beside   []cpuOf
	database string // its name; "" embedded
	won      int64
}

func (s *site) addrs() []string {
	var all []string
	for _, server := range s.servers {
		all = append(all, server.Public)
	}
	return all
}

// prepare makes the sales.
func (s *site) prepare() error {
	if err := s.servers[0].offer(saleOpen, 1_000_000_000); err != nil {
		return err
	}
	return s.sellOut()
}

// sellOut makes a sale whose only unit is bought and paid for.
func (s *site) sellOut() error {
	first := s.servers[0]
	if err := first.offer(saleOut, 1); err != nil {
		return err
	}
	pass, err := s.b.ring.MintPass("first", saleOut, time.Now(), time.Hour)
	if err != nil {
		return err
	}
	token, err := s.b.ring.Sign(auth.Claims{User: "first", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		return err
	}
	var a struct{ Order string }
	code, err := first.call(http.MethodPost, first.Public+"/v1/sales/"+saleOut+"/attempts", pass, wish{"sku-1", 1}, &a)
	if err != nil || code != http.StatusCreated {
		return fmt.Errorf("buy the only unit: %d %w", code, err)
	}
	var raw json.RawMessage
	code, err = first.call(http.MethodPost, first.Public+"/v1/orders/"+a.Order+"/payments", token, map[string]string{"method": "sandbox"}, &raw)
	if err != nil || code != http.StatusCreated {
		return fmt.Errorf("pay for the only unit: %d %s %w", code, raw, err)
	}
	return first.drain()
}

// wins runs the wins, with the order writer beside them, and then lets it finish.
func (s *site) wins() error {
	b := s.b
	profiled := s.profile("wins")
	used := s.watch()
	t, err := b.attempts(contest{figure: s.name + " wins", addrs: s.addrs(), sale: saleOpen, status: http.StatusCreated, others: doubts})
	if err = errors.Join(err, <-profiled); err != nil {
		return err
	}
	b.f.add(s.name+" wins", perSecond, t.rate()).note = fmt.Sprintf("%d bytes out%s", t.body, t.doubtful())
	used.add(&b.f, s.name, "win", t.total)
	s.won += t.total
	return s.settle(t)
}

// settle measures the order writer: beside the wins, by what it has left, and after them.
func (s *site) settle(t tally) error {
	inFlight, _, err := s.servers[0].inFlight()
	if err != nil {
		return err
	}
	var left int64
	for name, n := range inFlight {
		if strings.HasPrefix(name, "bus.") {
			left += n // messages that the order writer has not got yet
		}
	}
	began := time.Now()
	if err := s.servers[0].drain(); err != nil {
		return err
	}
	s.b.f.add(s.name+" orders written beside the wins", perSecond, float64(max(t.total-left, 0))/(t.took+warm).Seconds())
	if left > 1000 {
		s.b.f.add(s.name+" orders written after the wins", perSecond, float64(left)/time.Since(began).Seconds())
	}
	return nil
}

// refusals run for longer before they count: until a gate has read from a shared database who has bought, which it does once a
// second while somebody is refused, each refusal is looked up there.
func (s *site) refusals() error {
	c := contest{figure: s.name + " refusals", addrs: s.addrs(), sale: saleOut, status: http.StatusConflict, others: doubts}
	if s.database != "" {
		c.warm = 2 * time.Second
	}
	profiled := s.profile("refusals")
	used := s.watch()
	t, err := s.b.attempts(c)
	if err = errors.Join(err, <-profiled); err == nil {
		used.add(&s.b.f, s.name, "refusal", t.total)
		s.b.f.add(s.name+" refusals", perSecond, t.rate()).note = fmt.Sprintf("%d bytes out%s", t.body, t.doubtful())
	}
	return err
}

// doubts are the answers that are neither a win nor a refusal: not yet known, shed.
var doubts = []int{http.StatusAccepted, http.StatusTooManyRequests, http.StatusServiceUnavailable}

// profile takes profiles of all processes in the last round, if wanted.
func (s *site) profile(answer string) <-chan error {
	done := make(chan error, 1)
	if s.b.o.profile == "" || !s.b.last {
		done <- nil
		return done
	}
	go func() {
		var wg sync.WaitGroup
		all := make([]error, 2*len(s.servers))
		for i, server := range s.servers {
			for j, kind := range []string{"profile", "allocs"} {
				name := fmt.Sprintf("%s-%d-%s-%s.pprof", strings.ReplaceAll(s.name, " ", "-"), i+1, answer, kind)
				wg.Go(func() { all[2*i+j] = server.profile(kind, filepath.Join(s.b.o.profile, name), s.b.o.slice) })
			}
		}
		wg.Wait()
		done <- errors.Join(all...)
	}()
	return done
}

func (s *site) close() error {
	var all []error
	if s != nil {
		for _, server := range s.servers {
			all = append(all, server.stop())
		}
	}
	return errors.Join(all...)
}

// watch notes the CPU time of everything that works for the site.
func (s *site) watch() *usage {
	var own []int
	for _, server := range s.servers {
		own = append(own, server.cmd.Process.Pid)
	}
	return watch(append([]cpuOf{{"penstock", own}}, s.beside...))
}
