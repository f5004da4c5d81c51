//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"penstock/internal/engines/launch"
)

// engineSet are real servers: one MariaDB, one Kafka, and a Redis for everybody who wants one.
type engineSet struct {
	b       *bench
	mariadb *launch.Process
	kafka   *launch.Process // nil where it is not installed
	all     []*launch.Process
}

// openEngines starts MariaDB, and makes sure of Redis. What is not installed is left out and said.
func (b *bench) openEngines() error {
	e := &engineSet{b: b}
	dir := filepath.Join(b.dir, "mariadb")
	ports, err := launch.FreePorts(1)
	if err != nil {
		return err
	}
	spec, err := launch.MariaDB(dir, ports[0], "--innodb-buffer-pool-size=1G", "--innodb-log-file-size=1G")
	if err == nil {
		_, err = launch.Redis(dir, 0)
	}
	var missing *launch.MissingError
	if errors.As(err, &missing) {
		b.leave("Redis and MySQL, Node peer", missing.Error())
		return nil
	}
	if err != nil {
		return err
	}
	b.engines = e
	e.mariadb, err = e.start(spec)
	return err
}

func (e *engineSet) start(spec launch.Spec) (*launch.Process, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p, err := launch.Start(ctx, spec, launch.Child)
	if err != nil {
		return nil, err
	}
	e.all = append(e.all, p)
	return p, p.Wait(ctx)
}

// redis starts a Redis of its own for somebody.
func (e *engineSet) redis(whose string) (*launch.Process, error) {
	ports, err := launch.FreePorts(1)
	if err != nil {
		return nil, err
	}
	spec, err := launch.Redis(filepath.Join(e.b.dir, "redis-"+whose), ports[0])
	if err != nil {
		return nil, err
	}
	return e.start(spec)
}

// broker starts Kafka on one node. It returns a *launch.MissingError where it is not installed.
func (e *engineSet) broker() error {
	ports, err := launch.FreePorts(launch.KafkaPorts)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // the jars may have to be fetched
	defer cancel()
	specs, err := launch.Kafka(ctx, filepath.Join(e.b.dir, "kafka"), ports, launch.KafkaOptions{}, io.Discard)
	if err != nil {
		return err
	}
	e.kafka, err = e.start(specs[0])
	return err
}

// database makes an empty database and returns its URL.
func (e *engineSet) database(name string) (string, error) {
	err := launch.CreateDatabase(context.Background(), e.mariadb.Addr(), name)
	return e.mariadb.URL() + "/" + name, err
}

func (e *engineSet) close() error {
	var all []error
	for _, p := range e.all {
		all = append(all, p.Kill())
	}
	return errors.Join(all...)
}

// The sites on shared engines.
const (
	one   = "redis+mysql ×1"
	three = "redis+mysql+kafka ×3"
)

// openShared starts the sites on MariaDB and Redis: one process with the outbox for a bus, and three with Kafka, of which the
// first has every role and the others sell and write orders. Buyers come to all three.
func (b *bench) openShared() error {
	if err := b.openSite(one, 1, ""); err != nil {
		return err
	}
	err := b.engines.broker()
	var missing *launch.MissingError
	if errors.As(err, &missing) {
		b.leave(three, missing.Error())
		return nil
	}
	if err != nil {
		return err
	}
	return b.openSite(three, 3, b.engines.kafka.URL())
}

func (b *bench) openSite(name string, processes int, bus string) error {
	id := "shop" + strconv.Itoa(processes)
	db, err := b.engines.database(id)
	if err != nil {
		return err
	}
	gate, err := b.engines.redis(id)
	if err != nil {
		return err
	}
	sandbox, err := launch.FreePorts(1)
	if err != nil {
		return err
	}
	common := []string{"PENSTOCK_STOCK=" + db, "PENSTOCK_GATE=" + gate.URL(), "PENSTOCK_PAYMENT_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	if bus != "" {
		common = append(common, "PENSTOCK_BUS="+bus)
	}
	s := &site{b: b, name: name, database: id, beside: []cpuOf{{"MariaDB", []int{b.engines.mariadb.PID()}}, {"Redis", []int{gate.PID()}}}}
	if bus != "" {
		s.beside = append(s.beside, cpuOf{"Kafka", []int{b.engines.kafka.PID()}})
	}
	b.shared = append(b.shared, s)
	for i := range processes {
		env := append(common, "PENSTOCK_LISTEN_SANDBOX="+launch.Loopback(sandbox[0]))
		if i > 0 {
			env = append(common, "PENSTOCK_TARGET=sale,order", "PENSTOCK_PAYMENT_SANDBOX=http://"+launch.Loopback(sandbox[0]))
		}
		server, err := b.startServer(filepath.Join(b.dir, fmt.Sprintf("%s-%d", id, i+1)), env...)
		s.servers = append(s.servers, server)
		if err != nil {
			return err
		}
	}
	return s.prepare()
}
