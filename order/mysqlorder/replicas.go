package mysqlorder

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"penstock/engine/mysql"
)

// rest is how long a replica is left out before it is tried again.
const rest = time.Second

// replicas are the replicas of one server.
type replicas struct {
	primary *mysql.DB
	all     []*replica
	turn    atomic.Uint32
	fresh   time.Duration
	log     *slog.Logger
	lost    atomic.Bool // the position of the primary is not known, and that was told
}

// replica is one of them, connected when it is first wanted.
type replica struct {
	config mysql.Config
	opt    mysql.Options

	mu  sync.Mutex
	db  *mysql.DB
	out time.Time // left out until then; real time, because it is about I/O. Zero while it is in
}

func newReplicas(primary *mysql.DB, configs []mysql.Config, database string, o Options) (*replicas, error) {
	if len(configs) > 0 && primary.Flavour == mysql.TiDB {
		return nil, fmt.Errorf("orders URL %s: replica= is for MySQL and MariaDB; TiDB spreads its reads by itself", primary.Config())
	}
	s := &replicas{primary: primary, fresh: o.Fresh, log: o.Logger}
	for _, c := range configs {
		s.all = append(s.all, &replica{config: c.With(database), opt: mysql.Options{
			Pool: o.Pool, Reply: o.Reply, LockWait: o.LockWait, Connect: o.Fresh, ReadOnly: true,
		}})
	}
	return s, nil
}

// pick returns a replica that has everything the primary has committed by now, or nil.
func (s *replicas) pick(ctx context.Context) *replica {
	if len(s.all) == 0 {
		return nil
	}
	var position string
	for range s.all {
		r := s.all[int(s.turn.Add(1))%len(s.all)]
		if !r.take() {
			continue
		}
		if position == "" {
			var err error
			position, err = s.position(ctx)
			if was := s.lost.Swap(err != nil); err != nil && !was && ctx.Err() == nil {
				s.log.Warn("the position of the primary is not known, so no replica is read", "primary", s.primary.Config().Addr(), "error", err)
			}
			if err != nil {
				return nil
			}
		}
		if err := r.reach(ctx, s.primary.Flavour, position, s.fresh); err != nil {
			s.leave(r, err)
			continue
		}
		if r.back() {
			s.log.Info("replica is read again", "replica", r.config.Addr())
		}
		return r
	}
	return nil
}

// position is what the primary has committed, in its own words.
func (s *replicas) position(ctx context.Context) (p string, err error) {
	query := "SELECT @@GLOBAL.gtid_executed"
	if s.primary.Flavour == mysql.MariaDB {
		query = "SELECT @@GLOBAL.gtid_binlog_pos"
	}
	if err = s.primary.QueryRowContext(ctx, query).Scan(&p); err == nil && p == "" {
		err = errors.New("it writes no binary log with GTIDs")
	}
	return p, err
}

// leave takes a replica out for a while.
func (s *replicas) leave(r *replica, err error) {
	r.mu.Lock()
	known := !r.out.IsZero() // told when it went out; it will be told when it is back
	r.out = time.Now().Add(rest)
	r.mu.Unlock()
	if known {
		return
	}
	s.log.Warn("replica is left out", "replica", r.config.Addr(), "for", rest, "error", err)
}

// take reports whether a replica may be tried now. One that was left out is tried by one reader at a time.
func (r *replica) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.out.IsZero() {
		return true
	}
	if now.Before(r.out) {
		return false
	}
	r.out = now.Add(rest)
	return true
}

// back ends the time out and reports whether there was one.
func (r *replica) back() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := !r.out.IsZero()
	r.out = time.Time{}
	return was
}

// reach waits until the replica has what the position says.
func (r *replica) reach(ctx context.Context, flavour mysql.Flavour, position string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 2*within) // the wait itself, and getting there
	defer cancel()
	db, err := r.open(ctx)
	if err != nil {
		return err
	}
	query := "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)"
	if flavour == mysql.MariaDB {
		query = "SELECT MASTER_GTID_WAIT(?, ?)"
	}
	var reached sql.NullInt64
	if err := db.QueryRowContext(ctx, query, position, within.Seconds()).Scan(&reached); err != nil {
		return err
	}
	if !reached.Valid || reached.Int64 != 0 {
		return fmt.Errorf("it lags: %v was not enough to reach %s", within, position)
	}
	return nil
}

func (r *replica) open(ctx context.Context) (*mysql.DB, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.db != nil {
		return r.db, nil
	}
	db, err := mysql.Open(ctx, r.config, r.opt)
	if err == nil {
		r.db = db
	}
	return db, err
}

func (s *replicas) close() error {
	var errs []error
	for _, r := range s.all {
		r.mu.Lock()
		if r.db != nil {
			errs = append(errs, r.db.Close())
		}
		r.mu.Unlock()
	}
	return errors.Join(errs...)
}
