package app_test

import (
	"testing"

	"penstock/gateway"
	"penstock/gateway/api"
	"penstock/partner"
)

// Every public route that wants a caller is either part of an API that apps can be given, or said to be for people only; and both
// lists name routes that there are.
func TestEveryRouteIsInAnAPIOrForPeople(t *testing.T) {
	t.Parallel()
	apis, people, routes := partner.BuiltInAPIs(), partner.PeopleOnly(), api.PublicRoutes()
	for name, access := range routes {
		_, in := apis[name]
		_, out := people[name]
		switch {
		case in && out:
			t.Errorf("%s is in both lists", name)
		case access == gateway.ByAnyone || access == gateway.ByOperator:
		case !in && !out:
			t.Errorf("%s is in no API of apps; name one in partner.BuiltInAPIs, or say in partner.PeopleOnly why not", name)
		}
	}
	for _, list := range []map[string]string{apis, people} {
		for name := range list {
			if _, ok := routes[name]; !ok {
				t.Errorf("%s is no route", name)
			}
		}
	}
}
