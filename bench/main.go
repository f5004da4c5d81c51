// Command bench measures the whole attempt path against two bare peers and prints ratios.
//
// The peers: a net/http server that decodes the same JSON and encodes the same answer and does nothing else, and a group
// commit of the same rows with nothing around it. All are driven in one run, interleaved, by the same load generator on the
// same machine; each figure is the median of the rounds with its range. Load and server share the cores, so rates are of this
// machine only and ratios are what to read. Everything runs as a process of its own and listens on loopback.
//
// Also measured: the order writer's drain rate beside the wins, memory per claim and start-up time at a million claims.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

type options struct {
	binary string
	rounds int
	slice  time.Duration
	conns  int
	claims int
	keep   bool
	// profile is where the server's CPU profile of the wins goes; "" takes none.
	profile string
}

func main() {
	var o options
	echo := flag.String("echo", "", "serve the bare peer on this address and do nothing else")
	flag.StringVar(&o.binary, "binary", "bin/penstock", "the binary to measure")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; each runs every contestant once")
	flag.DurationVar(&o.slice, "slice", 3*time.Second, "how long each contestant runs in a round")
	flag.IntVar(&o.conns, "connections", 256, "connections of the load generator")
	flag.IntVar(&o.claims, "claims", 1_000_000, "claims for the figures of memory and start-up; 0 leaves them out")
	flag.BoolVar(&o.keep, "keep", false, "keep the data directory")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of the server during the last round's wins to this file (the rates of that round suffer)")
	flag.Parse()
	var err error
	if *echo != "" {
		err = serveEcho(*echo)
	} else {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
