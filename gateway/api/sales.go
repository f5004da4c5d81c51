package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/danielgtaylor/huma/v2"

	"penstock/errs"
	"penstock/gateway"
	"penstock/sale"
)

type saleInput struct {
	Sale        string `path:"sale" maxLength:"128"`
	IfNoneMatch string `header:"If-None-Match"`
}

// cached is an answer that may be kept for a second and asked for again by its tag.
type cached[T any] struct {
	Status       int
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	Body         T
}

// cacheable tags a body. stable is the body without what changes by itself, such as the server's time.
func cacheable[T any](ifNoneMatch string, body, stable T) (*cached[T], error) {
	text, err := json.Marshal(stable)
	if err != nil {
		return nil, fmt.Errorf("tag an answer: %w", err)
	}
	out := &cached[T]{Status: http.StatusOK, ETag: fmt.Sprintf(`W/"%016x"`, xxhash.Sum64(text)), CacheControl: "public, max-age=1", Body: body}
	for tag := range strings.SplitSeq(ifNoneMatch, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(out.ETag, "W/") {
			out.Status = http.StatusNotModified
		}
	}
	return out, nil
}

func (s *surface) saleCalls() {
	register(s, huma.Operation{
		OperationID: "list-sales", Method: http.MethodGet, Path: "/v1/sales", Summary: "List the sales", Tags: []string{"sales"},
	}, s.listSales)
	register(s, huma.Operation{
		OperationID: "get-sale", Method: http.MethodGet, Path: "/v1/sales/{sale}", Summary: "Look at a sale", Tags: []string{"sales"},
	}, s.getSale)
	register(s, huma.Operation{
		OperationID: "exchange-pass", Method: http.MethodPost, Path: "/v1/sales/{sale}/pass", Security: bearer(), Tags: []string{"sales"},
		Summary:     "Exchange the token for a pass",
		Description: "A pass is a short-lived bearer for one user in one sale. It is cheap to verify: fetch it before the opening and attempt with it.",
	}, s.exchangePass)
}

func (s *surface) listSales(ctx context.Context, in *struct {
	IfNoneMatch string `header:"If-None-Match"`
}) (*cached[Page[sale.View]], error) {
	views, err := s.d.Sales.List(ctx)
	if err != nil {
		return nil, err
	}
	views = slices.DeleteFunc(views, func(v sale.View) bool { return rehearsed(v.ID) })
	body := Page[sale.View]{Items: each(views, wireView)}
	return cacheable(in.IfNoneMatch, body, Page[sale.View]{Items: each(body.Items, timeless)})
}

func (s *surface) getSale(ctx context.Context, in *saleInput) (*cached[sale.View], error) {
	v, err := s.d.Sales.View(ctx, in.Sale)
	if err != nil {
		return nil, err
	}
	v = wireView(v)
	return cacheable(in.IfNoneMatch, v, timeless(v))
}

func timeless(v sale.View) sale.View {
	v.ServerTime = time.Time{}
	return v
}

type passOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Pass      string    `json:"pass"`
		ExpiresAt time.Time `json:"expiresAt"`
	}
}

func (s *surface) exchangePass(ctx context.Context, in *struct {
	Sale string `path:"sale" maxLength:"128"`
}) (*passOutput, error) {
	who := gateway.FromContext(ctx).Who
	if who.Sale != "" {
		return nil, errs.New(errs.Forbidden, "a pass cannot be exchanged for another; use the token")
	}
	if _, err := s.d.Sales.View(ctx, in.Sale); err != nil {
		return nil, err
	}
	now := s.d.Gateway.Clock.Now()
	ttl := min(s.d.PassTTL, who.Expires.Sub(now)).Truncate(time.Millisecond)
	if ttl <= 0 {
		return nil, errs.New(errs.Unauthenticated, "the token has expired")
	}
	pass, err := s.d.Passes.MintPass(who.User, in.Sale, now, ttl)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "no pass can be made for this sale")
	}
	out := &passOutput{CacheControl: "no-store"}
	out.Body.Pass, out.Body.ExpiresAt = pass, moment(now.Add(ttl))
	return out, nil
}
