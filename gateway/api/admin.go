package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"penstock/gateway"
)

const adminPrefix = "/admin/v1"

// Admin returns the handler of the operators' listener. Every route on it, known or not, wants an operator's token.
func Admin(d Deps) (*gateway.Gateway, error) {
	err := need("admin", map[string]bool{
		"Verifier": d.Verifier != nil, "Sales": d.Sales != nil, "Orders": d.Orders != nil, "Payments": d.Payments != nil, "Balances": d.Balances != nil, "Cases": d.Cases != nil, "Statements": d.Statements != nil,
		"DeadLetters": d.DeadLetters != nil, "Export": d.Export != nil, "Drained": d.Drained != nil, "Reconcile": d.Reconcile != nil, "Audit": d.Audit != nil, "Webhooks": d.Webhooks != nil, "Apps": d.Apps != nil, "Reports": d.Reports != nil, "Policy": d.Policy != nil, "Transactions": d.Transactions != nil, "People": d.People != nil, "Desk": d.Desk.Live != nil,
	})
	if err != nil {
		return nil, err
	}
	d = d.withDefaults()
	d.Gateway.Attempts = nil
	s := adminCalls(d, newSpec())
	s.face(d.Face, "GET /console")
	return gateway.New(d.Verifier, s, d.Gateway)
}

// adminCalls registers every call of the admin listener.
func adminCalls(d Deps, spec *huma.OpenAPI) *surface {
	s := newSurface(d, spec, gateway.ByOperator)
	s.operatorSaleCalls()
	s.operatorLineCalls()
	s.operatorOrderCalls()
	s.deadLetterCalls()
	s.caseCalls()
	s.statementCalls()
	s.trailCalls()
	s.exportCalls()
	s.webhookCalls()
	s.appCalls()
	s.operatorBalanceCalls()
	s.reportCalls()
	s.transactionCalls()
	s.peopleCalls()
	s.oidcCalls()
	s.policyCalls()
	s.deskCalls()
	return s
}

// operator is a call of the admin listener.
func operator(id, method, path, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: adminPrefix + path, Summary: summary, Security: bearer(), Tags: []string{"operators"}}
}

// acting is the operator who calls.
func acting(ctx context.Context) string { return gateway.FromContext(ctx).Who.User }

// listOf is an answer that is a list.
type listOf[T any] struct{ Body Page[T] }
