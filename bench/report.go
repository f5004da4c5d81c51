package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
)

// spread is the median of some figures with their range.
type spread struct{ mid, low, high float64 }

func of(v []float64) spread {
	s := slices.Sorted(slices.Values(v))
	return spread{mid: (s[(len(s)-1)/2] + s[len(s)/2]) / 2, low: s[0], high: s[len(s)-1]}
}

// over divides round by round, so that what slowed both of a round cancels out.
func over(a, b []float64) spread {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return of(r)
}

func (s spread) thousands() string {
	return fmt.Sprintf("%6.1fk/s  (%.1fk … %.1fk)", s.mid/1e3, s.low/1e3, s.high/1e3)
}

func (s spread) ratio() string { return fmt.Sprintf("%.2f  (%.2f … %.2f)", s.mid, s.low, s.high) }

func (b *bench) report(w io.Writer) {
	f := b.f
	fmt.Fprintf(w, "machine      %s, %d cores, %s, %s/%s\n", cpu(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Fprintf(w, "commit       %s\n", or(os.Getenv("BENCH_COMMIT"), "unknown"))
	fmt.Fprintf(w, "command      %s\n", strings.Join(append([]string{"go run ./bench"}, os.Args[1:]...), " "))
	fmt.Fprintf(w, "durability   every answer after a synced commit (SQLite WAL, synchronous=FULL)\n")
	fmt.Fprintf(w, "load         closed loop, %d connections, %d rounds of %v after %v, generator on the same cores\n", b.o.conns, b.o.rounds, b.o.slice, warm)
	fmt.Fprintf(w, "chain        passes, per-address, per-user and attempt limits on, order writer running; every buyer is new\n\n")
	fmt.Fprintf(w, "median and range of the rounds; rates are of this machine, read the ratios\n")
	fmt.Fprintf(w, "bare net/http, win's JSON      %s  %d bytes out\n", of(f.echoWin).thousands(), f.echoWinBody)
	fmt.Fprintf(w, "wins, whole path               %s  %d bytes out\n", of(f.win).thousands(), f.winBody)
	fmt.Fprintf(w, "  orders written meanwhile     %s\n", of(f.drain).thousands())
	fmt.Fprintf(w, "bare group commit, same rows   %s\n", of(f.commit).thousands())
	fmt.Fprintf(w, "bare net/http, refusal's JSON  %s  %d bytes out\n", of(f.echoRefuse).thousands(), f.echoRBody)
	fmt.Fprintf(w, "refusals, whole path           %s  %d bytes out\n\n", of(f.refuse).thousands(), f.refuseBody)
	fmt.Fprintf(w, "wins / bare net/http           %s\n", over(f.win, f.echoWin).ratio())
	fmt.Fprintf(w, "wins / bare group commit       %s\n", over(f.win, f.commit).ratio())
	fmt.Fprintf(w, "refusals / bare net/http       %s\n", over(f.refuse, f.echoRefuse).ratio())
}

// million fills the sale up to the wanted number of claims and measures memory and start-up. empty is the resident memory of
// the server before the first claim.
func (b *bench) million(empty int64) error {
	for b.f.wins < int64(b.o.claims) {
		fmt.Fprintf(os.Stderr, "%d of %d claims\n", b.f.wins, b.o.claims)
		t, err := b.attempts("bench", 201)
		if err != nil {
			return err
		}
		b.f.wins += t.answers
		if err := b.server.drain(); err != nil {
			return err
		}
	}
	claims, err := b.held()
	if err != nil {
		return err
	}
	running, err := b.server.rss()
	if err != nil {
		return err
	}
	if err := b.server.stop(); err != nil {
		return err
	}
	var times []float64
	var settled int64
	for range 3 {
		if b.server, err = startServer(b.o.binary, b.server.dir); err != nil {
			return err
		}
		times = append(times, b.server.readyIn.Seconds())
		if settled, err = b.server.rss(); err != nil {
			return err
		}
		if err := b.server.stop(); err != nil {
			return err
		}
	}
	if b.server, err = startServer(b.o.binary, b.server.dir); err != nil {
		return err
	}
	s := of(times)
	fmt.Printf("\nat %d claims of one open sale\n", claims)
	fmt.Printf("memory, empty server           %d MiB\n", empty>>20)
	fmt.Printf("memory after the load          %d MiB, %d B per claim\n", running>>20, (running-empty)/claims)
	fmt.Printf("memory after a restart         %d MiB, %d B per claim\n", settled>>20, (settled-empty)/claims)
	fmt.Printf("start to ready                 %.2f s  (%.2f … %.2f)\n", s.mid, s.low, s.high)
	return nil
}

// held asks the server how many units it holds: the claims, one unit each.
func (b *bench) held() (int64, error) {
	var v struct{ Items []struct{ Held int64 } }
	_, err := b.server.call("GET", b.server.Admin+"/admin/v1/stock?sale=bench", b.server.token, nil, &v)
	if err == nil && (len(v.Items) != 1 || v.Items[0].Held == 0) {
		err = fmt.Errorf("the server holds nothing: %+v", v)
	}
	if err != nil {
		return 0, err
	}
	return v.Items[0].Held, nil
}

// cpu names the processor as the kernel does.
func cpu() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	_, rest, _ := strings.Cut(string(b), "model name\t: ")
	name, _, _ := strings.Cut(rest, "\n")
	return or(name, "unknown processor")
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
