package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// errServer marks what the server said or lacks, as opposed to a server that said nothing.
var errServer = errors.New("refused")

// Info is what a check saw.
type Info struct {
	Version string
	// Role is "master" or "slave", in Redis's words.
	Role    string
	Cluster bool
	// Warnings are what works but should be mended.
	Warnings []string
}

// Check looks at the server again, as Open did: version 6.2 or later, a primary, the cluster whole, each needed command
// present and allowed. Warnings are in Info.
func (c *Client) Check(ctx context.Context) (*Info, error) {
	r, err := c.Redis()
	if err != nil {
		return nil, err
	}
	info, err := check(ctx, r, c.opt)
	if err != nil {
		return nil, c.explain(err)
	}
	c.info.Store(info)
	return info, nil
}

func check(ctx context.Context, r rueidis.Client, o Options) (*Info, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*o.Timeout)
	defer cancel()
	text, err := r.Do(ctx, r.B().Info().Build()).ToString()
	if err == nil && parse(text)["redis_mode"] == "sentinel" {
		return nil, sentinel("the server keeps no data")
	}
	for _, name := range o.Commands {
		if err := try(ctx, r, name, o.Prefix); err != nil {
			return nil, err
		}
	}
	if forbidden(err) {
		return &Info{Cluster: o.cluster, Warnings: []string{"the user may not run INFO, so version, role and memory policy were not checked"}}, nil
	}
	if err != nil {
		return nil, err
	}
	fields := parse(text)
	info := &Info{Version: fields["redis_version"], Role: fields["role"], Cluster: fields["cluster_enabled"] == "1"}
	if !atLeast(info.Version, 6, 2) {
		return nil, fmt.Errorf("%w: the server is version %s, want 6.2 or later", errServer, info.Version)
	}
	if info.Role == "slave" && !info.Cluster {
		return nil, fmt.Errorf("%w: the server is a replica, want the primary; name its standbys by replica=host:port", errServer)
	}
	if p := fields["maxmemory_policy"]; fields["maxmemory"] != "0" && p != "noeviction" && !strings.HasPrefix(p, "volatile-") {
		info.Warnings = append(info.Warnings, "maxmemory-policy is "+p+", which may throw away any key at any time; set noeviction")
	}
	if info.Cluster {
		err = clusterWhole(ctx, r)
	}
	return info, err
}

func clusterWhole(ctx context.Context, r rueidis.Client) error {
	text, err := r.Do(ctx, r.B().ClusterInfo().Build()).ToString()
	if err != nil {
		return err
	}
	f := parse(text)
	if f["cluster_state"] != "ok" {
		return fmt.Errorf("%w: cluster_state is %s with %s of 16384 slots assigned; look at CLUSTER NODES", errServer, f["cluster_state"], f["cluster_slots_assigned"])
	}
	return nil
}

// probes are harmless calls; $s, $h and $z are a string, a hash and a sorted set that expire within a second.
var probes = map[string]string{
	"EVAL": "return~1 0", "EVALSHA": "0000000000000000000000000000000000000000 0", "GET": "$s", "SET": "$s 1 PX 1000", "DEL": "$s",
	"UNLINK": "$s", "EXISTS": "$s", "TYPE": "$s", "MGET": "$s", "INCR": "$n", "PEXPIRE": "$s 1000", "PTTL": "$s", "HSET": "$h f v", "HGET": "$h f",
	"HMGET": "$h f", "HDEL": "$h f", "HINCRBY": "$h n 1", "HGETALL": "$h", "ZADD": "$z 1 m", "ZREM": "$z m", "ZREMRANGEBYSCORE": "$z 0 0", "ZCARD": "$z", "TIME": "", "PUBLISH": "$c check",
}

// try runs a command once. A command without a probe is only looked up.
func try(ctx context.Context, r rueidis.Client, name, prefix string) error {
	name = strings.ToUpper(name)
	args, ok := probes[name]
	if !ok {
		return lookUp(ctx, r, name)
	}
	cmd := r.B().Arbitrary(name)
	for _, a := range strings.Fields(args) {
		if kind, isKey := strings.CutPrefix(a, "$"); isKey {
			cmd = cmd.Keys(prefix + "{check}:" + kind)
		} else {
			cmd = cmd.Args(strings.ReplaceAll(a, "~", " "))
		}
	}
	err := r.Do(ctx, cmd.Build()).Error()
	switch e, answered := rueidis.IsRedisErr(err); {
	case err == nil || rueidis.IsRedisNil(err) || (answered && e.IsNoScript()):
		return expire(ctx, r, name, prefix)
	case answered && strings.Contains(err.Error(), "unknown command"):
		return missing(name)
	case forbidden(err):
		return fmt.Errorf("%w: the user may not run %s on keys %s*: %w; grant it with ACL SETUSER", errServer, name, prefix, err)
	default:
		return err
	}
}

// expire gives what a probe wrote a short life.
func expire(ctx context.Context, r rueidis.Client, name, prefix string) error {
	switch name {
	case "HSET", "HINCRBY":
		return r.Do(ctx, r.B().Pexpire().Key(prefix+"{check}:h").Milliseconds(1000).Build()).Error()
	case "ZADD":
		return r.Do(ctx, r.B().Pexpire().Key(prefix+"{check}:z").Milliseconds(1000).Build()).Error()
	case "INCR":
		return r.Do(ctx, r.B().Pexpire().Key(prefix+"{check}:n").Milliseconds(1000).Build()).Error()
	}
	return nil
}

func lookUp(ctx context.Context, r rueidis.Client, name string) error {
	rows, err := r.Do(ctx, r.B().CommandInfo().CommandName(name).Build()).ToArray()
	if err != nil {
		return err
	}
	if len(rows) == 0 || rows[0].IsNil() {
		return missing(name)
	}
	return nil
}

func missing(name string) error {
	return fmt.Errorf("%w: the server has no command %s; it is too old or rename-command took it away", errServer, name)
}

func forbidden(err error) bool {
	_, answered := rueidis.IsRedisErr(err)
	return answered && strings.HasPrefix(err.Error(), "NOPERM")
}

// parse reads the lines "name:value" of INFO.
func parse(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(strings.TrimPrefix(text, "txt:")) { // a verbatim string names its format
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

func atLeast(version string, major, minor int) bool {
	a, rest, _ := strings.Cut(version, ".")
	b, _, _ := strings.Cut(rest, ".")
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	return errX == nil && errY == nil && (x > major || (x == major && y >= minor))
}
