//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"penstock/auth"
)

// bench is one run.
type bench struct {
	o      options
	dir    string
	keys   string // the key ring that all servers share
	ring   *auth.Ring
	buyers int64 // users so far; each attempts once
	f      figures
	notRun []string
	// last is set in the last round.
	last bool
	busy string // load average at the start

	bare     *bare
	embedded *site
	chain    []*site // with all stages, and with none that can be off
	cockpit  []*site // one server: with no console, and with a cockpit open
	shared   []*site
	peers    []*peer
	engines  *engineSet
	losses   []string
}

const warm = 300 * time.Millisecond

func run(o options) error {
	dir, err := os.MkdirTemp(".", "bench-run-")
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	b := &bench{o: o, dir: dir, keys: filepath.Join(dir, "keys.json"), busy: loadAverage()}
	err = errors.Join(b.all(), b.close())
	if o.keep || err != nil {
		fmt.Fprintln(os.Stderr, "logs and data are in", dir)
		return err
	}
	return os.RemoveAll(dir)
}

func (b *bench) all() error {
	var err error
	if b.ring, err = auth.Open(b.keys, auth.Options{}); err != nil {
		return err
	}
	if err := b.open(); err != nil {
		return err
	}
	for i := range b.o.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", i+1, b.o.rounds)
		b.last = i == b.o.rounds-1
		if err := errors.Join(b.round(), b.chainRound(i), b.cockpitRound(i)); err != nil {
			return err
		}
	}
	if err := b.lose(); err != nil {
		return err
	}
	b.report(os.Stdout)
	if err := b.million(); err != nil {
		return err
	}
	return b.rooms(os.Stdout)
}

// open starts every contestant. What cannot be had here is left out and said.
func (b *bench) open() error {
	if b.o.parts[partEmbedded] || b.o.parts[partClaims] {
		if err := b.openEmbedded(); err != nil {
			return err
		}
	}
	if b.o.parts[partChain] {
		if err := b.openChain(); err != nil {
			return err
		}
	}
	if b.o.parts[partCockpit] {
		if err := b.openCockpit(); err != nil {
			return err
		}
	}
	if !b.o.parts[partEngines] && !b.o.parts[partPeer] {
		return nil
	}
	if err := b.openEngines(); err != nil || b.engines == nil {
		return err
	}
	if b.o.parts[partEngines] {
		if err := b.openShared(); err != nil {
			return err
		}
	}
	if b.o.parts[partPeer] {
		return b.openPeers()
	}
	return nil
}

// round runs every contestant once. Order writers run beside the wins; what they leave is drained before the next contestant.
func (b *bench) round() error {
	if b.o.parts[partEmbedded] {
		if err := b.bare.round(b, b.embedded); err != nil {
			return err
		}
	}
	for _, s := range b.shared {
		if err := errors.Join(s.wins(), s.refusals()); err != nil {
			return err
		}
	}
	for _, p := range b.peers {
		if err := p.round(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) close() error {
	var all []error
	for _, p := range b.peers {
		all = append(all, p.close())
	}
	for _, s := range slices.Concat(b.shared, b.chain, b.cockpit, []*site{b.embedded}) {
		all = append(all, s.close())
	}
	all = append(all, b.bare.close())
	if b.engines != nil {
		all = append(all, b.engines.close())
	}
	return errors.Join(all...)
}

// leave notes what is not run.
func (b *bench) leave(what, why string) {
	b.notRun = append(b.notRun, fmt.Sprintf("%s: not run, because %s", what, why))
}

// log opens the log of a process.
func (b *bench) log(name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(b.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// orphan makes a child a group of its own that dies with this process.
func orphan() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
