package partner

import (
	"context"
	"crypto/hmac"
	"net/http"
	"slices"
	"strings"
	"time"

	"penstock/auth"
	"penstock/errs"
	"penstock/partner/signature"
)

// Tolerance is how far the time of a signature may be from ours. Nonces are kept for longer, so that clocks of several processes
// may differ by a minute.
const (
	Tolerance  = 5 * time.Minute
	nonceGrace = time.Minute
)

// Signed reports whether a request claims to be signed by an app.
func (a *Apps) Signed(r *http.Request) bool {
	return len(r.Header[signature.InputHeader]) > 0 || len(r.Header[signature.SignatureHeader]) > 0
}

func bad(format string, args ...any) error { return errs.New(errs.BadSignature, format, args...) }

// Verify returns the app that signed a request with this body. Errors: bad-signature, unauthenticated for an app that is
// disabled, reduced-capacity when the apps or the nonces cannot be asked. Nothing was executed in any case; the nonce of a
// request that was refused for anything but its own sake is not used up.
func (a *Apps) Verify(ctx context.Context, r *http.Request, body []byte) (auth.Identity, error) {
	now := a.o.Clock.Now()
	in, mac, err := signature.Parse(r.Header)
	if err != nil {
		return auth.Identity{}, errs.Wrap(errs.BadSignature, err, "%s", err.Error())
	}
	if err := covered(r, in, len(body) > 0); err != nil {
		return auth.Identity{}, err
	}
	if err := timely(in, now); err != nil {
		return auth.Identity{}, err
	}
	s, err := a.current(now)
	if err != nil {
		return auth.Identity{}, err
	}
	k, err := s.signer(r, in, mac, now)
	if err != nil {
		return auth.Identity{}, err
	}
	if len(body) > 0 || len(r.Header[signature.DigestHeader]) > 0 {
		if err := signature.CheckDigest(r.Header, body); err != nil {
			return auth.Identity{}, bad("%s", err.Error())
		}
	}
	who := k.app.identity(k.ID, time.Unix(in.Created, 0).Add(Tolerance))
	if _, err := s.alive(who, now); err != nil {
		return auth.Identity{}, err
	}
	first, err := a.replay.Once(ctx, nonceID(k.ID, in.Nonce), who.Expires.Add(nonceGrace))
	if err != nil {
		a.o.Logger.Warn("a nonce could not be checked", "error", err.Error())
		e := errs.Wrap(errs.ReducedCapacity, err, "signatures cannot be checked right now; nothing was executed; sign again with a new nonce")
		e.RetryAfter = time.Second
		return auth.Identity{}, e
	}
	if !first {
		return auth.Identity{}, bad("the nonce was used before; sign each request anew")
	}
	return who, nil
}

// covered refuses a signature that leaves open what matters.
func covered(r *http.Request, in signature.Input, body bool) error {
	if len(r.Header["Authorization"]) > 0 {
		return bad("a signed request has no Authorization header")
	}
	for _, name := range signature.Required(r.Header, body) {
		if !slices.Contains(in.Components, name) {
			return bad("the signature must cover %q", name)
		}
	}
	return nil
}

func timely(in signature.Input, now time.Time) error {
	if off := now.Sub(time.Unix(in.Created, 0)); off > Tolerance || off < -Tolerance {
		return bad("created is %v away from the time here; at most %v are allowed", off.Abs().Truncate(time.Second), Tolerance)
	}
	if in.Expires != 0 && now.Unix() >= in.Expires {
		return bad("the signature has expired")
	}
	return nil
}

// signer finds the key and checks the signature. An unknown key, one that has ended and a wrong signature look the same and take
// the same time.
func (s *snapshot) signer(r *http.Request, in signature.Input, mac []byte, now time.Time) (*key, error) {
	base, err := in.Base(r)
	if err != nil {
		return nil, bad("%s", err.Error())
	}
	k, secret := s.keys[in.KeyID], []byte(strings.Repeat("-", 48))
	if k != nil {
		secret = k.secret
	}
	if good := hmac.Equal(mac, signature.MAC(secret, base)); !good || k == nil || !k.live(now) {
		return nil, bad("the signature is not that of a key we know over this request")
	}
	return k, nil
}

func (r *row) identity(secret string, expires time.Time) auth.Identity {
	return auth.Identity{User: auth.AppPrefix + r.ID, App: r.ID, Secret: secret, Sandbox: r.Sandbox, Expires: expires}
}

// alive returns the app of an identity if it and the secret behind it are good now.
func (s *snapshot) alive(who auth.Identity, now time.Time) (*row, error) {
	r := s.apps[who.App]
	switch {
	case r == nil:
		return nil, errs.New(errs.Unauthenticated, "there is no such app")
	case !r.Enabled:
		return nil, errs.New(errs.Unauthenticated, "the app is disabled")
	case !slices.ContainsFunc(r.kept, func(k kept) bool { return k.ID == who.Secret && k.live(now) }):
		return nil, errs.New(errs.Unauthenticated, "the secret that this call stands on has ended")
	}
	return r, nil
}

// Permit refuses an app the API unless it is enabled, was given the API, and comes with a signature or with a token issued for it.
// People pass. Errors: unauthenticated, forbidden, reduced-capacity.
func (a *Apps) Permit(who auth.Identity, api string) error {
	if who.App == "" {
		return nil
	}
	now := a.o.Clock.Now()
	s, err := a.current(now)
	if err != nil {
		return err
	}
	r, err := s.alive(who, now)
	switch {
	case err != nil:
		return err
	case r.Sandbox && !slices.Contains(a.builtIn, api):
		return errs.New(errs.Forbidden, "a sandbox app reaches the built-in APIs only")
	case api == "":
		return errs.New(errs.Forbidden, "this call is not for apps")
	case !slices.Contains(r.APIs, api):
		return errs.New(errs.Forbidden, "the app was not given the API %s", api)
	case who.Scopes != "" && !slices.Contains(strings.Fields(who.Scopes), api):
		return errs.New(errs.Forbidden, "the token was not issued for the API %s", api)
	}
	return nil
}

// Verifier is who tells whom a bearer token speaks for; *auth.Ring is one.
type Verifier interface {
	Verify(token string) (auth.Identity, error)
	VerifyPass(token string, now time.Time) (user, sale string, err error)
}

// Bearers returns v with the tokens of apps looked at as they are now: whether the app and its secret are still good, and whether
// it is a sandbox app.
func (a *Apps) Bearers(v Verifier) Verifier { return bearers{v, a} }

type bearers struct {
	Verifier
	apps *Apps
}

// Verify implements Verifier.
func (b bearers) Verify(token string) (auth.Identity, error) {
	who, err := b.Verifier.Verify(token)
	if err != nil || who.App == "" {
		return who, err
	}
	now := b.apps.o.Clock.Now()
	s, err := b.apps.current(now)
	if err != nil {
		return auth.Identity{}, err
	}
	r, err := s.alive(who, now)
	if err != nil {
		return auth.Identity{}, err
	}
	who.Sandbox = r.Sandbox
	return who, nil
}
