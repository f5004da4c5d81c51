package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"penstock/engine/sqldb"
	"penstock/identity"
)

// Algorithms of ID tokens.
const (
	RS256 = "RS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

func algorithms() []string { return []string{RS256, ES256, EdDSA} }

const (
	// keysFresh is how old the keys read last may be; signAfter is how long a new key is shown before it signs, so that every
	// instance shows it by then.
	keysFresh = 5 * time.Second
	signAfter = 10 * time.Second
	// keepRetired is how long a key that signs no more is shown: tokens live for minutes, caches of clients for a day at most.
	keepRetired = 48 * time.Hour
	rsaBits     = 2048
)

// key is a signing key.
type key struct {
	kid, alg         string
	public           map[string]any // its JWK
	private          crypto.Signer
	created, retired time.Time
}

type keySet struct {
	all []key
	at  time.Time
}

// ensureKeys makes one key per algorithm if there is none.
func (p *Provider) ensureKeys(ctx context.Context) error {
	set, err := p.readKeys(ctx)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, k := range set.all {
		have[k.alg] = true
	}
	for _, alg := range algorithms() {
		if !have[alg] {
			// Two instances that begin together may both make one; both are good.
			if _, err := p.addKey(ctx, alg); err != nil {
				return err
			}
		}
	}
	return nil
}

// RotateKeys makes a new key of every algorithm; the old ones verify for two days. why may be "".
func (p *Provider) RotateKeys(ctx context.Context, who, why string) ([]string, error) {
	var kids []string
	for _, alg := range algorithms() {
		kid, err := p.addKey(ctx, alg)
		if err != nil {
			return kids, err
		}
		kids = append(kids, kid)
	}
	return kids, p.people.Tell(ctx, identity.Act{Who: who, Act: "oidc-keys.rotate", Object: "oidc-keys", Why: why})
}

func (p *Provider) addKey(ctx context.Context, alg string) (string, error) {
	private, err := generate(alg)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", err
	}
	kid := rand.Text()
	public, err := json.Marshal(jwkOf(kid, alg, private.Public()))
	if err != nil {
		return "", err
	}
	now := p.people.Now()
	err = p.people.Store().Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM identity_oidc_keys WHERE retired>0 AND retired<?`, now.Add(-keepRetired).UnixMilli()); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE identity_oidc_keys SET retired=? WHERE alg=? AND retired=0`, now.Add(signAfter).UnixMilli(), alg); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO identity_oidc_keys (kid, alg, public, sealed, created, retired) VALUES (?,?,?,?,?,0)`, kid, alg, string(public),
			p.people.Vault().Seal("oidc-key/"+kid, der), now.UnixMilli())
		return err
	})
	p.mu.Lock()
	p.keys = keySet{}
	p.mu.Unlock()
	return kid, err
}

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return private, err
}

func jwkOf(kid, alg string, public crypto.PublicKey) map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	j := map[string]any{"kid": kid, "alg": alg, "use": "sig"}
	switch k := public.(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point, _ := k.Bytes() // a key that was just made is on its curve
		j["kty"], j["crv"], j["x"], j["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", b64(k)
	}
	return j
}

// readKeys returns the keys, newest first, reading them when they were read too long ago.
func (p *Provider) readKeys(ctx context.Context) (keySet, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.people.Now()
	if len(p.keys.all) > 0 && now.Sub(p.keys.at) < keysFresh {
		return p.keys, nil
	}
	rows, err := p.people.Store().Query(ctx, `SELECT kid, alg, public, sealed, created, retired FROM identity_oidc_keys WHERE retired=0 OR retired>? ORDER BY created DESC, kid`,
		now.Add(-keepRetired).UnixMilli())
	if err != nil {
		return keySet{}, err
	}
	defer rows.Close()
	set := keySet{at: now}
	for rows.Next() {
		k, err := p.scanKey(rows.Scan)
		if err != nil {
			return keySet{}, err
		}
		set.all = append(set.all, k)
	}
	if err := rows.Err(); err != nil {
		return keySet{}, err
	}
	p.keys = set
	return set, nil
}

func (p *Provider) scanKey(scan func(...any) error) (key, error) {
	var k key
	var public, sealed []byte
	var created, retired int64
	if err := scan(&k.kid, &k.alg, &public, &sealed, &created, &retired); err != nil {
		return k, err
	}
	k.created = time.UnixMilli(created)
	if retired > 0 {
		k.retired = time.UnixMilli(retired)
	}
	if err := json.Unmarshal(public, &k.public); err != nil {
		return k, err
	}
	der, err := p.people.Vault().Open("oidc-key/"+k.kid, sealed)
	if err != nil {
		return k, err
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return k, err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return k, fmt.Errorf("key %s does not sign", k.kid)
	}
	k.private = signer
	return k, nil
}

// signer is the newest key of an algorithm that has been shown for long enough, or the only one.
func (s keySet) signer(alg string, now time.Time) (key, error) {
	var oldest *key
	for i, k := range s.all {
		if k.alg != alg {
			continue
		}
		if now.Sub(k.created) >= signAfter {
			return k, nil
		}
		oldest = &s.all[i]
	}
	if oldest == nil {
		return key{}, fmt.Errorf("there is no key for %s", alg)
	}
	return *oldest, nil
}

func (p *Provider) sign(ctx context.Context, alg string, claims jwt.MapClaims) (string, error) {
	set, err := p.readKeys(ctx)
	if err != nil {
		return "", err
	}
	k, err := set.signer(alg, p.people.Now())
	if err != nil {
		return "", err
	}
	t := jwt.NewWithClaims(jwt.GetSigningMethod(alg), claims)
	t.Header["kid"] = k.kid
	return t.SignedString(k.private)
}

// ownToken reads an ID token of ours, which may have expired: it is a hint, not a credential.
func (p *Provider) ownToken(ctx context.Context, text string) (jwt.MapClaims, error) {
	set, err := p.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	claims := jwt.MapClaims{}
	_, err = jwt.NewParser(jwt.WithValidMethods(algorithms()), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding()).ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		for _, k := range set.all {
			if k.kid == t.Header["kid"] && k.alg == t.Method.Alg() {
				return k.private.Public(), nil
			}
		}
		return nil, errors.New("unknown key")
	})
	if err == nil && claims["iss"] != p.issuer {
		err = errors.New("another issuer")
	}
	return claims, err
}

func (p *Provider) jwks(w http.ResponseWriter, r *http.Request) {
	set, err := p.readKeys(r.Context())
	if err != nil {
		tell(w, err)
		return
	}
	keys := []map[string]any{}
	for _, k := range set.all {
		keys = append(keys, k.public)
	}
	w.Header().Set("Cache-Control", "public, max-age=60")
	reply(w, http.StatusOK, map[string]any{"keys": keys})
}
