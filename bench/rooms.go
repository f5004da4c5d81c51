//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// roomBenchmarks are Go benchmarks that compare a room on a real engine with a bare loop on the same engine, interleaved.
var roomBenchmarks = [...]struct{ what, name, times, dir string }{
	{"orders into MariaDB: through the order writer, a bare loop of 100-row INSERTs, a bare loop of the same statements", "^BenchmarkDrain$", "20x", "./order/mysqlorder"},
	{"records into Kafka: through the relay, a bare producer of the same records", "^BenchmarkRelay$", "5x", "./bus/kafkabus"},
	{"Redis per attempt: the gate's script, plain pipelined commands", "^BenchmarkRedis$", "50000x", "./stock/gate/redisgate"},
	{"limit: calls counted by address, user and one API, k/s and ratio to one at a time, with 1, 10, 100 and 1000 in flight", "^BenchmarkFlat$", "15x", "./limit"},
}

// rooms runs the rooms' own benchmarks and prints what they measured.
func (b *bench) rooms(w io.Writer) error {
	if !b.o.parts[partRooms] {
		return nil
	}
	if b.engines != nil { // they start engines of their own
		err := b.close()
		b.peers, b.shared, b.chain, b.embedded, b.bare, b.engines = nil, nil, nil, nil, nil, nil
		if err != nil {
			return err
		}
	}
	for _, r := range roomBenchmarks {
		fmt.Fprintf(os.Stderr, "%s %s\n", r.dir, r.name)
		out, err := exec.Command("go", "test", "-run", "^$", "-bench", r.name, "-benchtime", r.times, r.dir).CombinedOutput()
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", r.dir, err), errors.New(string(out)))
		}
		fmt.Fprintf(w, "\n%s\n", r.what)
		any := false
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "Benchmark") && strings.Contains(line, "/op") {
				fmt.Fprint(w, line)
				any = true
			}
		}
		if !any {
			fmt.Fprintf(w, "not run, because the engine is not installed here\n")
		}
	}
	return nil
}
