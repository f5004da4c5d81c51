package api

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"penstock/console"
	"penstock/errs"
	"penstock/gateway"
)

// Live tells operators' pages the present of topics; *console.Hub is one.
type Live interface {
	Watch(ctx context.Context, topics []string, last string) (*console.Watch, error)
}

const (
	livePath = adminPrefix + "/live"
	// maxConsoles bounds the streams of operators open at once.
	maxConsoles = 2000
	// recheck is how often a stream asks whether its session or token is still good.
	recheck = 3 * time.Second
)

func (s *surface) liveCalls() {
	op := operator("watch-console", http.MethodGet, "/live", "Watch topics of the console (server-sent events)")
	op.Description = "An event is named for the kind of its topic; its data is {topic, now} or {topic, error}, and now is the whole present, never a step. " +
		"At most four updates a second, fewer where many watch. With Last-Event-ID only what is newer is told. See docs/live.md for the topics."
	op.Parameters = []*huma.Param{
		{Name: "topic", In: "query", Required: true, Description: "sale:<id>, line:<sale>, orders, dead-letters, cases, limits, breakers, shed, monitor; up to 16", Schema: &huma.Schema{Type: "array", Items: &huma.Schema{Type: "string"}}},
		{Name: "Last-Event-ID", In: "header", Schema: &huma.Schema{Type: "string"}},
	}
	op.Responses = map[string]*huma.Response{
		"200":     {Description: "the stream", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}}},
		"default": problemResponse("A problem; its type says which."),
	}
	s.api.OpenAPI().AddOperation(&op)
	var open atomic.Int64
	s.handle(http.MethodGet+" "+livePath, gateway.ByOperator, func(w http.ResponseWriter, r *http.Request) {
		defer open.Add(-1)
		if open.Add(1) > maxConsoles {
			fail(r, &errs.Error{Code: errs.ReducedCapacity, Detail: "too many consoles are open", RetryAfter: s.d.Heartbeat})
			return
		}
		watch, err := s.d.Desk.Live.Watch(r.Context(), r.URL.Query()["topic"], r.Header.Get("Last-Event-Id"))
		if err != nil {
			fail(r, err)
			return
		}
		defer watch.Close()
		s.live(w, r, watch)
	})
}

// live writes what the watch tells until the client, its session or the server ends.
func (s *surface) live(w http.ResponseWriter, r *http.Request, watch *console.Watch) {
	st := &stream{w: w, conn: http.NewResponseController(w), clock: s.d.Gateway.Clock}
	st.begin(r)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() { // a server that drains ends its streams
		select {
		case <-s.d.Gateway.Drain.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	// A session that was ended and a person who was disabled must not go on watching.
	checked := st.clock.Now()
	for err := st.alive(); err == nil; {
		var texts [][]byte
		if texts, err = watch.Next(ctx, recheck); err == nil {
			err = st.pieces(texts)
		}
		if now := st.clock.Now(); err == nil && now.Sub(checked) >= recheck {
			checked, err = now, gateway.FromContext(r.Context()).Still()
		}
	}
}

// pieces writes shared text, or a sign of life when there is none.
func (st *stream) pieces(texts [][]byte) error {
	if len(texts) == 0 {
		return st.alive()
	}
	extend(st.conn)
	for _, p := range texts {
		if _, err := st.w.Write(p); err != nil {
			return err
		}
	}
	return st.conn.Flush()
}
