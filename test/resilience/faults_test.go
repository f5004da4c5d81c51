package resilience

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"penstock/internal/engines"
	"penstock/internal/engines/launch"
	"penstock/internal/faultproxy"
	"penstock/test/cluster/rig"
)

// fault is one way in which a dependency goes bad. begin and end return when it is so: the time to recover counts from when end
// has returned. early, if not nil, runs when the storm begins.
type fault struct {
	name              string
	lasts             time.Duration // 0 means usual
	start             time.Duration // what end takes, about: buyers come all the while
	early, begin, end func(w *world)
	// not says why this cell is not run.
	not string
}

// usual is how long a fault lasts: longer than the deadline of an attempt, shorter than buyers' patience.
const usual = 4 * time.Second

// through are the faults of a network path.
func through(path func(w *world) *faultproxy.Proxy) []fault {
	pass := func(w *world) { path(w).Pass() }
	return []fault{
		{name: "refused", begin: func(w *world) { path(w).Refuse() }, end: pass},
		{name: "black-holed", begin: func(w *world) { path(w).BlackHole() }, end: pass},
		{name: "reset", begin: func(w *world) { path(w).Reset() }, end: pass},
		{name: "slow, +100 ms a round trip", begin: func(w *world) { path(w).Delay(50 * time.Millisecond) }, end: pass},
		{name: "slow, +1 s a round trip", begin: func(w *world) { path(w).Delay(500 * time.Millisecond) }, end: pass},
		{name: "replies lost after the request was applied", begin: func(w *world) { path(w).DropReplies() }, end: pass},
	}
}

// of are the faults of a server's process.
func of(server func(w *world) *engines.Server) []fault {
	return []fault{
		{name: "paused", begin: func(w *world) { server(w).Pause(w.t) }, end: func(w *world) { server(w).Resume(w.t) }},
		{name: "killed, started again", begin: func(w *world) { server(w).Kill(w.t) }, end: func(w *world) { server(w).Start(w.t) }},
	}
}

// process are the faults of one of our processes.
func process(name string) []fault {
	node := func(w *world) *rig.Node { return w.Node(name) }
	return []fault{
		{name: "paused", begin: func(w *world) { node(w).Signal(syscall.SIGSTOP) }, end: func(w *world) { node(w).Signal(syscall.SIGCONT) }},
		{name: "killed, started again", begin: func(w *world) { node(w).Kill() }, end: func(w *world) { node(w).Start(w.t) }},
	}
}

// lasting returns a fault that lasts longer under another name.
func lasting(f fault, name string, d time.Duration) fault {
	f.name, f.lasts = name, d
	return f
}

// starting says that the last of these faults takes long to end.
func starting(d time.Duration, fs []fault) []fault {
	fs[len(fs)-1].start = d
	return fs
}

// named finds a fault.
func named(name string, all []fault) fault {
	for _, f := range all {
		if f.name == name {
			return f
		}
	}
	panic("no fault is named " + name)
}

// both has two faults at once, of which the second begins and ends last.
func both(name string, a, b fault) fault {
	return fault{name: name, begin: func(w *world) { a.begin(w); b.begin(w) }, end: func(w *world) { a.end(w); b.end(w) }}
}

// notRun are cells that make no sense or that this rig has no means for.
func notRun(why string, names ...string) (cells []fault) {
	for _, n := range names {
		cells = append(cells, fault{name: n, not: why})
	}
	return cells
}

// empty is a Redis that comes back without its data.
var empty = fault{name: "back empty", begin: func(w *world) { w.redis.Kill(w.t) }, end: func(w *world) {
	w.replaceRedis(func(dir string) error { return os.MkdirAll(dir, 0o750) })
}}

// older is a Redis that comes back as it was when the storm began.
var older = fault{name: "back older", early: func(w *world) {
	w.fail(os.RemoveAll(w.redis.Dir() + ".older"))
	w.fail(os.CopyFS(w.redis.Dir()+".older", os.DirFS(w.redis.Dir())))
}, begin: func(w *world) { w.redis.Kill(w.t) }, end: func(w *world) {
	w.replaceRedis(func(dir string) error { return os.Rename(dir+".older", dir) })
}}

func (w *world) replaceRedis(fill func(dir string) error) {
	w.fail(os.RemoveAll(w.redis.Dir()))
	w.fail(fill(filepath.Clean(w.redis.Dir())))
	w.redis.Start(w.t)
}

// lag is a replica that answers and does not apply.
var lag = fault{name: "lagging (applies nothing)", begin: func(w *world) { w.onReplica("STOP SLAVE SQL_THREAD") },
	end: func(w *world) { w.onReplica("START SLAVE SQL_THREAD") }}

func (w *world) onReplica(statement string) {
	db, err := launch.OpenMariaDB(w.replica.Addr())
	w.fail(err)
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	_, err = db.ExecContext(ctx, statement)
	w.fail(err)
}

// fail is for what must not fail in the rig itself.
func (w *world) fail(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
}
