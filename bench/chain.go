//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
)

// The two policies that the cost of the chain is measured with. The token stays on in both: an attempt is somebody's.
const (
	chainAll = `
addresses: {deny: [203.0.113.0/24, 198.51.100.0/24, "2001:db8:bad::/48"]}
limits:
  - {name: ip, by: [ip], rate: 100/m}
  - {name: user, by: [user], rate: 1000/m}
  - {name: api, by: [api], rate: 10000000/s}
rules:
  - {match: ["POST /v1/sales/{sale}/attempts"], breaker: attempts}
breakers: {attempts: {failures: 1000}}
`
	chainNone = `
limits: []
rules:
  - match: ["POST /v1/sales/{sale}/attempts"]
    stages: {trace: off, body: off, address: off, lists: off, ipLimit: off, app: off, validation: off, limits: off, shedding: off, breaker: off, log: off}
`
	allStages, noStages = "all stages", "no stage but the token"
)

// openChain starts one server for each policy; all else is the same.
func (b *bench) openChain() error {
	for name, text := range map[string]string{allStages: chainAll, noStages: chainNone} {
		dir := filepath.Join(b.dir, "chain-"+name[:2])
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return err
		}
		file := dir + ".yaml"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		s, err := b.startServer(dir, "PENSTOCK_GATEWAY_FILE="+file)
		made := &site{b: b, name: name, servers: []*server{s}}
		b.chain = append(b.chain, made)
		if err = errors.Join(err, made.prepare()); err != nil {
			return err
		}
	}
	return nil
}

// chainRound runs both, each round the other one first.
func (b *bench) chainRound(n int) error {
	for i := range b.chain {
		s := b.chain[(i+n)%len(b.chain)]
		if err := errors.Join(s.wins(), s.refusals()); err != nil {
			return err
		}
	}
	return nil
}
