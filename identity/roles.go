package identity

import "strings"

// Role says what a person may do on the admin listener.
type Role string

// Roles, each may do what the ones before it may.
const (
	Viewer   Role = "viewer"
	Support  Role = "support"
	Operator Role = "operator"
	Admin    Role = "admin"
)

// Roles lists every role, weakest first.
func Roles() []Role { return []Role{Viewer, Support, Operator, Admin} }

// Valid reports a role that exists.
func (r Role) Valid() bool { return r.rank() > 0 }

func (r Role) rank() int {
	for i, known := range Roles() {
		if r == known {
			return i + 1
		}
	}
	return 0
}

// grant is a row of the table: the weakest role that may make the calls whose pattern is one of these.
type grant struct {
	needs Role
	// method is "" for all; path is a prefix of whole segments, in which * stands for one segment.
	method, path string
}

// grants is the one table of who may call what on the admin listener. The first row that fits decides; what no row names
// needs an operator.
var grants = []grant{
	{Viewer, "", "/admin/v1/me"}, // one's own account
	{Admin, "", "/admin/v1/users"},
	{Admin, "", "/admin/v1/sessions"},
	{Admin, "", "/admin/v1/oidc-clients"},
	{Admin, "", "/admin/v1/oidc-keys"},
	{Operator, "", "/admin/v1/apps"},   // credentials of third-party apps
	{Operator, "", "/admin/v1/export"}, // everybody's data at once
	{Operator, "GET", "/admin/v1/audit"},
	{Operator, "GET", "/admin/v1/webhooks"}, // URLs may hold secrets
	{Viewer, "GET", "/admin/v1"},
	{Support, "POST", "/admin/v1/orders/*/cancellation"},
	{Support, "POST", "/admin/v1/orders/*/refunds"},
	{Support, "POST", "/admin/v1/orders/*/fulfilment"},
	{Support, "POST", "/admin/v1/cases"},
}

// May reports whether the role may make the call of a pattern such as "GET /admin/v1/orders/{order}". A role that does not
// exist may nothing; a path that is unknown is an operator's to ask for.
func May(role, pattern string) bool {
	have := Role(role).rank()
	if have == 0 {
		return false
	}
	method, path, _ := strings.Cut(pattern, " ")
	for _, g := range grants {
		if (g.method == "" || g.method == method) && under(path, g.path) {
			return have >= g.needs.rank()
		}
	}
	return have >= Operator.rank()
}

// under reports a path that begins with the segments of prefix.
func under(path, prefix string) bool {
	have, want := strings.Split(path, "/"), strings.Split(prefix, "/")
	if len(have) < len(want) {
		return false
	}
	for i, w := range want {
		if w != "*" && w != have[i] {
			return false
		}
	}
	return true
}
