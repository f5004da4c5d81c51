//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Figures that ratios are made of.
const (
	bareWins, bareRefusals = "bare net/http, win's JSON", "bare net/http, refusal's JSON"
	bareCommit             = "bare group commit, same rows"
)

// openEmbedded starts the embedded build and the bare peers beside it.
func (b *bench) openEmbedded() error {
	first, err := b.startServer(filepath.Join(b.dir, "embedded"))
	b.embedded = &site{b: b, name: "embedded", servers: []*server{first}}
	if err != nil {
		return err
	}
	if b.bare, err = b.openBare(); err != nil {
		return err
	}
	return b.embedded.prepare()
}

// bare are the peers that do nothing but what cannot be left out.
type bare struct {
	echo   *exec.Cmd
	addr   string
	commit *groupCommit
	empty  int64 // resident memory of the embedded server before its first sale
}

func (b *bench) openBare() (*bare, error) {
	p := &bare{}
	var err error
	if p.empty, err = b.embedded.servers[0].rss(); err != nil {
		return nil, err
	}
	if p.commit, err = openGroupCommit(b.dir); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p.echo = exec.Command(self, "-echo", "127.0.0.1:0")
	p.echo.Stderr, p.echo.SysProcAttr = os.Stderr, orphan()
	out, err := p.echo.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.echo.Start(); err != nil {
		return nil, err
	}
	if p.addr, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		return p, fmt.Errorf("the bare peer did not start: %w", err)
	}
	p.addr = strings.TrimSpace(p.addr)
	return p, nil
}

func (p *bare) round(b *bench, s *site) error {
	if err := p.answer(b, bareWins, "/win", http.StatusCreated); err != nil {
		return err
	}
	if err := s.wins(); err != nil {
		return err
	}
	t, err := p.commit.run(b.o.slice)
	if err != nil {
		return err
	}
	b.f.add(bareCommit, perSecond, t.rate())
	if err := p.answer(b, bareRefusals, "/refuse", http.StatusConflict); err != nil {
		return err
	}
	return s.refusals()
}

func (p *bare) answer(b *bench, figure, path string, status int) error {
	passes, err := b.passes(saleOpen, 1000)
	if err != nil {
		return err
	}
	c := contest{addrs: []string{p.addr}, status: status}
	t, err := b.load(c, path, func(n int64) string { return passes[n%1000] }).run(warm, b.o.slice)
	if err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	b.f.add(figure, perSecond, t.rate()).note = fmt.Sprintf("%d bytes out", t.body)
	return nil
}

func (p *bare) close() error {
	if p == nil {
		return nil
	}
	err := p.echo.Process.Kill()
	_ = p.echo.Wait() // it says that it was killed
	return errors.Join(err, p.commit.db.Close())
}
