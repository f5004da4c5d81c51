package api

import (
	"context"
	"errors"
	"net/http"

	"penstock/errs"
	"penstock/sale"
)

// SalePreview is what a definition would make: the sale, or what is wrong with it.
type SalePreview struct {
	Valid    bool         `json:"valid"`
	Findings []errs.Field `json:"findings" nullable:"false" doc:"a JSON pointer into the definition, and what is wrong there"`
	Sale     *SaleDetail  `json:"sale,omitempty" doc:"what would be made; only of a valid definition"`
}

type previewOutput struct{ Body SalePreview }

func (s *surface) previewCalls() {
	register(s, operator("validate-sale", http.MethodPost, "/sales/validate", "Check the definition of a sale and see what it would make; nothing is made"), s.validateSale)
}

func (s *surface) validateSale(_ context.Context, in *struct{ Body sale.Definition }) (*previewOutput, error) {
	d, err := s.d.Desk.Sales.Preview(in.Body)
	if e, ok := errors.AsType[*errs.Error](err); ok && e.Code == errs.Invalid {
		return &previewOutput{SalePreview{Findings: e.Fields}}, nil
	}
	if err != nil {
		return nil, err
	}
	view := wireDetail(d)
	return &previewOutput{SalePreview{Valid: true, Findings: []errs.Field{}, Sale: &view}}, nil
}
