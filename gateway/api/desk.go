package api

import (
	"context"

	"penstock/breaker"
	"penstock/console"
	"penstock/internal/ident"
	"penstock/order/payment"
	"penstock/sale"
)

// Desk is what the console needs beside the calls that others have too.
type Desk struct {
	Live     Live
	Sales    SalePreviews
	Payments PaymentsOfOrders
	Breakers Breakers
	// Rehearsals is nil where this process does not serve buyers.
	Rehearsals Rehearsals
	// Works tells how far exports are; nil means that nobody is told.
	Works *console.Works
}

// SalePreviews checks the definition of a sale without making it.
type SalePreviews interface {
	Preview(d sale.Definition) (sale.Detail, error)
}

// PaymentsOfOrders returns the payments of an order, oldest first.
type PaymentsOfOrders interface {
	ByOrder(ctx context.Context, order ident.ID) ([]payment.Payment, error)
	Refunds(ctx context.Context, payment ident.ID) ([]payment.RefundView, error)
}

// Breakers are those of the public listener. Force is audited; errors carry not-found.
type Breakers interface {
	Force(ctx context.Context, who, name string, open bool, why string) (breaker.State, error)
}

func (s *surface) deskCalls() {
	s.liveCalls()
	s.previewCalls()
	s.timelineCalls()
	s.breakerCalls()
	s.rehearsalCalls()
}
