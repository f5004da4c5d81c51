//go:build linux

// Command bench measures the whole attempt path against bare peers and against the flash sale that the source documents
// describe, and prints ratios.
//
// Contestants, in the order of a round:
//
//	embedded  one process on SQLite, beside a net/http server that decodes the same JSON and encodes the same answer and does
//	          nothing else, and a group commit of the same rows with nothing around it
//	engines   one process on MariaDB and Redis, and three on MariaDB, Redis and Kafka
//	chain     the embedded build with every stage of the gateway on, beside one whose policy switches off all that can be
//	cockpit   the embedded build with no console, and with a cockpit open on the sale that is attempted
//	peer      the documents' design in Node (bench/peer), plain and tuned
//
// All are driven in one run, interleaved, by the same load generator on the same machine; each figure is the median of the
// rounds with its range. Load and servers share the cores, so rates are of this machine only and ratios are what to read.
// Everything runs as a process of its own and listens on loopback.
//
// After the rounds: what a kill −9 loses, memory per claim and start-up time at many claims, and the benchmarks of the rooms
// that write orders into MariaDB and records into Kafka beside bare loops.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// parts are what a run consists of.
const (
	partEmbedded = "embedded"
	partEngines  = "engines"
	partPeer     = "peer"
	partChain    = "chain"
	partCockpit  = "cockpit"
	partClaims   = "claims"
	partRooms    = "rooms"
	partAll      = partEmbedded + "," + partEngines + "," + partPeer + "," + partChain + "," + partCockpit + "," + partClaims + "," + partRooms
)

type options struct {
	binary string
	rounds int
	slice  time.Duration
	conns  int
	claims int
	keep   bool
	parts  map[string]bool
	// profile is the directory for profiles of the servers during the last round; "" takes none.
	profile string
}

func main() {
	var o options
	echo := flag.String("echo", "", "serve the bare peer on this address and do nothing else")
	only := flag.String("only", partAll, "parts to run")
	flag.StringVar(&o.binary, "binary", "bin/penstock", "the binary to measure")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; each runs every contestant once")
	flag.DurationVar(&o.slice, "slice", 2*time.Second, "how long each contestant runs in a round")
	flag.IntVar(&o.conns, "connections", 256, "connections of the load generator")
	flag.IntVar(&o.claims, "claims", 1_000_000, "claims for the figures of memory and start-up")
	flag.BoolVar(&o.keep, "keep", false, "keep the data directory")
	flag.StringVar(&o.profile, "profile", "", "write profiles of processor time and allocations of the servers during the last round's wins and refusals to this directory (the figures of that round suffer)")
	flag.Parse()
	err := o.choose(*only)
	switch {
	case err != nil:
	case *echo != "":
		err = serveEcho(*echo)
	default:
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o *options) choose(only string) error {
	o.parts = map[string]bool{}
	for p := range strings.SplitSeq(only, ",") {
		if !strings.Contains(","+partAll+",", ","+p+",") {
			return fmt.Errorf("-only is %q; %q is none of %s", only, p, partAll)
		}
		o.parts[p] = true
	}
	return nil
}
