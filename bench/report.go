//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

func (b *bench) report(w io.Writer) {
	fmt.Fprintf(w, "machine      %s, %d cores, %s, %s/%s, load %s at the start\n", cpu(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, b.busy)
	fmt.Fprintf(w, "commit       %s\n", cmp.Or(os.Getenv("BENCH_COMMIT"), "unknown"))
	fmt.Fprintf(w, "command      %s\n", strings.Join(append([]string{"go run ./bench"}, os.Args[1:]...), " "))
	fmt.Fprintf(w, "load         closed loop, %d connections, %d rounds of %v after %v, generator on the same cores\n", b.o.conns, b.o.rounds, b.o.slice, warm)
	fmt.Fprintf(w, "chain        Penstock: passes, per-address, per-user and attempt limits on, order writer running; every buyer is new\n")
	fmt.Fprintf(w, "durability   embedded: every answer after a synced commit (SQLite WAL, synchronous=FULL)\n")
	if b.engines != nil {
		fmt.Fprintf(w, "             %s: every answer after a synced commit (innodb_flush_log_at_trx_commit=1, sync_binlog=1)\n", b.engines.mariadb.Version)
		fmt.Fprintf(w, "             Redis %s: appendonly yes, appendfsync everysec; all that the peer has, and nothing that Penstock relies on\n", b.redisVersion())
		if b.engines.kafka != nil {
			fmt.Fprintf(w, "             Kafka %s: one node, acks=all\n", b.engines.kafka.Version)
		}
		fmt.Fprintf(w, "peer         the documents' flash sale in Node: no signature checked, no limit but its own throttle; bench/peer\n")
	}
	for _, what := range b.notRun {
		fmt.Fprintf(w, "%s\n", what)
	}
	fmt.Fprintf(w, "\nmedian and range of the rounds; rates are of this machine, read the ratios\n")
	b.f.print(w)
	fmt.Fprintln(w)
	for _, r := range [][3]string{
		{"embedded wins", bareWins, "0.60"}, {"embedded refusals", bareRefusals, "0.80"}, {"embedded wins", bareCommit, "none"},
		{allStages + " wins", noStages + " wins", "0.75"}, {allStages + " refusals", noStages + " refusals", "0.75"},
		{cpuPer(noStages, "penstock", "win"), cpuPer(allStages, "penstock", "win"), "0.75"},
		{cpuPer(noStages, "penstock", "refusal"), cpuPer(allStages, "penstock", "refusal"), "0.75"},
		{withCockpit + " wins", noConsole + " wins", "0.98"}, {withCockpit + " refusals", noConsole + " refusals", "0.98"},
		{cpuPer(withCockpit, "penstock", "win"), cpuPer(noConsole, "penstock", "win"), "1.02"},
		{cpuPer(withCockpit, "penstock", "refusal"), cpuPer(noConsole, "penstock", "refusal"), "1.02"},
		{"embedded wins", peerTuned + " wins", "2"}, {"embedded refusals", peerTuned + " refusals", "2.1"},
		{one + " wins", peerTuned + " wins", "2"}, {one + " refusals", peerTuned + " refusals", "2"},
		{three + " wins", peerTuned + " wins", "2"}, {three + " refusals", peerTuned + " refusals", "2"},
		{one + " wins", peerPlain + " wins", "none"}, {one + " refusals", peerPlain + " refusals", "none"},
	} {
		b.f.ratio(w, r[0], r[1], r[2])
	}
	if len(b.losses) > 0 {
		fmt.Fprintf(w, "\nkill −9 in the middle of selling with %d attempts in flight\n%s\n", b.o.conns, strings.Join(b.losses, "\n"))
	}
}

func (b *bench) redisVersion() string {
	for _, p := range b.engines.all {
		if p.Engine == "redis" {
			return p.Version
		}
	}
	return "none"
}

// cpu names the processor as the kernel does.
func cpu() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	_, rest, _ := strings.Cut(string(b), "model name\t: ")
	name, _, _ := strings.Cut(rest, "\n")
	return cmp.Or(name, "unknown processor")
}

// loadAverage is that of the last minute, as the kernel says it.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}
