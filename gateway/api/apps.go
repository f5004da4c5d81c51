package api

import (
	"context"
	"net/http"
	"time"

	"penstock/partner"
)

// Apps is what the operator's calls about third-party apps need, and the token call of the apps themselves. Each act names who
// did it and why.
type Apps interface {
	appCatalogue
	appSecrets
	// Grant issues a token to an app that knows its client secret. Errors: *partner.GrantError, or a code.
	Grant(id, secret, scope string) (partner.Grant, error)
}

type appCatalogue interface {
	List(ctx context.Context) ([]partner.App, error)
	Get(ctx context.Context, id string) (partner.App, error)
	Create(ctx context.Context, who string, d partner.Definition) (partner.App, []partner.Secret, error)
	Change(ctx context.Context, who, id, why string, c partner.Change) (partner.App, error)
	Delete(ctx context.Context, who, id, why string) error
}

type appSecrets interface {
	Enable(ctx context.Context, who, id, why string) (partner.App, error)
	Disable(ctx context.Context, who, id, why string) (partner.App, error)
	Rotate(ctx context.Context, who, id, why string, n partner.Rotation) (partner.App, partner.Secret, error)
	EndSecret(ctx context.Context, who, id, secret, why string) (partner.App, error)
}

// PartnerApp is a third-party app. A secret is shown when it is made, and never again.
type PartnerApp struct {
	ID          string      `json:"id" doc:"the OAuth2 client_id; the app is the user app:<id>"`
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Enabled     bool        `json:"enabled"`
	Why         string      `json:"why,omitempty" doc:"why it is disabled"`
	Sandbox     bool        `json:"sandbox" doc:"reaches sandbox sales and the sandbox payment only"`
	APIs        []string    `json:"apis" nullable:"false" doc:"what it may call"`
	PerMinute   int         `json:"perMinute" doc:"most calls a minute; 0 means as the rule for all apps says"`
	PerDay      int         `json:"perDay" doc:"most calls a day; 0 means as the rule for all apps says"`
	Secrets     []AppSecret `json:"secrets" nullable:"false" doc:"those that have not ended, newest first"`
	Version     int64       `json:"version"`
	CreatedAt   time.Time   `json:"createdAt"`
	ChangedAt   time.Time   `json:"changedAt"`
}

// AppSecret tells of a secret.
type AppSecret struct {
	ID        string     `json:"id" doc:"of a signing secret, the keyid of signatures"`
	Use       string     `json:"use" enum:"oauth2,signing"`
	Secret    string     `json:"secret,omitempty" doc:"the new secret, shown this one time"`
	CreatedAt time.Time  `json:"createdAt"`
	Until     *time.Time `json:"until,omitempty" doc:"end of the overlap after a rotation"`
}

func wireApp(a partner.App) PartnerApp {
	return PartnerApp{
		ID: a.ID, Name: a.Name, Description: a.Description, Enabled: a.Enabled, Why: a.Why, Sandbox: a.Sandbox, APIs: each(a.APIs, func(s string) string { return s }),
		PerMinute: a.PerMinute, PerDay: a.PerDay, Version: a.Version, CreatedAt: moment(a.CreatedAt), ChangedAt: moment(a.ChangedAt),
		Secrets: each(a.Secrets, func(s partner.SecretInfo) AppSecret {
			return AppSecret{ID: s.ID, Use: string(s.Use), CreatedAt: moment(s.CreatedAt), Until: optional(s.Until)}
		}),
	}
}

// AppPath names an app.
type AppPath struct {
	App string `path:"app" maxLength:"64"`
}

type appReason struct {
	AppPath
	Body *Reason
}

type appOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         PartnerApp
}

// appAnswer shows the secrets that were just made, and asks everybody on the way not to keep them.
func appAnswer(a partner.App, err error, made ...partner.Secret) (*appOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &appOutput{Body: wireApp(a)}
	for _, s := range made {
		out.CacheControl = "no-store"
		for i := range out.Body.Secrets {
			if out.Body.Secrets[i].ID == s.ID {
				out.Body.Secrets[i].Secret = s.Text
			}
		}
	}
	return out, nil
}

