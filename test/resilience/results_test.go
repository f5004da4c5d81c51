package resilience

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"
)

// measured is a line of a file of results.
type measured struct {
	ID     string
	Commit string
	At     time.Time
	result
}

// keep appends a result to the file that -results names, if any.
func (w *world) keep(t *testing.T, name, id string, r result) {
	t.Helper()
	if name == "" {
		return
	}
	line, err := json.Marshal(measured{id, w.commit, time.Now().UTC(), r})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	if err = f.Close(); err != nil {
		t.Fatal(err)
	}
}

// kept reads a file of results.
func kept(name string) (all []measured, err error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var m measured
		if err = json.Unmarshal(in.Bytes(), &m); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}
