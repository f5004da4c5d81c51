package accept

// kind says who may make a call. The whole matrix follows from it.
type kind string

// Kinds of calls. On the admin listener a kind names the weakest role.
const (
	open        kind = "anybody"
	owned       kind = "what is in the path belongs to somebody"
	ownedInSale kind = "what is in the path belongs to somebody, in a sale"
	mine        kind = "about the caller alone"
	inSale      kind = "about the caller, in a sale"
	viewer      kind = "viewer"
	support     kind = "support"
	agent       kind = "operator"
	chief       kind = "admin"
)

// right is one row: the kind of a call, the API that an app needs for it ("" means that no app may), and a body that is good
// enough to come to the question whose it is. ORDER, KEY, … in paths stand for the owner's.
type right struct {
	kind kind
	api  string
	body string
}

// rights is the table that a new call of the document has to be entered in.
func rights() map[string]right {
	all := map[string]right{
		"GET /v1/sales":                           {open, "", ""},
		"GET /v1/sales/{sale}":                    {open, "", ""},
		"GET /v1/sales/{sale}/draw":               {open, "", ""},
		"POST /oauth2/token":                      {open, "", "grant_type=x"},
		"POST /v1/payment-callbacks/{provider}":   {open, "", "{}"},
		"POST /v1/sales/{sale}/attempts":          {inSale, "orders.write", `{"sku":"a","quantity":1}`},
		"POST /v1/sales/{sale}/pass":              {inSale, "", ""},
		"POST /v1/sales/{sale}/waiting":           {inSale, "orders.write", `{"sku":"a","quantity":1}`},
		"POST /v1/sales/{sale}/line":              {inSale, "", `{"sku":"a"}`},
		"GET /v1/sales/{sale}/attempts/{key}":     {ownedInSale, "orders.read", ""},
		"GET /v1/sales/{sale}/attempts/{key}/why": {ownedInSale, "orders.read", ""},
		"GET /v1/sales/{sale}/waiting/{entry}":    {ownedInSale, "orders.read", ""},
		"DELETE /v1/sales/{sale}/waiting/{entry}": {ownedInSale, "orders.write", ""},
		"GET /v1/sales/{sale}/line/{entry}":       {ownedInSale, "", ""},
		"DELETE /v1/sales/{sale}/line/{entry}":    {ownedInSale, "", ""},
		"GET /v1/orders":                          {mine, "orders.read", ""},
		"GET /v1/events":                          {mine, "", ""},
		"GET /v1/balance":                         {mine, "balance.read", ""},
		"GET /v1/balance/entries":                 {mine, "balance.read", ""},
		"GET /v1/orders/{order}":                  {owned, "orders.read", ""},
		"POST /v1/orders/{order}/payments":        {owned, "payments.write", `{"method":"sandbox"}`},
		"POST /v1/orders/{order}/cancellation":    {owned, "orders.write", "{}"},
		"POST /v1/orders/{order}/refunds":         {owned, "payments.write", `{"amount":1}`},
	}
	for k, calls := range map[kind][]string{
		viewer: {
			"GET /admin/v1/live",
			"GET /admin/v1/orders/{order}/timeline",
			"GET /admin/v1/sales/{sale}/rehearsals",
			"GET /admin/v1/sales/{sale}/rehearsals/{rehearsal}",
			"GET /admin/v1/balances/{user}/entries",
			"GET /admin/v1/balances/{user}",
			"GET /admin/v1/cases/{case}",
			"GET /admin/v1/cases",
			"GET /admin/v1/dead-letters/{letter}",
			"GET /admin/v1/dead-letters",
			"GET /admin/v1/drained",
			"GET /admin/v1/gateway",
			"GET /admin/v1/ledger",
			"PUT /admin/v1/me/password",
			"PUT /admin/v1/me/totp",
			"POST /admin/v1/me/totp/confirmation",
			"GET /admin/v1/me",
			"GET /admin/v1/orders/{order}",
			"GET /admin/v1/orders",
			"GET /admin/v1/reconcile",
			"GET /admin/v1/sales/{sale}/line",
			"GET /admin/v1/sales/{sale}/report.html",
			"GET /admin/v1/sales/{sale}/report.json",
			"GET /admin/v1/sales/{sale}/report.xlsx",
			"GET /admin/v1/sales/{sale}",
			"GET /admin/v1/sales",
			"GET /admin/v1/stock",
			"GET /admin/v1/transactions/{transaction}",
			"GET /admin/v1/transactions",
		},
		support: {
			"POST /admin/v1/cases/{case}/resolve",
			"POST /admin/v1/orders/{order}/cancellation",
			"POST /admin/v1/orders/{order}/fulfilment",
			"POST /admin/v1/orders/{order}/refunds",
		},
		agent: {
			"POST /admin/v1/gateway/breakers/{breaker}",
			"POST /admin/v1/sales/validate",
			"POST /admin/v1/sales/{sale}/rehearsals",
			"POST /admin/v1/apps/{app}/disable",
			"POST /admin/v1/apps/{app}/enable",
			"POST /admin/v1/apps/{app}/rotate",
			"DELETE /admin/v1/apps/{app}/secrets/{secret}",
			"DELETE /admin/v1/apps/{app}",
			"GET /admin/v1/apps/{app}",
			"PATCH /admin/v1/apps/{app}",
			"GET /admin/v1/apps",
			"POST /admin/v1/apps",
			"GET /admin/v1/audit",
			"POST /admin/v1/balances/{user}/entries",
			"PUT /admin/v1/balances/{user}/limits/{currency}",
			"POST /admin/v1/dead-letters/discard",
			"POST /admin/v1/dead-letters/replay",
			"POST /admin/v1/dead-letters/{letter}/discard",
			"POST /admin/v1/dead-letters/{letter}/edit",
			"POST /admin/v1/dead-letters/{letter}/replay",
			"GET /admin/v1/export/{name}",
			"POST /admin/v1/gateway/explain",
			"POST /admin/v1/gateway/reload",
			"POST /admin/v1/participants/{participant}/cancel",
			"POST /admin/v1/participants/{participant}/confirm",
			"POST /admin/v1/participants/{participant}/try",
			"POST /admin/v1/reconcile",
			"POST /admin/v1/sales/{sale}/actions",
			"POST /admin/v1/sales/{sale}/draw",
			"POST /admin/v1/sales/{sale}/stock",
			"PATCH /admin/v1/sales/{sale}",
			"POST /admin/v1/sales",
			"POST /admin/v1/statements",
			"POST /admin/v1/transactions/{transaction}/resolve",
			"POST /admin/v1/transactions",
			"POST /admin/v1/webhooks/{webhook}/deliveries/{delivery}/replay",
			"GET /admin/v1/webhooks/{webhook}/deliveries",
			"POST /admin/v1/webhooks/{webhook}/disable",
			"POST /admin/v1/webhooks/{webhook}/enable",
			"POST /admin/v1/webhooks/{webhook}/ping",
			"POST /admin/v1/webhooks/{webhook}/replay",
			"POST /admin/v1/webhooks/{webhook}/rotate",
			"DELETE /admin/v1/webhooks/{webhook}",
			"GET /admin/v1/webhooks/{webhook}",
			"PATCH /admin/v1/webhooks/{webhook}",
			"GET /admin/v1/webhooks",
			"POST /admin/v1/webhooks",
		},
		chief: {
			"POST /admin/v1/oidc-clients/{client}/rotate",
			"DELETE /admin/v1/oidc-clients/{client}",
			"GET /admin/v1/oidc-clients/{client}",
			"PATCH /admin/v1/oidc-clients/{client}",
			"GET /admin/v1/oidc-clients",
			"POST /admin/v1/oidc-clients",
			"POST /admin/v1/oidc-keys/rotate",
			"DELETE /admin/v1/sessions/{session}",
			"GET /admin/v1/sessions",
			"POST /admin/v1/users/{user}/logout",
			"PUT /admin/v1/users/{user}/password",
			"DELETE /admin/v1/users/{user}/totp",
			"PUT /admin/v1/users/{user}/totp",
			"GET /admin/v1/users/{user}",
			"PATCH /admin/v1/users/{user}",
			"GET /admin/v1/users",
			"POST /admin/v1/users",
		},
	} {
		for _, c := range calls {
			all[c] = right{k, "", "{}"}
		}
	}
	return all
}
