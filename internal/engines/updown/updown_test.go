package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/knadh/koanf/parsers/yaml"

	"penstock/internal/engines"
	"penstock/internal/engines/launch"
)

// console is one person's environment.
type console map[string]string

// says runs a command line, wants the exit code, and returns both outputs.
func (c console) says(t *testing.T, code int, args ...string) (out, log string) {
	t.Helper()
	var o, l bytes.Buffer
	if got := run(t.Context(), args, func(key string) string { return c[key] }, &o, &l); got != code {
		t.Fatalf("%v exits with %d, want %d:\n%s%s", args, got, code, &o, &l)
	}
	return o.String(), l.String()
}

func packages(t *testing.T) console {
	t.Helper()
	for _, find := range []func() error{
		func() error { _, err := launch.Redis("", 1); return err },
		func() error { _, err := launch.MariaDB("", 1); return err },
	} {
		engines.Installed(t, find())
	}
	p, err := launch.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	c := console{"ENGINES_BY": "packages", "ENGINES_DIR": filepath.Join(t.TempDir(), "engines"),
		"ENGINES_REDIS_PORT": strconv.Itoa(p[0]), "ENGINES_MYSQL_PORT": strconv.Itoa(p[1])}
	t.Cleanup(func() {
		for _, e := range []string{launch.RedisEngine, launch.MySQL} {
			if _, err := launch.Down(context.Background(), launch.Home(c["ENGINES_DIR"], e)); err != nil {
				t.Error(err)
			}
		}
	})
	return c
}

// Up twice starts each engine once; status tells the URLs; what was written is there after down and up; down ends both and may
// be said twice.
func TestUpStatusDown(t *testing.T) {
	t.Parallel()
	c := packages(t)
	redis, mysql := launch.Loopback(port(t, c["ENGINES_REDIS_PORT"])), launch.Loopback(port(t, c["ENGINES_MYSQL_PORT"]))
	want := "redis  up    redis://" + redis + "\nmysql  up    mysql://root@" + mysql + "/penstock\n"
	c.says(t, 1, "status", "redis", "mysql")
	for _, log := range []string{"ready after", "was up before"} {
		out, said := c.says(t, 0, "up", "redis", "mysql")
		if out != want || strings.Count(said, log) != 2 {
			t.Errorf("up says %q and %q", out, said)
		}
	}
	if out, _ := c.says(t, 0, "status", "redis", "mysql"); out != want {
		t.Error(cmp.Diff(want, out))
	}
	if _, err := launch.RedisCommand(t.Context(), redis, "SET k v"); err != nil {
		t.Error(err)
	}
	for range 2 {
		c.says(t, 0, "down", "redis", "mysql")
	}
	if out, _ := c.says(t, 1, "status", "redis", "mysql"); out != "redis  down\nmysql  down\n" {
		t.Errorf("status says %q", out)
	}
	c.says(t, 0, "up", "redis")
	if v, err := launch.RedisCommand(t.Context(), redis, "GET k"); v != "v" {
		t.Errorf("after down and up k is %q, %v", v, err)
	}
}

