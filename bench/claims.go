//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// fill is how long claims are added; on a busy machine there are fewer, and the report says how many.
const fill = time.Minute

// million fills the embedded sale up to the wanted number of claims and measures memory and start-up.
func (b *bench) million() error {
	if !b.o.parts[partClaims] || b.o.claims == 0 {
		return nil
	}
	for began := time.Now(); b.embedded.won < int64(b.o.claims) && time.Since(began) < fill; {
		fmt.Fprintf(os.Stderr, "%d of %d claims\n", b.embedded.won, b.o.claims)
		t, err := b.attempts(contest{figure: "embedded wins", addrs: b.embedded.addrs(), sale: saleOpen, status: http.StatusCreated, others: doubts})
		if err != nil {
			return err
		}
		b.embedded.won += t.total
		if err := b.embedded.servers[0].drain(); err != nil {
			return err
		}
	}
	s, empty := b.embedded.servers[0], b.bare.empty
	claims, err := s.held(saleOpen)
	if err != nil {
		return err
	}
	running, err := s.rss()
	if err != nil {
		return err
	}
	var times []float64
	var settled int64
	for range 3 {
		if err := errors.Join(s.stop(), s.start(b)); err != nil {
			return err
		}
		times = append(times, s.readyIn.Seconds())
		if settled, err = s.rss(); err != nil {
			return err
		}
	}
	fmt.Printf("\nat %d claims of one open sale, embedded\n", claims)
	fmt.Printf("memory, empty server           %d MiB\n", empty>>20)
	fmt.Printf("memory after the load          %d MiB, %d B per claim\n", running>>20, (running-empty)/claims)
	fmt.Printf("memory after a restart         %d MiB, %d B per claim\n", settled>>20, (settled-empty)/claims)
	fmt.Printf("start to ready                 %s s\n", of(times).text(plain))
	return nil
}

// held asks the server how many units of a sale it holds: the claims, one unit each.
func (s *server) held(sale string) (int64, error) {
	var v struct{ Items []struct{ Held int64 } }
	_, err := s.call(http.MethodGet, s.Admin+"/admin/v1/stock?sale="+sale, s.token, nil, &v)
	if err == nil && (len(v.Items) != 1 || v.Items[0].Held == 0) {
		err = fmt.Errorf("the server holds nothing: %+v", v)
	}
	if err != nil {
		return 0, err
	}
	return v.Items[0].Held, nil
}