func (s *surface) appCalls() {
	register(s, operator("list-apps", http.MethodGet, "/apps", "List the third-party apps"), s.listApps)
	create := operator("create-app", http.MethodPost, "/apps", "Add an app; the answer shows its secrets this one time")
	create.DefaultStatus = http.StatusCreated
	register(s, create, s.createApp)
	register(s, operator("get-app", http.MethodGet, "/apps/{app}", "Look at an app"), func(ctx context.Context, in *AppPath) (*appOutput, error) {
		a, err := s.d.Apps.Get(ctx, in.App)
		return appAnswer(a, err)
	})
	register(s, operator("patch-app", http.MethodPatch, "/apps/{app}", "Change an app; fields left out stay"), s.patchApp)
	register(s, operator("delete-app", http.MethodDelete, "/apps/{app}", "Remove an app for good; its orders stay"), func(ctx context.Context, in *struct {
		AppPath
		Reason string `query:"reason" maxLength:"500"`
	}) (*struct{}, error) {
		return nil, s.d.Apps.Delete(ctx, acting(ctx), in.App, in.Reason)
	})
	register(s, operator("enable-app", http.MethodPost, "/apps/{app}/enable", "Let an app call again"), func(ctx context.Context, in *appReason) (*appOutput, error) {
		a, err := s.d.Apps.Enable(ctx, acting(ctx), in.App, in.Body.text())
		return appAnswer(a, err)
	})
	register(s, operator("disable-app", http.MethodPost, "/apps/{app}/disable", "Refuse an app, its signatures and its tokens, everywhere within 5 seconds"), func(ctx context.Context, in *appReason) (*appOutput, error) {
		a, err := s.d.Apps.Disable(ctx, acting(ctx), in.App, in.Body.text())
		return appAnswer(a, err)
	})
	register(s, operator("rotate-app", http.MethodPost, "/apps/{app}/rotate", "Give an app a new secret, shown this one time; the one before lives on beside it for a while"), s.rotateApp)
	register(s, operator("end-app-secret", http.MethodDelete, "/apps/{app}/secrets/{secret}", "End a secret now, and the tokens issued for it"), func(ctx context.Context, in *struct {
		AppPath
		Secret string `path:"secret" maxLength:"64"`
		Reason string `query:"reason" maxLength:"500"`
	}) (*appOutput, error) {
		a, err := s.d.Apps.EndSecret(ctx, acting(ctx), in.App, in.Secret, in.Reason)
		return appAnswer(a, err)
	})
}

func (s *surface) listApps(ctx context.Context, _ *struct{}) (*listOf[PartnerApp], error) {
	all, err := s.d.Apps.List(ctx)
	if err != nil {
		return nil, err
	}
	return &listOf[PartnerApp]{Page[PartnerApp]{Items: each(all, wireApp)}}, nil
}

func (s *surface) createApp(ctx context.Context, in *struct {
	Body struct {
		Name        string   `json:"name" minLength:"1" maxLength:"100"`
		Description string   `json:"description,omitempty" maxLength:"500"`
		Sandbox     bool     `json:"sandbox,omitempty" doc:"cannot be changed afterwards"`
		APIs        []string `json:"apis" nullable:"false" maxItems:"64"`
		PerMinute   int      `json:"perMinute,omitempty" minimum:"0" maximum:"1000000"`
		PerDay      int      `json:"perDay,omitempty" minimum:"0" maximum:"10000000"`
	}
}) (*appOutput, error) {
	b := in.Body
	a, made, err := s.d.Apps.Create(ctx, acting(ctx), partner.Definition{
		Name: b.Name, Description: b.Description, Sandbox: b.Sandbox, APIs: b.APIs, PerMinute: b.PerMinute, PerDay: b.PerDay,
	})
	return appAnswer(a, err, made...)
}

func (s *surface) patchApp(ctx context.Context, in *struct {
	AppPath
	Body struct {
		Name        *string  `json:"name,omitempty" minLength:"1" maxLength:"100"`
		Description *string  `json:"description,omitempty" maxLength:"500"`
		APIs        []string `json:"apis,omitempty" nullable:"false" maxItems:"64"`
		PerMinute   *int     `json:"perMinute,omitempty" minimum:"0" maximum:"1000000"`
		PerDay      *int     `json:"perDay,omitempty" minimum:"0" maximum:"10000000"`
		Reason      string   `json:"reason,omitempty" maxLength:"500"`
	}
}) (*appOutput, error) {
	b := in.Body
	a, err := s.d.Apps.Change(ctx, acting(ctx), in.App, b.Reason, partner.Change{
		Name: b.Name, Description: b.Description, APIs: b.APIs, PerMinute: b.PerMinute, PerDay: b.PerDay,
	})
	return appAnswer(a, err)
}

func (s *surface) rotateApp(ctx context.Context, in *struct {
	AppPath
	Body struct {
		Use            string `json:"use" enum:"oauth2,signing"`
		OverlapSeconds *int64 `json:"overlapSeconds,omitempty" minimum:"0" maximum:"2592000" doc:"how long the secret before lives on; a day when left out"`
		Reason         string `json:"reason,omitempty" maxLength:"500"`
	}
}) (*appOutput, error) {
	n := partner.Rotation{Use: partner.Use(in.Body.Use), Overlap: 24 * time.Hour}
	if o := in.Body.OverlapSeconds; o != nil {
		n.Overlap = time.Duration(*o) * time.Second
	}
	a, made, err := s.d.Apps.Rotate(ctx, acting(ctx), in.App, in.Body.Reason, n)
	return appAnswer(a, err, made)
}
