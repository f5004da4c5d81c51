package api

import (
	"context"
	"net/http"
	"time"

	"penstock/errs"
	"penstock/gateway"
	"penstock/identity"
	"penstock/identity/oidc"
)

// OIDC is what the calls about other systems that use the login need. Each act names who did it.
type OIDC interface {
	oidcClients
	RotateSecret(ctx context.Context, who, why, id string) (secret string, err error)
	RotateKeys(ctx context.Context, who, why string) (ids []string, err error)
	// Handler answers /.well-known/openid-configuration and /oidc/….
	Handler() http.Handler
}

type oidcClients interface {
	Clients(ctx context.Context) ([]oidc.Client, error)
	Client(ctx context.Context, id string) (oidc.Client, error)
	CreateClient(ctx context.Context, who string, c oidc.Client) (oidc.Client, string, error)
	ChangeClient(ctx context.Context, who, why string, c oidc.Client) (oidc.Client, error)
	DeleteClient(ctx context.Context, who, why, id string) error
}

// OIDCClient is another system that uses the login. Secret is shown when it is made, and never again.
type OIDCClient struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Public     bool            `json:"public" doc:"has no secret"`
	Redirects  []string        `json:"redirectUris" nullable:"false"`
	PostLogout []string        `json:"postLogoutRedirectUris" nullable:"false"`
	Algorithm  string          `json:"idTokenAlg" enum:"RS256,ES256,EdDSA"`
	Roles      []identity.Role `json:"roles" nullable:"false" doc:"who may log in to it; none means all"`
	Disabled   bool            `json:"disabled"`
	Secret     string          `json:"secret,omitempty" doc:"the new secret, shown this one time"`
	CreatedAt  time.Time       `json:"createdAt"`
}

func wireClient(c oidc.Client) OIDCClient {
	return OIDCClient{
		ID: c.ID, Name: c.Name, Public: c.Public, Redirects: append([]string{}, c.Redirects...), PostLogout: append([]string{}, c.PostLogout...), Algorithm: c.Algorithm,
		Roles: append([]identity.Role{}, c.Roles...), Disabled: c.Disabled, CreatedAt: moment(c.Created),
	}
}

// OIDCClientPath names a system.
type OIDCClientPath struct {
	Client string `path:"client" maxLength:"64"`
}

type clientReason struct {
	OIDCClientPath
	Body *Reason
}

type clientDelete struct {
	OIDCClientPath
	Reason string `query:"reason" maxLength:"500" doc:"why, for the audit trail"`
}

type clientOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         OIDCClient
}

type clientCreate struct {
	Body struct {
		ID         string          `json:"id" maxLength:"64"`
		Name       string          `json:"name" maxLength:"200"`
		Public     bool            `json:"public,omitempty"`
		Redirects  []string        `json:"redirectUris" maxItems:"20"`
		PostLogout []string        `json:"postLogoutRedirectUris,omitempty" maxItems:"20"`
		Algorithm  string          `json:"idTokenAlg,omitempty" enum:"RS256,ES256,EdDSA" doc:"RS256 if it is left out"`
		Roles      []identity.Role `json:"roles,omitempty" maxItems:"4"`
	}
}

type clientChange struct {
	OIDCClientPath
	Body struct {
		Name       *string          `json:"name,omitempty" maxLength:"200"`
		Redirects  *[]string        `json:"redirectUris,omitempty" maxItems:"20"`
		PostLogout *[]string        `json:"postLogoutRedirectUris,omitempty" maxItems:"20"`
		Algorithm  *string          `json:"idTokenAlg,omitempty" enum:"RS256,ES256,EdDSA"`
		Roles      *[]identity.Role `json:"roles,omitempty" maxItems:"4"`
		Disabled   *bool            `json:"disabled,omitempty"`
		Reason     string           `json:"reason,omitempty" maxLength:"500"`
	}
}

type keysOutput struct {
	Body struct {
		Keys []string `json:"keys" nullable:"false" doc:"ids of the new ones"`
	}
}

