package partner

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"penstock/auth"
)

// Grant is an issued token.
type Grant struct {
	Token  string
	Scopes []string
	Life   time.Duration
}

// GrantError is a refusal in the words of RFC 6749, section 5.2.
type GrantError struct {
	// Code is invalid_client, invalid_scope, invalid_request, unsupported_grant_type or unauthorized_client.
	Code, Description string
}

func (e *GrantError) Error() string { return e.Code + ": " + e.Description }

// Grant issues a token for an app that knows its client secret. scope names APIs, separated by spaces; "" means all that it was
// given. Errors: *GrantError, or reduced-capacity.
func (a *Apps) Grant(id, secret, scope string) (Grant, error) {
	now := a.o.Clock.Now()
	s, err := a.current(now)
	if err != nil {
		return Grant{}, err
	}
	sum := sha256.Sum256([]byte(secret))
	k := s.client(id, sum, now)
	if k == nil {
		return Grant{}, &GrantError{"invalid_client", "the client id and secret are not those of an app"}
	}
	r := s.apps[id]
	if !r.Enabled {
		return Grant{}, &GrantError{"invalid_client", "the app is disabled"}
	}
	scopes := strings.Fields(scope)
	if len(scopes) == 0 {
		scopes = r.APIs
	}
	for _, name := range scopes {
		if !slices.Contains(r.APIs, name) {
			return Grant{}, &GrantError{"invalid_scope", "the app was not given every API that was asked for"}
		}
	}
	if len(scopes) == 0 {
		return Grant{}, &GrantError{"invalid_scope", "the app was given no API"}
	}
	return a.issue(r, k, scopes, now)
}

func (a *Apps) issue(r *row, k *kept, scopes []string, now time.Time) (Grant, error) {
	if a.o.Issue == nil {
		return Grant{}, &GrantError{"unauthorized_client", "tokens are not issued here"}
	}
	life := a.o.TokenTTL
	if !k.Until.IsZero() {
		life = min(life, k.Until.Sub(now))
	}
	life = max(life.Truncate(time.Second), time.Second)
	token, err := a.o.Issue(auth.Claims{
		User: auth.AppPrefix + r.ID, App: r.ID, Scopes: strings.Join(scopes, " "), Secret: k.ID, Expires: now.Add(life),
	})
	return Grant{token, scopes, life}, err
}

// client finds the live client secret that matches. An unknown app is compared too, so that it takes about as long.
func (s *snapshot) client(id string, sum [sha256.Size]byte, now time.Time) *kept {
	all := []kept{{Use: OAuth2, Hash: make([]byte, sha256.Size)}, {Use: OAuth2, Hash: make([]byte, sha256.Size)}}
	if r := s.apps[id]; r != nil {
		all = r.kept
	}
	var found *kept
	for i := range all {
		if all[i].matches(sum) && all[i].live(now) && all[i].ID != "" {
			found = &all[i]
		}
	}
	return found
}
