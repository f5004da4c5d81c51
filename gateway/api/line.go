package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/danielgtaylor/huma/v2"

	"penstock/errs"
	"penstock/gateway"
	"penstock/line"
	"penstock/line/draw"
)

// Lines is what the calls about lines and draws need; *line.Lines is one.
type Lines interface {
	Places
	Join(ctx context.Context, r line.Request) (line.Entry, error)
	Leave(ctx context.Context, saleID, user string, id line.ID) (line.Entry, error)
	Draws(ctx context.Context, saleID string) (draw.Documents, error)
	Standing(ctx context.Context, saleID string) ([]line.Line, error)
	// Give gives the public value to the draws of a sale, and records who did.
	Give(ctx context.Context, who, saleID, value, reason string) error
}

// Places is what streams need to follow a user's entries.
type Places interface {
	// Live returns the user's live entries, as far as this process knows.
	Live(user string) []line.Place
	Look(ctx context.Context, saleID, user string, id line.ID) (line.Entry, error)
	// Changed returns a channel that is closed at the next change of the entry's line.
	Changed(id line.ID) <-chan struct{}
}

// LineRequest says what to stand in line for.
type LineRequest struct {
	SKU   string     `json:"sku,omitempty" maxLength:"64" doc:"may be left out where the sale has one"`
	Proof *LineProof `json:"proof,omitempty" doc:"where the sale asks for work: see problem proof-required"`
}

// LineProof is work done on a challenge.
type LineProof struct {
	Challenge string `json:"challenge" maxLength:"600"`
	Nonce     string `json:"nonce" maxLength:"64"`
}

// LineEntry is one's entry of a line or draw.
type LineEntry struct {
	Entry    string     `json:"entry"`
	Sale     string     `json:"sale"`
	SKU      string     `json:"sku"`
	State    string     `json:"state" enum:"pot,waiting,admitted,used,expired,left"`
	Position int        `json:"position,omitempty" doc:"1 is the next; only while waiting. Who is silent is not counted"`
	Drawn    int        `json:"drawn,omitempty" doc:"the place that the draw gave, from 1"`
	Reach    line.Reach `json:"reach,omitempty" enum:"in-reach,unlikely,gone"`
	// Wait is nil where nothing can be said.
	Wait      *float64   `json:"waitSeconds,omitempty" doc:"estimated wait; left out where nothing can be said"`
	Error     *float64   `json:"waitErrorSeconds,omitempty" doc:"the wait is right within this, nine times of ten"`
	JoinedAt  time.Time  `json:"joinedAt"`
	Pass      string     `json:"pass,omitempty" doc:"bearer for one attempt at this SKU"`
	ExpiresAt *time.Time `json:"passExpiresAt,omitempty"`
	Poll      float64    `json:"pollAfterSeconds,omitempty" doc:"look again after this; who is silent much longer is passed over and keeps his place. Left out when the entry has ended"`
	Entrant   string     `json:"entrant,omitempty" doc:"SHA-256 of salt and user id: how the list of the draw has you"`
	Salt      string     `json:"salt,omitempty" doc:"hex"`
}

// OperatorLine is a line as operators see it.
type OperatorLine struct {
	Sale      string   `json:"sale"`
	SKU       string   `json:"sku"`
	Admission string   `json:"admission" enum:"line,draw"`
	Open      bool     `json:"open" doc:"whether it takes new entries"`
	Draw      string   `json:"draw,omitempty" enum:"collecting,closed,drawn"`
	Waiting   int      `json:"waiting"`
	Away      int      `json:"away"`
	Called    int      `json:"called"`
	Admitted  int      `json:"admitted"`
	Used      int      `json:"used"`
	Expired   int      `json:"expired"`
	Left      int      `json:"left"`
	Total     int      `json:"total"`
	Rate      float64  `json:"ratePerSecond" doc:"how many may be called a second now"`
	Pace      float64  `json:"pacePerSecond" doc:"how many left the head lately"`
	Wait      *float64 `json:"waitSeconds,omitempty" doc:"of who would join now"`
}

