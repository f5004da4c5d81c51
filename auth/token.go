package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"penstock/errs"
)

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 4 << 10

// Claims is what a token says.
type Claims struct {
	User    string
	Role    string
	Expires time.Time
	// App, Scopes and Secret are those of [Identity]; User is then "app:" + App.
	App, Scopes, Secret string
}

// wireClaims is the JSON of a token's claims.
type wireClaims struct {
	jwt.RegisteredClaims
	Role   string `json:"role,omitempty"`
	App    string `json:"client_id,omitempty"` // RFC 9068
	Scopes string `json:"scope,omitempty"`
	Secret string `json:"secret_id,omitempty"`
}

// checkApp keeps apps and people apart: who is called app:… is that app, and an app has no role.
func checkApp(user, app, role string) error {
	if name, is := strings.CutPrefix(user, AppPrefix); is != (app != "") || is && (name != app || role != "") {
		return fmt.Errorf("user %q cannot be app %q with role %q: an app is the user %s<id>, without a role, and nobody else is", user, app, role, AppPrefix)
	}
	return nil
}

// Sign returns a token signed with the active key.
func (r *Ring) Sign(c Claims) (string, error) {
	user, err := Canonical(c.User)
	if err != nil {
		return "", err
	}
	if err := checkApp(user, c.App, c.Role); err != nil {
		return "", err
	}
	now := r.o.Clock.Now()
	if c.Expires.IsZero() {
		return "", fmt.Errorf("a token needs an expiry")
	}
	k := r.current(now).signer
	t := jwt.NewWithClaims(jwt.GetSigningMethod(k.Alg), wireClaims{Role: c.Role, App: c.App, Scopes: c.Scopes, Secret: c.Secret, RegisteredClaims: jwt.RegisteredClaims{
		Subject: user, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(c.Expires),
	}})
	t.Header["kid"] = k.Kid
	text, err := t.SignedString(k.signing())
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return text, nil
}

// Verify returns who the token speaks for. Errors: unauthenticated, or reduced-capacity when every slot for cold checks stayed
// taken (nothing was executed; the same token may be tried again).
func (r *Ring) Verify(token string) (Identity, error) {
	if len(token) > maxToken {
		return Identity{}, errs.New(errs.Unauthenticated, "the token is longer than %d bytes", maxToken)
	}
	now := r.o.Clock.Now()
	if IsAdmission(token) {
		return r.admitted(token, now)
	}
	r.current(now)
	sum := sha256.Sum256([]byte(token))
	if id, ok := r.cache.get(&sum, now); ok {
		return id, nil
	}
	id, k, err := r.verifyCold(token)
	if err != nil {
		return Identity{}, err
	}
	r.cache.put(&sum, entry{id: id, key: k, until: id.Expires.Add(r.o.Leeway)})
	return id, nil
}

func (r *Ring) verifyCold(token string) (Identity, *key, error) {
	if !plain(token) {
		return Identity{}, nil, errs.New(errs.Unauthenticated, "the token is not valid")
	}
	var (
		claims wireClaims
		used   *key
	)
	t, err := r.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		k, err := r.keyFor(t)
		if err != nil {
			return nil, err
		}
		if k.public != nil {
			if err := r.takeSlot(); err != nil {
				return nil, err
			}
		}
		used = k
		return k.verifying(), nil
	})
	if used != nil && used.public != nil {
		<-r.slots
	}
	if err != nil {
		return Identity{}, nil, refusal(err)
	}
	if !t.Valid || used == nil || used.gone.Load() {
		return Identity{}, nil, errs.New(errs.Unauthenticated, "the token is not valid")
	}
	user, err := Canonical(claims.Subject)
	if err != nil {
		return Identity{}, nil, errs.Wrap(errs.Unauthenticated, err, "the token's sub is not a user id")
	}
	if err := checkApp(user, claims.App, claims.Role); err != nil {
		return Identity{}, nil, errs.Wrap(errs.Unauthenticated, err, "the token mixes an app and a person")
	}
	return Identity{
		User: user, Role: claims.Role, Expires: claims.ExpiresAt.Time, App: claims.App, Scopes: claims.Scopes, Secret: claims.Secret,
	}, used, nil
}

// plain reports a text of base64url characters and dots only. The decoder skips line breaks, which would give one token many
// spellings.
func plain(token string) bool {
	for i := range len(token) {
		c := token[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// keyFor finds the key that the token names and holds the token to that key's algorithm.
func (r *Ring) keyFor(t *jwt.Token) (*key, error) {
	kid, _ := t.Header["kid"].(string)
	if _, critical := t.Header["crit"]; critical || kid == "" {
		return nil, errs.New(errs.Unauthenticated, "the token must name its key and must not carry critical headers")
	}
	k := r.set.Load().tokens[kid]
	if k == nil {
		k = r.look(r.o.Clock.Now(), recheckUnknown).tokens[kid]
	}
	if k == nil || t.Method.Alg() != k.Alg {
		return nil, errs.New(errs.Unauthenticated, "the token is signed by an unknown key")
	}
	return k, nil
}

// takeSlot waits a short while for the right to do an asymmetric check.
func (r *Ring) takeSlot() error {
	select {
	case r.slots <- struct{}{}:
		return nil
	default:
	}
	timer := r.o.Clock.NewTimer(r.o.SlotWait)
	defer timer.Stop()
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-timer.C():
		e := errs.New(errs.ReducedCapacity, "too many new tokens at once")
		e.RetryAfter = time.Second
		return e
	}
}

// refusal turns the JWT library's error into one for the client. It tells an expired token from a bad one, and no more.
func refusal(err error) error {
	if coded, ok := errors.AsType[*errs.Error](err); ok {
		return coded
	}
	if errors.Is(err, jwt.ErrTokenExpired) {
		return errs.Wrap(errs.Unauthenticated, err, "the token has expired")
	}
	return errs.Wrap(errs.Unauthenticated, err, "the token is not valid")
}
