package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"penstock/internal/engines/launch"
)

// settings are what the environment says.
type settings struct {
	by    string // auto, containers or packages
	base  string // absolute
	ports map[string]int
	// compose is the file that describes the containers.
	compose string
}

func parse(env func(string) string) (settings, error) {
	or := func(key, otherwise string) string {
		if v := env(key); v != "" {
			return v
		}
		return otherwise
	}
	s := settings{by: or("ENGINES_BY", "auto"), ports: map[string]int{}, compose: or("ENGINES_COMPOSE", "deploy/compose.yaml")}
	switch s.by {
	case "auto", "containers", "packages":
	default:
		return s, fmt.Errorf("ENGINES_BY is %q: say auto, containers or packages", s.by)
	}
	var err error
	if s.base, err = filepath.Abs(or("ENGINES_DIR", filepath.Join(os.TempDir(), "penstock-engines"))); err != nil {
		return s, err
	}
	for engine, port := range map[string]string{launch.RedisEngine: "16379", launch.MySQL: "13306", launch.KafkaEngine: "19092"} {
		key := "ENGINES_" + strings.ToUpper(engine) + "_PORT"
		n, err := strconv.Atoi(or(key, port))
		if err != nil || n < 1 || n > 65533 {
			return s, fmt.Errorf("%s is %q: say a port number such as %s", key, env(key), port)
		}
		s.ports[engine] = n
	}
	return s, nil
}

// own makes the base directory, and refuses one that another user has made: its files would decide what runs here.
func (s settings) own() error {
	if err := os.MkdirAll(s.base, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(s.base)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || ok && int(stat.Uid) != os.Getuid() {
		return usageError{fmt.Errorf("%s is not a directory of yours: set ENGINES_DIR to one that is", s.base)}
	}
	return nil
}

// url is what goes into Penstock's configuration.
func (s settings) url(engine string) string {
	url := launch.Spec{Engine: engine, Port: s.ports[engine]}.URL()
	if engine == launch.MySQL {
		url += "/" + database
	}
	return url
}

// database is there when MySQL is up.
const database = "penstock"