type lineJoinInput struct {
	Sale string `path:"sale" maxLength:"128"`
	Body LineRequest
}

type lineOutput struct {
	Status       int
	CacheControl string `header:"Cache-Control"`
	Location     string `header:"Location"`
	Body         LineEntry
}

type linePath struct {
	Sale  string `path:"sale" maxLength:"128"`
	Entry string `path:"entry" maxLength:"40"`
}

const linesPath, lineTag = "/v1/sales/{sale}/line", "line"

func (s *surface) lineCalls() {
	register(s, huma.Operation{
		OperationID: "join-line", Method: http.MethodPost, Path: linesPath, DefaultStatus: http.StatusCreated, Security: bearer(), Tags: []string{lineTag},
		Summary: "Join the line or the draw of a sale",
		Description: "For a sale whose admission is line or draw. Joining again gives the same entry (200). When its turn comes the entry has a pass: attempt with it as the bearer. " +
			"Refused with line-closed where the stock does not reach a new entry.",
	}, s.joinLine)
	path := linesPath + "/{entry}"
	get := huma.Operation{
		OperationID: "get-line-entry", Method: http.MethodGet, Path: path, Security: bearer(), Tags: []string{lineTag}, Summary: "Look at one's entry, and be there",
		Description: "Looking counts as being there. With Accept: text/event-stream the answer is a stream of events named entry, at most one a second; an open stream counts too.",
		Parameters: []*huma.Param{
			{Name: "sale", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}, {Name: "entry", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}},
			{Name: "If-None-Match", In: "header", Schema: &huma.Schema{Type: "string"}},
		},
		Responses: map[string]*huma.Response{
			"200": {Description: "the entry", Content: map[string]*huma.MediaType{
				"application/json":  {Schema: s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[LineEntry](), true, "")},
				"text/event-stream": {Schema: &huma.Schema{Type: "string"}},
			}},
			"304": {Description: "nothing has changed"}, "default": problemResponse("A problem; its type says which."),
		},
	}
	s.api.OpenAPI().AddOperation(&get)
	open := &streams{perUser: map[string]int{}}
	s.handle(http.MethodGet+" "+path, gateway.ByUser, func(w http.ResponseWriter, r *http.Request) { s.lineEntry(open, w, r) })
	register(s, huma.Operation{
		OperationID: "leave-line", Method: http.MethodDelete, Path: path, Security: bearer(), Tags: []string{lineTag}, Summary: "Leave a line", DefaultStatus: http.StatusOK,
		Description: "For good: joining again is at the end. Leaving twice is one.",
	}, s.leaveLine)
	published := huma.Operation{
		OperationID: "get-draw", Method: http.MethodGet, Path: "/v1/sales/{sale}/draw", Tags: []string{lineTag}, Summary: "What is published of a sale's draws",
		Description: "From the beginning the commitment, after the closing the list, after the draw everything that recomputes it. The body has one spelling: save it as it is and run `penstock draw verify`.",
		Parameters: []*huma.Param{
			{Name: "sale", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}, {Name: "If-None-Match", In: "header", Schema: &huma.Schema{Type: "string"}},
		},
		Responses: map[string]*huma.Response{
			"304": {Description: "nothing has changed"},
			"200": {Description: "the draws", Content: map[string]*huma.MediaType{
				"application/json": {Schema: s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[draw.Documents](), true, "")},
			}},
			"default": problemResponse("A problem; its type says which."),
		},
	}
	s.api.OpenAPI().AddOperation(&published)
	kept := &spelled{}
	s.handle("GET /v1/sales/{sale}/draw", gateway.ByAnyone, func(w http.ResponseWriter, r *http.Request) { s.draws(kept, w, r) })
}

