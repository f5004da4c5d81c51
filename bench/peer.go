//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"penstock/internal/engines/launch"
)

// peerSource is where the Node peer lies, seen from the root of the repository.
const peerSource = "bench/peer"

// Forms of the peer.
const (
	peerPlain = "peer plain"
	peerTuned = "peer tuned"
)

// peer is the documents' design in Node: the server, its Redis, and its order processor. See bench/peer.
type peer struct {
	b         *bench
	name      string
	redis     *launch.Process
	database  string
	cmd       *exec.Cmd
	processor *exec.Cmd
	addr      string
}

func (b *bench) openPeers() error {
	node, err := exec.LookPath("node")
	npm, err2 := exec.LookPath("npm")
	if err = errors.Join(err, err2); err != nil {
		b.leave("Node peer", "it needs Node and npm: "+err.Error())
		return nil
	}
	install := exec.Command(npm, "ci", "--prefer-offline")
	install.Dir = peerSource
	if out, err := install.CombinedOutput(); err != nil {
		b.leave("Node peer", fmt.Sprintf("npm ci failed: %v: %s", err, out))
		return nil
	}
	for _, name := range []string{peerPlain, peerTuned} {
		p := &peer{b: b, name: name}
		b.peers = append(b.peers, p)
		if err := p.open(node); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (p *peer) open(node string) error {
	form := strings.TrimPrefix(p.name, "peer ")
	var err error
	if p.redis, err = p.b.engines.redis("peer-" + form); err != nil {
		return err
	}
	p.database = "peer_" + form
	if _, err := p.b.engines.database(p.database); err != nil {
		return err
	}
	redis := strconv.Itoa(p.redis.Port)
	if p.cmd, p.addr, err = p.run(node, "server.js", form, redis); err != nil {
		return err
	}
	p.processor, _, err = p.run(node, "processor.js", redis, strconv.Itoa(p.b.engines.mariadb.Port), p.database)
	if err != nil {
		return err
	}
	return errors.Join(p.offer(saleOpen, 1_000_000_000), p.offer(saleOut, 0), p.sell())
}

// run starts a script and returns the first line that it prints.
func (p *peer) run(node, script string, args ...string) (*exec.Cmd, string, error) {
	cmd := exec.Command(node, append([]string{script}, args...)...)
	cmd.Dir, cmd.SysProcAttr = peerSource, orphan()
	log, err := p.b.log(filepath.Base(p.redis.Dir) + "-" + script)
	if err != nil {
		return nil, "", err
	}
	defer log.Close()
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return cmd, "", fmt.Errorf("%s did not start; see %s: %w", script, log.Name(), err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	return cmd, strings.TrimSpace(line), nil
}

// offer makes a sale as the documents do: its activity and its stock are two keys.
func (p *peer) offer(sale string, stock int) error {
	item := sale + "/sku-1"
	_, err := p.ask(`SET flashsale:activity:` + item + ` "{\"startTime\":0,\"price\":19900,\"currency\":\"EUR\"}"`)
	if err != nil {
		return err
	}
	_, err = p.ask(fmt.Sprintf("SET flashsale:stock:%s %d", item, stock))
	return err
}

// ask sends one inline command.
func (p *peer) ask(command string) (string, error) {
	answer, err := launch.RedisCommand(context.Background(), p.redis.Addr(), command)
	if err == nil && strings.HasPrefix(answer, "-") {
		err = errors.New(answer)
	}
	return answer, err
}

func (p *peer) round() error {
	wins := contest{figure: p.name + " wins", addrs: []string{p.addr}, sale: saleOpen, status: http.StatusCreated}
	written, err := p.written()
	if err != nil {
		return err
	}
	began, used := time.Now(), p.watch()
	t, err := p.b.attempts(wins)
	if err != nil {
		return err
	}
	p.b.f.add(wins.figure, perSecond, t.rate()).note = fmt.Sprintf("%d bytes out", t.body)
	used.add(&p.b.f, p.name, "win", t.total)
	after, err := p.written()
	if err != nil {
		return err
	}
	p.b.f.add(p.name+" orders written beside the wins", perSecond, float64(after-written)/time.Since(began).Seconds())
	t, err = p.b.attempts(contest{figure: p.name + " refusals", addrs: []string{p.addr}, sale: saleOut, status: http.StatusConflict})
	if err == nil {
		p.b.f.add(p.name+" refusals", perSecond, t.rate()).note = fmt.Sprintf("%d bytes out", t.body)
	}
	return err
}

// written counts the rows of the order processor.
func (p *peer) written() (n int64, err error) {
	db, err := launch.OpenMariaDB(p.b.engines.mariadb.Addr())
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return n, db.QueryRow("SELECT COUNT(*) FROM " + p.database + ".orders").Scan(&n)
}

// number asks Redis for a number.
func (p *peer) number(command string) (int64, error) {
	answer, err := p.ask(command)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimPrefix(answer, ":"), 10, 64)
}

func (p *peer) watch() *usage {
	own := append([]int{p.cmd.Process.Pid}, children(p.cmd.Process.Pid)...)
	return watch([]cpuOf{{"Node", own}, {"Redis", []int{p.redis.PID()}}})
}

func (p *peer) close() error {
	var all []error
	for _, cmd := range []*exec.Cmd{p.cmd, p.processor} {
		if cmd != nil && cmd.ProcessState == nil {
			all = append(all, cmd.Process.Kill())
			_ = cmd.Wait() // it says that it was killed
		}
	}
	return errors.Join(all...)
}
