package remote_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/engine/groupcommit"
	"penstock/saga"
	"penstock/saga/participant"
	"penstock/saga/remote"
	"penstock/webhook/standard"
)

const points = 100_000

// process is an example that runs as a process of its own, on one port and one data file through all its lives.
type process struct {
	t      testing.TB
	argv   []string
	addr   string
	secret standard.Secret
	cmd    *exec.Cmd
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newProcess(t testing.TB, argv ...string) *process {
	t.Helper()
	secret, err := standard.NewSecret(rand.Reader)
	check(t, err)
	p := &process{t: t, argv: argv, addr: "127.0.0.1:0", secret: secret}
	p.start()
	t.Cleanup(p.kill)
	return p
}

// start returns when the process listens.
func (p *process) start() {
	p.t.Helper()
	dir := filepath.Dir(p.argv[len(p.argv)-1])
	args := append(p.argv[1:len(p.argv)-1:len(p.argv)-1], "--listen", p.addr, "--data", p.argv[len(p.argv)-1], "--points", fmt.Sprint(points))
	p.cmd = exec.Command(p.argv[0], args...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = dir, append(os.Environ(), "PARTICIPANT_SECRET="+p.secret.Reveal()), os.Stderr
	out, err := p.cmd.StdoutPipe()
	check(p.t, err)
	check(p.t, p.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "listening on ") {
		p.t.Fatalf("%v says %q, %v", p.argv, line, err)
	}
	p.addr = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
}

// kill ends the process at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be dead already
	_ = p.cmd.Wait()         // says that it was killed
}

func (p *process) participant() *remote.Participant {
	p.t.Helper()
	r, err := remote.New("http://"+p.addr+"/", []standard.Secret{p.secret}, remote.Options{})
	check(p.t, err)
	return r
}

// has reads the account.
func (p *process) has() (a struct{ Free, Held, Taken int64 }) {
	p.t.Helper()
	res, err := http.Get("http://" + p.addr + "/points")
	check(p.t, err)
	defer res.Body.Close()
	check(p.t, json.NewDecoder(res.Body).Decode(&a))
	if a.Free+a.Held+a.Taken != points {
		p.t.Errorf("%s: %+v is not %d points", p.argv[0], a, points)
	}
	return a
}

// examples builds and names the examples that can run here.
func examples(t *testing.T) map[string]func(testing.TB) *process {
	t.Helper()
	root, err := filepath.Abs("../../examples")
	check(t, err)
	bin := filepath.Join(t.TempDir(), "participant-go")
	if out, err := exec.Command("go", "build", "-o", bin, filepath.Join(root, "participant-go")).CombinedOutput(); err != nil {
		t.Fatalf("build the example: %v\n%s", err, out)
	}
	all := map[string]func(testing.TB) *process{
		"go": func(t testing.TB) *process { return newProcess(t, bin, filepath.Join(t.TempDir(), "points.db")) },
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Run("node", func(t *testing.T) { t.Skip("node is not installed: the example in Node was not run") })
		return all
	}
	all["node"] = func(t testing.TB) *process {
		return newProcess(t, node, filepath.Join(root, "participant-node", "participant.mjs"), filepath.Join(t.TempDir(), "points.log"))
	}
	return all
}

func branch(tx string, n int) participant.Branch {
	return participant.Branch{Transaction: tx, Name: "points", Payload: json.RawMessage(fmt.Sprintf(`{"points":%d}`, n))}
}

// The examples answer every order of calls as the protocol says, also after kill -9, and believe nobody without the secret.
func TestExamplesKeepTheProtocol(t *testing.T) {
	t.Parallel()
	for name, start := range examples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			r, ctx := p.participant(), t.Context()
			yes := func(err error) {
				t.Helper()
				if err != nil {
					t.Error(err)
				}
			}
			no := func(err error) {
				t.Helper()
				if !participant.Refused(err) {
					t.Errorf("want a definite no, got %v", err)
				}
			}
			yes(r.Try(ctx, branch("whole", 10)))
			yes(r.Try(ctx, branch("whole", 10)))
			yes(r.Confirm(ctx, branch("whole", 10)))
			yes(r.Confirm(ctx, branch("whole", 10)))
			no(r.Cancel(ctx, branch("whole", 10)))
			yes(r.Cancel(ctx, branch("empty", 10)))
			p.kill()
			p.start()
			no(r.Try(ctx, branch("empty", 10))) // hanging
			yes(r.Cancel(ctx, branch("empty", 10)))
			no(r.Confirm(ctx, branch("never", 10)))
			no(r.Try(ctx, branch("much", points+1)))
			yes(r.Try(ctx, branch("back", 5)))
			yes(r.Cancel(ctx, branch("back", 5)))
			no(r.Try(ctx, branch("back", 5)))
			no(r.Confirm(ctx, branch("back", 5)))
			if a := p.has(); a.Held != 0 || a.Taken != 10 {
				t.Errorf("the account is %+v", a)
			}
			other, err := standard.NewSecret(rand.Reader)
			check(t, err)
			forger, err := remote.New("http://"+p.addr, []standard.Secret{other}, remote.Options{})
			check(t, err)
			if err = forger.Try(ctx, branch("forged", 1)); err == nil || participant.Refused(err) {
				t.Errorf("a forged call: %v", err)
			}
		})
	}
}

