package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"penstock/errs"
	"penstock/gateway"
	"penstock/sale"
)

type detailOutput struct {
	ETag string `header:"ETag"`
	Body SaleDetail
}

func tagged(d sale.Detail) *detailOutput {
	return &detailOutput{ETag: strconv.Quote(strconv.FormatInt(d.Version, 10)), Body: wireDetail(d)}
}

// SalePath names a sale.
type SalePath struct {
	Sale string `path:"sale" maxLength:"128"`
}

type createInput struct{ Body sale.Definition }

type patchInput struct {
	SalePath
	IfMatch string `header:"If-Match" doc:"required; the version seen, such as \"3\""`
	Body    sale.Patch
}

type offerInput struct {
	SalePath
	Key  string `header:"Idempotency-Key" doc:"makes a repeat harmless"`
	Body struct {
		SKU    string `json:"sku" minLength:"1" maxLength:"64"`
		Delta  int64  `json:"delta" minimum:"-1000000000" maximum:"1000000000" doc:"units to add, or to withdraw if negative"`
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

type actInput struct {
	SalePath
	Body struct {
		Action sale.Action `json:"action" enum:"open,pause,resume,force_sold_out,close"`
		Reason string      `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (s *surface) operatorSaleCalls() {
	register(s, operator("operator-list-sales", http.MethodGet, "/sales", "List the sales with their stock"), s.details)
	create := operator("create-sale", http.MethodPost, "/sales", "Create a sale")
	create.DefaultStatus = http.StatusCreated
	register(s, create, s.createSale)
	register(s, operator("operator-get-sale", http.MethodGet, "/sales/{sale}", "Look at a sale"), s.detail)
	register(s, operator("patch-sale", http.MethodPatch, "/sales/{sale}", "Change a sale; fields left out stay"), s.patchSale)
	register(s, operator("offer-stock", http.MethodPost, "/sales/{sale}/stock", "Add units, or withdraw free ones"), s.offerStock)
	register(s, operator("act-on-sale", http.MethodPost, "/sales/{sale}/actions", "Open, pause, resume, force sold-out or close a sale"), s.actOnSale)
	register(s, operator("list-stock", http.MethodGet, "/stock", "The stock rows in one snapshot"), s.listStock)
}

func (s *surface) details(ctx context.Context, _ *struct{}) (*listOf[SaleDetail], error) {
	all, err := s.d.Sales.Details(ctx)
	if err != nil {
		return nil, err
	}
	return &listOf[SaleDetail]{Page[SaleDetail]{Items: each(all, wireDetail)}}, nil
}

func (s *surface) createSale(ctx context.Context, in *createInput) (*detailOutput, error) {
	if rehearsed(in.Body.ID) {
		e := errs.New(errs.Invalid, "the sale is not valid")
		e.Fields = []errs.Field{{Pointer: "/id", Detail: "only rehearsals begin their ids with " + RehearsalSales}}
		return nil, e
	}
	d, err := s.d.Sales.Create(ctx, acting(ctx), in.Body)
	if err != nil {
		return nil, err
	}
	return tagged(d), nil
}

func (s *surface) detail(ctx context.Context, in *SalePath) (*detailOutput, error) {
	d, err := s.d.Sales.Detail(ctx, in.Sale)
	if err != nil {
		return nil, err
	}
	return tagged(d), nil
}

func (s *surface) patchSale(ctx context.Context, in *patchInput) (*detailOutput, error) {
	version, err := versionSeen(in.IfMatch)
	if err != nil {
		return nil, err
	}
	d, err := s.d.Sales.Patch(ctx, acting(ctx), in.Sale, version, in.Body)
	if err != nil {
		return nil, err
	}
	return tagged(d), nil
}

// versionSeen reads If-Match. A tag that is none of ours matches nothing.
func versionSeen(ifMatch string) (int64, error) {
	tag := strings.TrimSpace(ifMatch)
	if tag == "" || tag == "*" {
		return 0, errs.New(errs.VersionRequired, `send the version you saw as If-Match, such as "3"`)
	}
	version, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 64)
	if err != nil || version < 1 {
		return 0, errs.New(errs.VersionMismatch, "If-Match is not the version of this sale")
	}
	return version, nil
}

type levelOutput struct{ Body StockLevel }

func (s *surface) offerStock(ctx context.Context, in *offerInput) (*levelOutput, error) {
	var key string
	if in.Key != "" {
		var err error
		if key, err = gateway.IdempotencyKey(gateway.FromContext(ctx).R.Header); err != nil {
			return nil, err
		}
	}
	if in.Body.Delta == 0 {
		e := errs.New(errs.Invalid, "the request does not follow the schema")
		e.Fields = []errs.Field{{Pointer: "/delta", Detail: "must not be 0"}}
		return nil, e
	}
	level, err := s.d.Sales.Offer(ctx, acting(ctx), in.Sale, in.Body.SKU, in.Body.Delta, key, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return &levelOutput{wireLevel(level)}, nil
}

func (s *surface) actOnSale(ctx context.Context, in *actInput) (*detailOutput, error) {
	d, err := s.d.Sales.Act(ctx, acting(ctx), in.Sale, in.Body.Action, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return tagged(d), nil
}

func (s *surface) listStock(ctx context.Context, in *struct {
	Sale string `query:"sale" maxLength:"128" doc:"all sales when left out"`
}) (*listOf[StockLevel], error) {
	levels, err := s.d.Sales.Levels(ctx, in.Sale)
	if err != nil {
		return nil, err
	}
	return &listOf[StockLevel]{Page[StockLevel]{Items: each(levels, wireLevel)}}, nil
}
