//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"penstock/auth"
)

// server is the binary under measurement as a process, durable as it always is, with every stage of its chain on: each buyer
// comes from an address of its own, told by a trusted proxy.
type server struct {
	dir                  string
	env                  []string
	cmd                  *exec.Cmd
	Public, Admin, Probe string
	token                string
	readyIn              time.Duration
}

// startServer starts the binary on a data directory and waits until it is ready. env is added to what every server has.
func (b *bench) startServer(dir string, env ...string) (*server, error) {
	s := &server{dir: dir, env: env}
	return s, s.start(b)
}

func (s *server) start(b *bench) error {
	if err := os.Remove(filepath.Join(s.dir, "listen.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	log, err := b.log(filepath.Base(s.dir))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(b.o.binary, "serve")
	s.cmd.Env = append(append(os.Environ(), "PENSTOCK_DATA="+s.dir, "PENSTOCK_KEYS_FILE="+b.keys, "PENSTOCK_LISTEN_PUBLIC=127.0.0.1:0",
		"PENSTOCK_LISTEN_ADMIN=127.0.0.1:0", "PENSTOCK_LISTEN_PROBE=127.0.0.1:0", "PENSTOCK_LISTEN_SANDBOX=127.0.0.1:0",
		"PENSTOCK_TRUSTEDPROXIES=127.0.0.0/8", "PENSTOCK_PPROF=true"), s.env...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = orphan()
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for !s.ready() {
		if time.Since(began) > 5*time.Minute {
			return errors.Join(errors.New("the server is not ready after 5 minutes; see "+log.Name()), s.kill())
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.readyIn = time.Since(began)
	s.token, err = b.ring.Sign(auth.Claims{User: "bench", Role: "operator", Expires: time.Now().Add(4 * time.Hour)})
	return err
}

func (s *server) ready() bool {
	b, err := os.ReadFile(filepath.Join(s.dir, "listen.json"))
	if err != nil || json.Unmarshal(b, s) != nil || s.Probe == "" {
		return false
	}
	resp, err := http.Get("http://" + s.Probe + "/health/ready")
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// call makes one call with a bearer token and decodes the answer into out, if it is not nil.
func (s *server) call(method, url, token string, body, out any) (int, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequest(method, "http://"+url, bytes.NewReader(b))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", `"bench-`+strconv.FormatInt(time.Now().UnixNano(), 36)+`"`)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && out != nil {
		err = json.Unmarshal(answer, out)
	}
	if err != nil {
		return resp.StatusCode, fmt.Errorf("%s %s: %d %s: %w", method, url, resp.StatusCode, answer, err)
	}
	return resp.StatusCode, nil
}

// offer creates a sale that is open for a day.
func (s *server) offer(id string, stock int) error {
	now := time.Now().UTC()
	var answer json.RawMessage
	code, err := s.call(http.MethodPost, s.Admin+"/admin/v1/sales", s.token, map[string]any{
		"id": id, "title": id, "startsAt": now.Add(-time.Second), "endsAt": now.Add(24 * time.Hour), "paymentWindowSeconds": 86400,
		"items": []map[string]any{{"sku": "sku-1", "title": "one", "price": 19900, "currency": "EUR", "stock": stock, "limitPerUser": 1}},
	}, &answer)
	if err == nil && code/100 != 2 {
		err = fmt.Errorf("create sale %s: %d %s", id, code, answer)
	}
	return err
}

// inFlight asks what work is left, by name.
func (s *server) inFlight() (map[string]int64, bool, error) {
	var v struct {
		Drained  bool             `json:"drained"`
		InFlight map[string]int64 `json:"inFlight"`
	}
	_, err := s.call(http.MethodGet, s.Admin+"/admin/v1/drained", s.token, nil, &v)
	return v.InFlight, v.Drained, err
}

// drain waits until no work is in flight.
func (s *server) drain() error {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		left, done, err := s.inFlight()
		if err != nil || done {
			return err
		}
		if time.Since(began) > 10*time.Minute {
			return fmt.Errorf("not drained after 10 minutes: %v", left)
		}
	}
}

// rss is the resident memory of the server in bytes.
func (s *server) rss() (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if field := strings.Fields(lines.Text()); len(field) > 1 && field[0] == "VmRSS:" {
			kib, err := strconv.ParseInt(field[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmRSS in /proc")
}

// profile writes what the server spent over the given time to a file: kind "profile" is processor time, "allocs" memory.
func (s *server) profile(kind, name string, length time.Duration) error {
	resp, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", s.Probe, kind, max(1, int(length.Seconds()))))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("profile: status %d", resp.StatusCode)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}

func (s *server) stop() error {
	if s.cmd == nil || s.cmd.Process == nil || s.cmd.ProcessState != nil {
		return nil // it is not running
	}
	return errors.Join(s.cmd.Process.Signal(os.Interrupt), s.cmd.Wait())
}

// kill is kill −9.
func (s *server) kill() error {
	err := s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it says that it was killed
	return err
}
