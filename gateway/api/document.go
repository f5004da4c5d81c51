package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"penstock/gateway"
)

const schemaPrefix = "#/components/schemas/"

// newSpec is the document before any call is in it.
func newSpec() *huma.OpenAPI {
	schemas := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	schemas.Map()["Problem"] = problemSchema()
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Penstock", Version: "1",
			Description: "Sells limited stock to a stampede of buyers. Paths under /v1 answer on the public listener, paths under /admin/v1 on the admin listener. " +
				"Ids are strings, times RFC 3339 in UTC, amounts integer minor units of their currency.",
		},
		Components: &huma.Components{
			Schemas: schemas,
			SecuritySchemes: map[string]*huma.SecurityScheme{"bearer": {
				Type: "http", Scheme: "bearer", BearerFormat: "JWT",
				Description: "A token whose sub is the user (and, on the admin listener, whose role is operator), or on the public listener a pass.",
			}},
		},
	}
}

// Document returns the OpenAPI 3.1 document of both listeners. The same calls give the same bytes.
func Document() ([]byte, error) {
	spec := newSpec()
	publicCalls(Deps{}, spec)
	adminCalls(Deps{}, spec)
	// The framework's own error format is in no answer.
	for _, name := range []string{"ErrorModel", "ErrorDetail"} {
		delete(spec.Components.Schemas.Map(), name)
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func problemSchema() *huma.Schema {
	text := func(doc string) *huma.Schema { return &huma.Schema{Type: "string", Description: doc} }
	field := &huma.Schema{Type: "object", Properties: map[string]*huma.Schema{"pointer": text("JSON pointer into the body"), "detail": text("")}}
	return &huma.Schema{
		Type: "object", Required: []string{"type", "title", "status", "detail", "instance"}, AdditionalProperties: true,
		Description: "RFC 9457. The same type always has the same status. Finals noes of an attempt carry no requestId, so that a replay is the same bytes.",
		Properties: map[string]*huma.Schema{
			"type": text("the problem type; the server shows its page"), "title": text(""), "status": {Type: "integer"}, "detail": text(""),
			"instance": text("path of what the problem is about"), "requestId": text(""),
			"executed": {Description: "on 429 and 503: false, or null when nobody knows yet"},
			"errors":   {Type: "array", Items: field},
		},
	}
}

func problemResponse(description string) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{
		gateway.ProblemType: {Schema: &huma.Schema{Ref: schemaPrefix + "Problem"}},
	}}
}

// attemptOperation describes the attempt path, which is not the framework's.
func attemptOperation(schemas huma.Registry) *huma.Operation {
	text, count := &huma.Schema{Type: "string", MinLength: new(1), MaxLength: new(64)}, &huma.Schema{Type: "integer", Minimum: new(1.0), Maximum: new(10000.0)}
	item := &huma.Schema{
		Type: "object", Required: []string{"sku", "quantity"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{"sku": text, "quantity": count},
	}
	list := &huma.Schema{
		Type: "object", Required: []string{"items"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{"items": {Type: "array", MinItems: new(1), MaxItems: new(20), Items: item}},
	}
	schemas.Map()["AttemptRequest"] = &huma.Schema{OneOf: []*huma.Schema{list, item}}
	schemas.Map()["Unknown"] = &huma.Schema{Type: "object", Properties: map[string]*huma.Schema{
		"state": {Type: "string", Enum: []any{"unknown"}}, "attempt": {Type: "string", Description: "the key to ask with"},
	}}
	won := &huma.Schema{Type: "object", Properties: map[string]*huma.Schema{
		"state": {Type: "string", Enum: []any{"won"}}, "attempt": {Type: "string"}, "order": {Type: "string"},
		"items": {Type: "array", Items: &huma.Schema{Type: "object", Properties: map[string]*huma.Schema{
			"sku": {Type: "string"}, "quantity": {Type: "integer"}, "price": {Type: "integer", Description: "minor units"},
		}}},
		"amount": {Type: "integer", Description: "minor units"}, "currency": {Type: "string"}, "payBefore": {Type: "string", Format: "date-time"},
	}}
	schemas.Map()["Won"] = won
	body := func(name string) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: schemaPrefix + name}}}
	}
	return &huma.Operation{
		OperationID: "attempt", Method: http.MethodPost, Path: "/v1/sales/{sale}/attempts", Summary: "Try to buy", Security: bearer(), Tags: []string{"attempts"},
		Description: "Three answers: won (durable), lost (a problem whose type says why), not yet known (ask again with the key). " +
			"A replay has the same status and body and the header Idempotency-Replayed: true.",
		Parameters: []*huma.Param{
			{Name: "sale", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}},
			{Name: "Idempotency-Key", In: "header", Required: true, Schema: &huma.Schema{Type: "string"}, Description: "a structured-field string, 1 to 255 printable ASCII characters"},
		},
		RequestBody: &huma.RequestBody{Required: true, Content: body("AttemptRequest")},
		Responses: map[string]*huma.Response{
			"201": {Description: "won", Content: body("Won")},
			"202": {Description: "not yet known: ask at Location, after Retry-After", Content: body("Unknown")},
			"409": problemResponse("sold-out and limit-reached are final; stock-held, not-enough-left and key-in-progress may be tried again with the same key"),
			"422": problemResponse("key-reused"), "403": problemResponse("sale-not-open, sale-closed, sale-paused, forbidden"),
			"429": problemResponse("quota-exceeded: not executed"), "503": problemResponse("reduced-capacity: not executed"),
			"default": problemResponse("A problem; its type says which."),
		},
	}
}
