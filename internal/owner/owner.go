// Package owner proves that one process alone owns a data directory, by a lock on a file of its own.
//
// The lock is the kernel's (flock): it ends with the process, however that ends. Against a network file system that lies about
// locks the databases carry an epoch as well.
package owner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrTaken says that another process owns the directory.
var ErrTaken = errors.New("data directory is in use")

// Owner is a held directory.
type Owner struct{ file *os.File }

// Take creates the directory if it is missing and locks it. It does not wait.
func Take(dir string) (*Owner, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	path := filepath.Join(dir, "owner.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the data directory: %w", err)
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		pid, _ := os.ReadFile(path)
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s is owned by process %s; stop it, or choose another --data", ErrTaken, dir, strings.TrimSpace(string(pid)))
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return &Owner{f}, nil
}

// Free reports whether nobody owns the directory now.
func Free(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, "owner.lock"), os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

// Release gives the directory up. Idempotent.
func (o *Owner) Release() error {
	if err := o.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