// oidcCalls are those about clients, and the calls of the provider itself. Without an issuer there is no provider: they answer
// not-found.
func (s *surface) oidcCalls() {
	if s.d.OIDC != nil {
		h := s.d.OIDC.Handler()
		for _, pattern := range []string{
			"GET /.well-known/openid-configuration", "GET /oidc/jwks", "GET /oidc/authorize", "POST /oidc/authorize", "POST /oidc/token",
			"GET /oidc/userinfo", "POST /oidc/userinfo", "GET /oidc/end-session", "POST /oidc/end-session",
		} {
			s.handle(pattern, gateway.ByAnyone, h.ServeHTTP)
		}
	}
	register(s, operator("list-oidc-clients", http.MethodGet, "/oidc-clients", "Other systems that use the login"), s.listClients)
	create := operator("create-oidc-client", http.MethodPost, "/oidc-clients", "Let another system use the login")
	create.DefaultStatus = http.StatusCreated
	register(s, create, s.createClient)
	register(s, operator("get-oidc-client", http.MethodGet, "/oidc-clients/{client}", "A system that uses the login"), s.getClient)
	register(s, operator("change-oidc-client", http.MethodPatch, "/oidc-clients/{client}", "Change or disable it; disabling ends what it was granted"), s.changeClient)
	register(s, operator("delete-oidc-client", http.MethodDelete, "/oidc-clients/{client}", "Take it away, with what it was granted"), s.deleteClient)
	register(s, operator("rotate-oidc-client", http.MethodPost, "/oidc-clients/{client}/rotate", "Give it a new secret; the old one is over"), s.rotateClient)
	register(s, operator("rotate-oidc-keys", http.MethodPost, "/oidc-keys/rotate", "Sign ID tokens with new keys from now on"), s.rotateKeys)
}

// provider is the provider, if there is one.
func (s *surface) provider() (OIDC, error) {
	if s.d.OIDC == nil {
		return nil, errs.New(errs.NotFound, "there is no OpenID provider: identity.issuer is not set")
	}
	return s.d.OIDC, nil
}

func clientAnswer(c oidc.Client, secret string, err error) (*clientOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &clientOutput{noStore, wireClient(c)}
	out.Body.Secret = secret
	return out, nil
}

func (s *surface) listClients(ctx context.Context, _ *struct{}) (*listOf[OIDCClient], error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	all, err := p.Clients(ctx)
	if err != nil {
		return nil, err
	}
	return &listOf[OIDCClient]{Page[OIDCClient]{Items: each(all, wireClient)}}, nil
}

func (s *surface) createClient(ctx context.Context, in *clientCreate) (*clientOutput, error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	b := in.Body
	return clientAnswer(p.CreateClient(ctx, acting(ctx), oidc.Client{
		ID: b.ID, Name: b.Name, Public: b.Public, Redirects: b.Redirects, PostLogout: b.PostLogout, Algorithm: b.Algorithm, Roles: b.Roles,
	}))
}

func (s *surface) getClient(ctx context.Context, in *OIDCClientPath) (*clientOutput, error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	c, err := p.Client(ctx, in.Client)
	return clientAnswer(c, "", err)
}

func (s *surface) changeClient(ctx context.Context, in *clientChange) (*clientOutput, error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	c, err := p.Client(ctx, in.Client)
	if err != nil {
		return nil, err
	}
	put(&c.Name, in.Body.Name)
	put(&c.Redirects, in.Body.Redirects)
	put(&c.PostLogout, in.Body.PostLogout)
	put(&c.Algorithm, in.Body.Algorithm)
	put(&c.Roles, in.Body.Roles)
	put(&c.Disabled, in.Body.Disabled)
	c, err = p.ChangeClient(ctx, acting(ctx), in.Body.Reason, c)
	return clientAnswer(c, "", err)
}

func (s *surface) deleteClient(ctx context.Context, in *clientDelete) (*struct{}, error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	return nil, p.DeleteClient(ctx, acting(ctx), in.Reason, in.Client)
}

func (s *surface) rotateClient(ctx context.Context, in *clientReason) (*clientOutput, error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	secret, err := p.RotateSecret(ctx, acting(ctx), in.Body.text(), in.Client)
	if err != nil {
		return nil, err
	}
	c, err := p.Client(ctx, in.Client)
	return clientAnswer(c, secret, err)
}

func (s *surface) rotateKeys(ctx context.Context, in *struct{ Body *Reason }) (*keysOutput, error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	out := &keysOutput{}
	out.Body.Keys, err = p.RotateKeys(ctx, acting(ctx), in.Body.text())
	return out, err
}
