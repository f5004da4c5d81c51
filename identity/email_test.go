package identity

import "testing"

// What other systems are told as somebody's address looks like one.
func TestEmails(t *testing.T) {
	t.Parallel()
	for email, good := range map[string]bool{"": true, "ann@shop.example": true, "notmail": false, "@shop.example": false, "ann@": false, "Ann <ann@shop.example>": false, "a@b@c": false} {
		if err := (User{Name: "ann", Role: Viewer, Email: email}).check(); (err == nil) != good {
			t.Errorf("%q: %v", email, err)
		}
	}
}