// Down leaves alone what up has not started: a process whose id stands in the pid file and that is something else.
func TestDownEndsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	home := launch.Home(dir, launch.RedisEngine)
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = other.Process.Kill(), other.Wait() })
	if err := os.WriteFile(filepath.Join(home, "pid"), []byte(strconv.Itoa(other.Process.Pid)+" 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, log := console{"ENGINES_BY": "packages", "ENGINES_DIR": dir}.says(t, 0, "down", "redis")
	if log != "" {
		t.Errorf("down says %q", log)
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(other.Process.Pid) + "/exe"); err != nil {
		t.Errorf("the other process is gone: %v", err)
	}
}

// A port of somebody else's, a wrong word and a wrong setting are said by name.
func TestWrongUsage(t *testing.T) {
	t.Parallel()
	c := packages(t)
	c.says(t, 0, "up", "redis")
	for _, w := range []struct {
		args  []string
		env   console
		hints []string
	}{
		{[]string{"up", "mysql"}, console{"ENGINES_MYSQL_PORT": c["ENGINES_REDIS_PORT"]}, []string{"taken", c["ENGINES_REDIS_PORT"]}},
		{[]string{"up", "redis"}, console{"ENGINES_REDIS_PORT": c["ENGINES_MYSQL_PORT"]}, []string{"down first"}},
		{[]string{"up", "oracle"}, nil, []string{"oracle", "redis, mysql, kafka"}},
		{[]string{"restart"}, nil, []string{"restart", "up, down or status"}},
		{nil, nil, []string{"up, down or status"}},
		{[]string{"status"}, console{"ENGINES_KAFKA_PORT": "high"}, []string{"ENGINES_KAFKA_PORT", "high", "19092"}},
		{[]string{"status"}, console{"ENGINES_BY": "magic"}, []string{"magic", "packages"}},
		{[]string{"status"}, console{"ENGINES_DIR": "/proc"}, []string{"/proc", "ENGINES_DIR"}},
	} {
		env := console{}
		for _, from := range []console{c, w.env} {
			for k, v := range from {
				env[k] = v
			}
		}
		if w.env["ENGINES_DIR"] == "/proc" && os.Getuid() == 0 {
			env["ENGINES_DIR"] = othersDirectory(t)
			w.hints[0] = env["ENGINES_DIR"]
		}
		_, log := env.says(t, 2, w.args...)
		for _, h := range w.hints {
			if !strings.Contains(log, h) {
				t.Errorf("%v says %q, without %q", w.args, log, h)
			}
		}
	}
}

// othersDirectory belongs to nobody; only root can make one.
func othersDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Where a container engine answers it is used, by the compose file, and where it must be used and does not answer that is said.
func TestContainers(t *testing.T) {
	bin := t.TempDir()
	calls := filepath.Join(bin, "calls")
	script := "#!/bin/sh\necho \"$@\" >>" + calls + "\ncase \"$*\" in *' ps '*) echo redis;; esac\n"
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	c := console{"ENGINES_DIR": t.TempDir()}
	c.says(t, 0, "up", "redis")
	if out, _ := c.says(t, 1, "status"); !strings.Contains(out, "redis  up    redis://127.0.0.1:16379  (container)\nmysql  down") {
		t.Errorf("status says %q", out)
	}
	c.says(t, 0, "down", "redis")
	b, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"up --detach --wait redis", "rm --stop --force redis"} {
		if !strings.Contains(string(b), "compose --project-name penstock-engines --file deploy/compose.yaml "+want+"\n") {
			t.Errorf("no call %q in\n%s", want, b)
		}
	}
	t.Setenv("PATH", t.TempDir())
	c["ENGINES_BY"] = "containers"
	if _, log := c.says(t, 3, "up", "redis"); !strings.Contains(log, "docker or podman") {
		t.Errorf("without containers: %q", log)
	}
}

// The compose file has each engine, on loopback at the port of its setting, with a health check to wait for.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := yaml.Parser().Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parse(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	services := file["services"].(map[string]any)
	for _, e := range launch.Engines() {
		service, _ := services[e].(map[string]any)
		ports, _ := service["ports"].([]any)
		want := "127.0.0.1:${ENGINES_" + strings.ToUpper(e) + "_PORT:-" + strconv.Itoa(s.ports[e]) + "}:"
		if len(ports) != 1 || !strings.HasPrefix(ports[0].(string), want) || service["healthcheck"] == nil {
			t.Errorf("%s: ports %v, health check %v; want %s…", e, ports, service["healthcheck"], want)
		}
	}
}

// The script hands words, settings and exit codes through.
func TestScript(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("../../../scripts/engines", "status", "kafka")
	cmd.Env = append(os.Environ(), "ENGINES_BY=packages", "ENGINES_DIR="+t.TempDir())
	out, err := cmd.Output()
	if string(out) != "kafka  down\n" || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the script says %q, exit code %d, %v", out, cmd.ProcessState.ExitCode(), err)
	}
	cmd = exec.Command("../../../scripts/engines", "sideways")
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("a wrong word: %v", err)
	}
}

func port(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
