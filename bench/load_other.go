//go:build !linux

package main

import (
	"errors"
	"time"
)

type load struct {
	addr   string
	conns  int
	next   func(buf []byte, n int64) []byte
	status int
}

type tally struct {
	answers int64
	took    time.Duration
	body    int
}

func (t tally) rate() float64 { return float64(t.answers) / t.took.Seconds() }

func (l load) run(_, _ time.Duration) (tally, error) {
	return tally{}, errors.New("the load generator needs Linux (epoll)")
}
