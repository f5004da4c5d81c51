package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"penstock/internal/durable"
)

// readSet reads the file and says which version of it that was.
func readSet(path string) (jwkSet, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return jwkSet{}, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return jwkSet{}, nil, err
	}
	var set jwkSet
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&set); err != nil {
		return jwkSet{}, nil, fmt.Errorf("%s is not a JWK set: %w", path, err)
	}
	return set, info, nil
}

// writeSet replaces the file in one step: other processes read the old set or the new one, and after a crash so does this one.
func writeSet(path string, set jwkSet) error {
	text, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the key ring: %w", err)
	}
	if err = durable.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the key ring: %w", err)
	}
	return nil
}

// locked runs do while no other process changes the ring.
func locked(path string, do func() error) error {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the key ring: %w", err)
	}
	defer f.Close()
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("lock the key ring: %w", err)
	}
	return do()
}
