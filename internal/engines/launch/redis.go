package launch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var redisVersion = regexp.MustCompile(`v=(\S+)`)

// Redis is a server that writes its append-only file once a second. Later args win over earlier ones.
func Redis(dir string, port int, args ...string) (Spec, error) {
	path, err := find(RedisEngine, "redis-server", "redis-server")
	if err != nil {
		return Spec{}, err
	}
	version, err := versionOf(path, redisVersion)
	if err != nil {
		return Spec{}, err
	}
	return Spec{
		Engine: RedisEngine, Version: version, Dir: dir, Port: port, Path: path,
		Args: append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--appendonly", "yes",
			"--appendfsync", "everysec", "--save", "", "--repl-diskless-sync-delay", "0", "--set-proc-title", "no"}, args...),
		Ready: func(ctx context.Context, pid int) error { return redisReady(ctx, Loopback(port), pid) },
	}, nil
}

// Sentinel is a process that watches a primary, alone decides after a second that it is dead, and makes one of its replicas the primary.
func Sentinel(dir string, port int, primary Spec) (Spec, error) {
	s, err := Redis(dir, port)
	if err != nil {
		return s, err
	}
	file := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor shop 127.0.0.1 %d 1\nsentinel down-after-milliseconds shop 1000\n"+
		"sentinel failover-timeout shop 5000\n", port, dir, primary.Port)
	s.Args = []string{file, "--sentinel"}
	return s, os.WriteFile(file, []byte(text), 0o600)
}

// SentinelSees returns nil once a Sentinel knows the primary and a replica of it.
func SentinelSees(ctx context.Context, addr string) error {
	return redisSays(ctx, addr, "INFO sentinel", "status=ok,address=127.0.0.1:", "slaves=1,")
}

// ReplicaOf are the args that make a Redis the replica of another.
func ReplicaOf(primary Spec) []string {
	return []string{"--replicaof", "127.0.0.1 " + strconv.Itoa(primary.Port)}
}

func versionOf(path string, form *regexp.Regexp) (string, error) {
	out, err := exec.Command(path, "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w: %s", path, err, out)
	}
	m := form.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s --version says %q, which names no version", path, out)
	}
	return string(m[1]), nil
}

// redisReady takes any answer but "loading" for ready; where it may ask, it makes sure of the process.
func redisReady(ctx context.Context, addr string, pid int) error {
	answer, err := RedisCommand(ctx, addr, "PING")
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(answer, "-LOADING"):
		return errors.New(answer)
	case strings.HasPrefix(answer, "-"):
		return nil // wants a password, or has no primary: it is up
	}
	info, err := RedisCommand(ctx, addr, "INFO server")
	if err != nil {
		return err
	}
	if !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", pid)) {
		return fmt.Errorf("another server answers at %s", addr)
	}
	return nil
}

// RedisLinked returns nil once a replica has its primary's data and follows it.
func RedisLinked(ctx context.Context, addr string) error {
	return redisSays(ctx, addr, "INFO replication", "master_link_status:up")
}

// RedisClusterReady returns nil once the node takes part in a whole cluster of so many nodes.
func RedisClusterReady(ctx context.Context, addr string, nodes int) error {
	if err := redisSays(ctx, addr, "CLUSTER INFO", fmt.Sprintf("cluster_known_nodes:%d", nodes)); err != nil {
		return err
	}
	return redisSays(ctx, addr, "CLUSTER INFO", "cluster_state:ok")
}

func redisSays(ctx context.Context, addr, command string, wants ...string) error {
	answer, err := RedisCommand(ctx, addr, command)
	for _, want := range wants {
		if err == nil && !strings.Contains(answer, want) {
			err = fmt.Errorf("%s at %s does not say %s", command, addr, want)
		}
	}
	return err
}

// JoinRedis makes a cluster of empty cluster-enabled servers, all of them primaries with an equal part of the slots. Their
// cluster ports follow from buses. It returns before the nodes have agreed; see RedisClusterReady.
func JoinRedis(ctx context.Context, nodes []Spec, buses []int) error {
	const slots = 16384
	for i, n := range nodes {
		commands := []string{
			fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", i*slots/len(nodes), (i+1)*slots/len(nodes)-1),
			fmt.Sprintf("CLUSTER SET-CONFIG-EPOCH %d", i+1),
		}
		if i > 0 {
			commands = append(commands, fmt.Sprintf("CLUSTER MEET 127.0.0.1 %d %d", nodes[0].Port, buses[0]))
		}
		for _, c := range commands {
			answer, err := RedisCommand(ctx, n.Addr(), c)
			if err == nil && answer != "+OK" {
				err = errors.New(answer)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
		}
	}
	return nil
}

// RedisCommand sends one command on a connection of its own. The answer begins with its type ("+OK", "-ERR …"); a bulk
// string is returned bare.
func RedisCommand(ctx context.Context, addr, command string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return "", err
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	size, bulk := strings.CutPrefix(line, "$")
	if !bulk {
		return line, nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 {
		return "", fmt.Errorf("answer %q to %s", line, command)
	}
	body := make([]byte, n)
	_, err = io.ReadFull(in, body)
	return string(body), err
}