// killer kills the process at its n-th call, before or after the call has arrived, and starts it again.
type killer struct {
	p     *process
	r     *remote.Participant
	mu    sync.Mutex
	left  int // calls until the kill; 0: none
	after bool
}

func (k *killer) call(f func(*remote.Participant) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left--
	if k.left != 0 {
		return f(k.r)
	}
	if k.after {
		_ = f(k.r) // nobody hears it
	}
	k.p.kill()
	err := f(k.r)
	k.p.start()
	if err == nil {
		err = errors.New("a dead process has answered")
	}
	return err
}

func (k *killer) Try(ctx context.Context, b participant.Branch) error {
	return k.call(func(r *remote.Participant) error { return r.Try(ctx, b) })
}
func (k *killer) Confirm(ctx context.Context, b participant.Branch) error {
	return k.call(func(r *remote.Participant) error { return r.Confirm(ctx, b) })
}
func (k *killer) Cancel(ctx context.Context, b participant.Branch) error {
	return k.call(func(r *remote.Participant) error { return r.Cancel(ctx, b) })
}

// A participant that is killed at any step of a transaction leaves all effects or none: each example at each of its calls, before
// and after the call had its effect, in transactions that confirm and in those that cancel.
func TestExamplesKilledAtEachStep(t *testing.T) {
	t.Parallel()
	for name, start := range examples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			victim, other := start(t), start(t)
			k := &killer{p: victim, r: victim.participant()}
			store, err := saga.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "transactions.db"), groupcommit.Options{})
			check(t, err)
			t.Cleanup(func() { store.Close() })
			c, err := saga.New(store, map[string]participant.Participant{"victim": k, "other": other.participant()}, nil,
				saga.Options{Backoff: 5 * time.Millisecond, MaxBackoff: 20 * time.Millisecond, ScanEvery: 5 * time.Millisecond, Tries: 100})
			check(t, err)
			check(t, c.Start(t.Context()))
			t.Cleanup(c.Stop)
			var want int64
			for n := 1; n <= 2; n++ { // the victim's calls: try, then confirm or cancel
				for _, after := range []bool{false, true} {
					for state, much := range map[saga.State]int{saga.Confirmed: 7, saga.Cancelled: points + 1} {
						id := fmt.Sprintf("kill-%d-%v-%s", n, after, state)
						k.mu.Lock()
						k.left, k.after = n, after
						k.mu.Unlock()
						_, _, err := c.Begin(t.Context(), saga.Spec{ID: id, Branches: []saga.BranchSpec{
							{Name: "a", Participant: "victim", Payload: json.RawMessage(`{"points":7}`)},
							{Name: "b", Participant: "other", Payload: json.RawMessage(fmt.Sprintf(`{"points":%d}`, much))},
						}})
						check(t, err)
						ended(t, c, id, state)
						if state == saga.Confirmed {
							want += 7
						}
					}
				}
			}
			for _, p := range []*process{victim, other} {
				if a := p.has(); a.Held != 0 || a.Taken != want {
					t.Errorf("the account is %+v, want %d taken", a, want)
				}
			}
		})
	}
}

func ended(t *testing.T, c *saga.Coordinator, id string, want saga.State) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) { // polling what the coordinator does
		tx, err := c.Wait(t.Context(), id)
		check(t, err)
		if tx.State == want {
			return
		}
		if !tx.Ended.IsZero() || tx.State == saga.NeedsHuman {
			t.Fatalf("%s: %s, want %s: %s", id, tx.State, want, tx.Reason)
		}
	}
	t.Fatalf("%s does not end", id)
}
