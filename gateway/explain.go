package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"penstock/errs"
)

// Question is a call that an operator asks about.
type Question struct {
	// Method and Path are as in a request line; the path may have a query.
	Method, Path string
	// Token is a bearer token or a pass, "" for none.
	Token string
	// From is the client's address. The zero address is that of this machine.
	From netip.Addr
}

// Verdicts of a stage.
const (
	Passes  = "pass"
	Refuses = "refuse"
	Off     = "off"         // the policy has switched it off for the route
	Idle    = "nothing"     // it has nothing to do on the route
	Waiting = "not reached" // an earlier stage refuses
)

// Opinion is what one stage says to a call.
type Opinion struct {
	Stage   string    `json:"stage"`
	Verdict string    `json:"verdict" enum:"pass,refuse,off,nothing,not reached"`
	Detail  string    `json:"detail,omitempty"`
	Problem errs.Code `json:"problem,omitempty" doc:"the type of the answer of a stage that refuses"`
	Status  int       `json:"status,omitempty"`
}

// Explanation is what the chain says to a call.
type Explanation struct {
	Route    string    `json:"route" doc:"the pattern that takes the call"`
	Access   string    `json:"access" enum:"anyone,user,app,operator"`
	User     string    `json:"user,omitempty"`
	App      string    `json:"app,omitempty"`
	Verdict  string    `json:"verdict" enum:"pass,refuse"`
	Summary  string    `json:"summary" doc:"the verdict in words"`
	Opinions []Opinion `json:"stages" nullable:"false"`
}

// Explain passes a question through the chain of its route. Nothing is executed, counted or logged. The error says what is
// wrong with the question.
func (g *Gateway) Explain(ctx context.Context, q Question) (Explanation, error) {
	c, err := g.imagine(ctx, q)
	if err != nil {
		return Explanation{}, err
	}
	g.route(c, g.plans.Load())
	out := Explanation{Route: c.Route, Access: c.plan.access.String(), Verdict: Passes}
	for _, s := range g.stages {
		if s.name == 0 || s.name == StageLog {
			continue
		}
		out.ask(s, c)
	}
	out.business(c)
	log := Opinion{Stage: StageLog.String(), Verdict: Passes}
	if c.plan.rule.Off.Has(StageLog) {
		log.Verdict = Off
	}
	out.Opinions = append(out.Opinions, log)
	out.User, out.App = c.Who.User, c.Who.App
	return out, nil
}

// imagine makes the call that a question is about.
func (g *Gateway) imagine(ctx context.Context, q Question) (*Call, error) {
	u, err := url.ParseRequestURI(q.Path)
	if err != nil || u.Path == "" || u.Path[0] != '/' {
		return nil, errs.New(errs.Invalid, "the path must begin with /, for example /v1/orders")
	}
	r, err := http.NewRequestWithContext(ctx, q.Method, u.String(), nil)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "the method must be one such as GET")
	}
	if !q.From.IsValid() {
		q.From = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	r.RemoteAddr, r.RequestURI, r.URL.Host, r.URL.Scheme = netip.AddrPortFrom(q.From, 1).String(), q.Path, "", ""
	if q.Token != "" {
		r.Header["Authorization"] = []string{"Bearer " + q.Token}
	}
	c := &Call{W: &unheard{header: http.Header{}}, R: r, g: g, asking: true}
	c.Start = g.o.Clock.Now()
	return c, nil
}

// ask adds what a stage says.
func (x *Explanation) ask(s stage, c *Call) {
	o := Opinion{Stage: s.name.String(), Verdict: Passes}
	switch {
	case c.plan.rule.Off.Has(s.name):
		o.Verdict = Off
	case !s.on(c.plan):
		o.Verdict = Idle
	case x.Verdict == Refuses:
		o.Verdict = Waiting
	default:
		var err error
		if s.say != nil {
			o.Detail, err = s.say(c)
		} else {
			err = s.check(c)
		}
		if err != nil {
			x.refuse(&o, err)
		}
	}
	x.Opinions = append(x.Opinions, o)
}

func (x *Explanation) refuse(o *Opinion, err error) {
	e, ok := errors.AsType[*errs.Error](err)
	if !ok {
		e = errs.Wrap(errs.Internal, err, "something went wrong on our side")
	}
	o.Verdict, o.Problem, o.Status, o.Detail = Refuses, e.Code, e.Code.Status(), e.Detail
	x.Verdict = Refuses
	x.Summary = fmt.Sprintf("refused by the stage %s with %d %s: %s", o.Stage, o.Status, o.Problem, o.Detail)
}

func (x *Explanation) business(c *Call) {
	o := Opinion{Stage: "business", Verdict: Passes, Detail: "the handler of " + c.Route + " would be called; it was not"}
	switch {
	case x.Verdict == Refuses:
		o.Verdict, o.Detail = Waiting, ""
	case c.Route == Unmatched:
		x.unmatched(&o, c)
	default:
		x.Summary = "every stage passes; " + o.Detail
	}
	x.Opinions = append(x.Opinions, o)
}

// unmatched tells what the router itself says: there is no such path, it has other methods, or the call is sent on, as from / to the
// pages.
func (x *Explanation) unmatched(o *Opinion, c *Call) {
	c.handler.ServeHTTP(c, c.R.WithContext(context.WithValue(c.R.Context(), callKey{}, c)))
	switch {
	case c.Status == http.StatusMethodNotAllowed:
		x.refuse(o, errs.New(errs.MethodNotAllowed, "allowed here: %s", c.Header().Get("Allow")))
	case c.Status >= 300 && c.Status < 400:
		o.Detail = fmt.Sprintf("the call is sent on to %s with %d", c.Header().Get("Location"), c.Status)
		x.Summary = "every stage passes; " + o.Detail
	default:
		x.refuse(o, errs.New(errs.NotFound, "no route takes this method and path"))
	}
}

// String returns the name that explanations use.
func (a Access) String() string {
	switch a {
	case ByAnyone:
		return "anyone"
	case ByOperator:
		return "operator"
	case ByApp:
		return "app"
	}
	return "user"
}

// unheard is where the headers go that nobody asked for.
type unheard struct{ header http.Header }

func (u *unheard) Header() http.Header         { return u.header }
func (u *unheard) WriteHeader(int)             {}
func (u *unheard) Write(p []byte) (int, error) { return len(p), nil }