func (s *surface) joinLine(ctx context.Context, in *lineJoinInput) (*lineOutput, error) {
	who := gateway.FromContext(ctx).Who
	if err := gateway.AllowSale(who, in.Sale); err != nil {
		return nil, err
	}
	r := line.Request{Sale: in.Sale, User: who.User, SKU: in.Body.SKU}
	if p := in.Body.Proof; p != nil {
		r.Challenge, r.Nonce = p.Challenge, p.Nonce
	}
	e, err := s.d.Lines.Join(ctx, r)
	if err != nil {
		return nil, err
	}
	out := &lineOutput{Status: http.StatusCreated, CacheControl: "no-store", Location: "/v1/sales/" + in.Sale + "/line/" + e.ID.String(), Body: wireLineEntry(e)}
	if e.Again {
		out.Status = http.StatusOK
	}
	return out, nil
}

// ownEntry reads a path and checks that the caller may ask about the sale.
func ownEntry(ctx context.Context, sale, entry string) (user string, id line.ID, err error) {
	who := gateway.FromContext(ctx).Who
	if err := gateway.AllowSale(who, sale); err != nil {
		return "", id, err
	}
	id, ok := line.ParseID(entry)
	if !ok {
		return "", id, errs.New(errs.NotFound, "there is no such entry")
	}
	return who.User, id, nil
}

func (s *surface) leaveLine(ctx context.Context, in *linePath) (*lineOutput, error) {
	user, id, err := ownEntry(ctx, in.Sale, in.Entry)
	if err != nil {
		return nil, err
	}
	e, err := s.d.Lines.Leave(ctx, in.Sale, user, id)
	if err != nil {
		return nil, err
	}
	return &lineOutput{Status: http.StatusOK, CacheControl: "no-store", Body: wireLineEntry(e)}, nil
}

// lineEntry answers with the entry, or with a stream of it.
func (s *surface) lineEntry(open *streams, w http.ResponseWriter, r *http.Request) {
	sale := r.PathValue("sale")
	user, id, err := ownEntry(r.Context(), sale, r.PathValue("entry"))
	var e line.Entry
	if err == nil {
		e, err = s.d.Lines.Look(r.Context(), sale, user, id)
	}
	if err == nil && r.Header.Get("Accept") == "text/event-stream" {
		if err = open.open(user, s.d); err == nil {
			defer open.close(user)
			s.watchEntry(w, r, e)
			return
		}
	}
	if err != nil {
		fail(r, err)
		return
	}
	body, _ := json.Marshal(wireLineEntry(e)) // plain values always have a JSON form
	tag := fmt.Sprintf(`W/"%016x"`, xxhash.Sum64(body))
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache")
	if e.Poll > 0 {
		h.Set("Retry-After", strconv.Itoa(max(int(e.Poll/time.Second), 1)))
	}
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n'))
}

// lineEvery is how often a stream shows changes at most.
const lineEvery = time.Second

// watchEntry streams the entry as it changes, until it has ended.
func (s *surface) watchEntry(w http.ResponseWriter, r *http.Request, e line.Entry) {
	st := &stream{w: w, conn: http.NewResponseController(w), clock: s.d.Gateway.Clock}
	st.begin(r)
	user, shown := gateway.FromContext(r.Context()).Who.User, ""
	for {
		text := []byte(":\n\n")
		if body, event := entryEvent(e); body != shown {
			shown, text = body, event
		}
		if st.write(text) != nil || e.Ended() || !s.pause(r, e) {
			return
		}
		var err error
		if e, err = s.d.Lines.Look(r.Context(), e.Sale, user, e.ID); err != nil {
			return // the client comes again and is told
		}
	}
}

// entryEvent writes the event that shows an entry.
func entryEvent(e line.Entry) (body string, event []byte) {
	raw, _ := json.Marshal(wireLineEntry(e)) // plain values always have a JSON form
	return string(raw), fmt.Appendf(nil, "event: entry\ndata: %s\n\n", raw)
}

