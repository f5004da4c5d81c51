package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"penstock/errs"
	"penstock/gateway"
	"penstock/internal/clock"
	"penstock/line"
	"penstock/order"
)

const (
	eventsPath = "/v1/events"
	// resumeOrders is how many of the newest orders a client that comes back is shown.
	resumeOrders = 50
	// writePatience is how long one write to a stream may take.
	writePatience = 10 * time.Second
)

// streams counts the event streams that are open.
type streams struct {
	mu      sync.Mutex
	all     int
	perUser map[string]int
}

func (n *streams) open(user string, d Deps) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.perUser[user] >= d.StreamsPerUser {
		return &errs.Error{Code: errs.QuotaExceeded, Detail: fmt.Sprintf("at most %d event streams per user", d.StreamsPerUser), RetryAfter: d.Heartbeat}
	}
	if n.all >= d.Streams {
		return &errs.Error{Code: errs.ReducedCapacity, Detail: "too many event streams are open", RetryAfter: d.Heartbeat}
	}
	n.all++
	n.perUser[user]++
	return nil
}

func (n *streams) close(user string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all--
	if n.perUser[user]--; n.perUser[user] == 0 {
		delete(n.perUser, user)
	}
}

func (s *surface) eventCalls() {
	s.api.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "watch-orders", Method: http.MethodGet, Path: eventsPath, Summary: "Watch my orders and my places (server-sent events)", Security: bearer(), Tags: []string{"orders"},
		Description: "Each event is named order, its data is the order, its id is <order>:<version>. With Last-Event-ID the stream begins with the newest orders as they are now. " +
			"Where this process serves lines too, each live entry of a line or draw comes as an event named entry, as it is now and then as it changes, at most once a second; an open stream counts as being there.",
		Parameters: []*huma.Param{{Name: "Last-Event-ID", In: "header", Schema: &huma.Schema{Type: "string"}}},
		Responses: map[string]*huma.Response{
			"200":     {Description: "the stream", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}}},
			"default": problemResponse("A problem; its type says which."),
		},
	})
	open := &streams{perUser: map[string]int{}}
	s.handle(http.MethodGet+" "+eventsPath, gateway.ByUser, func(w http.ResponseWriter, r *http.Request) {
		user := gateway.FromContext(r.Context()).Who.User
		if err := open.open(user, s.d); err != nil {
			fail(r, err)
			return
		}
		defer open.close(user)
		s.watch(w, r)
	})
}

// watch subscribes first and shows the present after, so that no change falls between.
func (s *surface) watch(w http.ResponseWriter, r *http.Request) {
	c := gateway.FromContext(r.Context())
	changes, cancel := s.d.Events.Subscribe(c.Who.User)
	defer cancel()
	st := &stream{w: w, conn: http.NewResponseController(w), clock: s.d.Gateway.Clock, sent: map[string]int64{}}
	var present []order.Order
	if r.Header.Get("Last-Event-Id") != "" {
		var err error
		if present, _, err = s.d.Orders.List(r.Context(), c.Who.User, "", resumeOrders); err != nil {
			fail(r, err)
			return
		}
	}
	st.begin(r)
	for i := len(present) - 1; i >= 0; i-- {
		if st.order(present[i]) != nil {
			return
		}
	}
	s.follow(r, st, changes)
}

// follow writes changes until the client, the token, the subscription or the server ends.
func (s *surface) follow(r *http.Request, st *stream, changes <-chan order.Order) {
	c := gateway.FromContext(r.Context())
	end := make(<-chan time.Time)
	if !c.Who.Expires.IsZero() {
		t := st.clock.NewTimer(c.Who.Expires.Sub(st.clock.Now()))
		defer t.Stop()
		end = t.C()
	}
	show := places{room: s.d.Lines, user: c.Who.User, shown: map[line.Place]string{}}
	every := s.d.Heartbeat
	if c.Who.App != "" { // an app may be disabled at any time
		every = min(every, recheck)
	}
	beat, look := st.clock.NewTimer(every), show.timer(st.clock, 0)
	defer func() { beat.Stop(); look.Stop() }()
	for err := st.alive(); err == nil; {
		select {
		case o, open := <-changes:
			if !open {
				return
			}
			err = st.order(o)
		case <-look.C():
			err = show.changed(r.Context(), st)
			look = show.timer(st.clock, lineEvery)
		case <-beat.C():
			if err = c.Still(); err == nil {
				err = st.alive()
			}
			beat = st.clock.NewTimer(every)
		case <-end:
			err = http.ErrServerClosed
		case <-r.Context().Done():
			err = r.Context().Err()
		case <-s.d.Gateway.Drain.Done():
			err = http.ErrServerClosed
		}
	}
}

// stream writes events. sent remembers the version last shown of each order, so that none is shown twice or out of order.
type stream struct {
	w     http.ResponseWriter
	conn  *http.ResponseController
	clock clock.Clock
	sent  map[string]int64
}

// begin sends the head of the answer; from then on the call lasts as long as its client wants.
func (st *stream) begin(r *http.Request) {
	_ = st.conn.SetReadDeadline(time.Time{}) // else the server takes the silence of a listener for slowness
	h := st.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	st.w.WriteHeader(http.StatusOK)
	gateway.FromContext(r.Context()).Streams()
}

func (st *stream) order(o order.Order) error {
	id := o.ID.String()
	if st.sent[id] >= o.Version {
		return nil
	}
	st.sent[id] = o.Version
	data, err := json.Marshal(wireOrder(o))
	if err != nil {
		return fmt.Errorf("encode order %s: %w", id, err)
	}
	return st.write(fmt.Appendf(nil, "id: %s:%d\nevent: order\ndata: %s\n\n", id, o.Version, data))
}

func (st *stream) alive() error { return st.write([]byte(":\n\n")) }

func (st *stream) write(p []byte) error {
	extend(st.conn)
	if _, err := st.w.Write(p); err != nil {
		return err
	}
	return st.conn.Flush()
}

// extend gives the next write its own time. Connections follow the machine's clock, whatever the rooms are told.
func extend(conn *http.ResponseController) {
	_ = conn.SetWriteDeadline(clock.Real{}.Now().Add(writePatience))
}