// ended says that nothing more will become of an entry.

// pause waits for a change of the line, at least a second and no longer than until the next sign of life.
func (s *surface) pause(r *http.Request, e line.Entry) bool {
	c := gateway.FromContext(r.Context())
	if !c.Who.Expires.IsZero() && !s.d.Gateway.Clock.Now().Before(c.Who.Expires) {
		return false
	}
	changed := s.d.Lines.Changed(e.ID)
	least := s.d.Gateway.Clock.NewTimer(lineEvery)
	defer least.Stop()
	for _, wait := range []<-chan time.Time{least.C(), nil} {
		if wait == nil {
			t := s.d.Gateway.Clock.NewTimer(max(min(e.Poll, s.d.Heartbeat)-lineEvery, time.Millisecond))
			defer t.Stop()
			wait = t.C()
		} else {
			select {
			case <-wait:
				continue
			case <-r.Context().Done():
			case <-s.d.Gateway.Drain.Done():
			}
			return false
		}
		select {
		case <-changed:
		case <-wait:
		case <-r.Context().Done():
			return false
		case <-s.d.Gateway.Drain.Done():
			return false
		}
	}
	return true
}

func wireLineEntry(e line.Entry) LineEntry {
	out := LineEntry{
		Entry: e.ID.String(), Sale: e.Sale, SKU: e.SKU, State: e.State, Position: e.Position, Drawn: e.Drawn, Reach: e.Reach, JoinedAt: moment(e.JoinedAt), Pass: e.Pass,
		Poll: e.Poll.Seconds(), Entrant: e.Entrant, Salt: e.Salt, Wait: seconds(e.Wait), Error: seconds(e.Error),
	}
	if !e.Expires.IsZero() {
		t := moment(e.Expires)
		out.ExpiresAt = &t
	}
	return out
}

// seconds rounds to tenths, so that an entry does not change all the time; nil for a negative duration.
func seconds(d time.Duration) *float64 {
	if d < 0 {
		return nil
	}
	v := d.Round(100 * time.Millisecond).Seconds()
	return &v
}

func (s *surface) operatorLineCalls() {
	register(s, operator("operator-get-line", http.MethodGet, "/sales/{sale}/line", "Look at the lines of a sale, one for each SKU"), s.linesOf)
	register(s, operator("give-draw-value", http.MethodPost, "/sales/{sale}/draw", "Give a sale's draws the public value that they wait for; once, after the pot has closed"), s.giveValue)
}

func (s *surface) linesOf(ctx context.Context, in *SalePath) (*listOf[OperatorLine], error) {
	all, err := s.d.Lines.Standing(ctx, in.Sale)
	if err != nil {
		return nil, err
	}
	return &listOf[OperatorLine]{Page[OperatorLine]{Items: each(all, wireLine)}}, nil
}

func wireLine(l line.Line) OperatorLine {
	return OperatorLine{
		Sale: l.Sale, SKU: l.SKU, Admission: l.Admission, Open: l.Open, Draw: l.Draw, Waiting: l.Waiting, Away: l.Away, Called: l.Called, Admitted: l.Admitted,
		Used: l.Used, Expired: l.Expired, Left: l.Left, Total: l.Total, Rate: l.Rate, Pace: l.Pace, Wait: seconds(l.Wait),
	}
}

type drawOutput struct{ Body draw.Documents }

func (s *surface) giveValue(ctx context.Context, in *struct {
	SalePath
	Body struct {
		Value  string `json:"value" minLength:"1" maxLength:"1024" doc:"as its source publishes it, such as the randomness of a drand round in hex"`
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}) (*drawOutput, error) {
	if err := s.d.Lines.Give(ctx, acting(ctx), in.Sale, in.Body.Value, in.Body.Reason); err != nil {
		return nil, err
	}
	all, err := s.d.Lines.Draws(ctx, in.Sale)
	return &drawOutput{all}, err
}
