package partner

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"penstock/engine/sqldb"
	"penstock/errs"
)

// shown is an app as operators see it.
func (a *Apps) shown(r row) App {
	r.Secrets = infos(live(r.kept, a.o.Clock.Now()))
	return r.App
}

func infos(all []kept) []SecretInfo {
	out := make([]SecretInfo, len(all))
	for i, k := range all {
		out[i] = k.info()
	}
	slices.SortStableFunc(out, func(x, y SecretInfo) int { return y.CreatedAt.Compare(x.CreatedAt) })
	return out
}

// List returns every app, oldest first.
func (a *Apps) List(ctx context.Context) ([]App, error) {
	rows, err := a.rows(ctx)
	all := make([]App, len(rows))
	for i, r := range rows {
		all[i] = a.shown(r)
	}
	return all, err
}

// Get returns an app, or errs.NotFound.
func (a *Apps) Get(ctx context.Context, id string) (App, error) {
	r, err := a.row(ctx, id)
	if err != nil {
		return App{}, err
	}
	return a.shown(r), nil
}

// Create makes an app with a client secret and a signing secret, which are shown this one time.
func (a *Apps) Create(ctx context.Context, who string, d Definition) (App, []Secret, error) {
	now := a.o.Clock.Now().Truncate(time.Millisecond)
	r := row{App: App{
		ID: "app_" + strings.ToLower(rand.Text()[:16]), Name: d.Name, Description: d.Description, Enabled: true, Sandbox: d.Sandbox,
		APIs: d.APIs, PerMinute: d.PerMinute, PerDay: d.PerDay, Version: 1, CreatedAt: now, ChangedAt: now,
	}}
	if err := valid(&r.App); err != nil {
		return App{}, nil, err
	}
	r.APIs = sorted(d.APIs)
	var made []Secret
	for _, use := range []Use{OAuth2, Signing} {
		k, s, err := a.fresh(r.ID, use, now)
		if err != nil {
			return App{}, nil, err
		}
		r.kept, made = append(r.kept, k), append(made, s)
	}
	if err := a.o.Audit(ctx, Act{Who: who, Act: "app.create", Object: object(r.ID), After: told(&r), ID: "app.create/" + r.ID}); err != nil {
		return App{}, nil, err
	}
	err := a.db.Do(ctx, changes, func(tx sqldb.Tx) error {
		var n int
		if err := tx.Scan(`SELECT count(*) FROM partner_apps WHERE deleted=0`, nil, &n); err != nil {
			return err
		}
		if n >= maxApps {
			return errs.New(errs.Conflict, "there are %d apps; no more are allowed", n)
		}
		return insert(tx, &r)
	})
	if err != nil {
		return App{}, nil, err
	}
	a.refreshed(ctx)
	return a.shown(r), made, nil
}

func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	if names == nil {
		names = []string{}
	}
	return slices.Compact(names)
}

// valid finds everything that is wrong with an app.
func valid(r *App) error {
	wrong := errs.New(errs.Invalid, "the app cannot be as it is described")
	add := func(pointer, detail string) {
		wrong.Fields = append(wrong.Fields, errs.Field{Pointer: pointer, Detail: detail})
	}
	if !printable(r.Name) || r.Name == "" || len(r.Name) > maxName {
		add("/name", "write 1 to "+strconv.Itoa(maxName)+" bytes of printable text")
	}
	if !printable(r.Description) || len(r.Description) > maxDescription {
		add("/description", "write at most "+strconv.Itoa(maxDescription)+" bytes of printable text")
	}
	if len(r.APIs) > maxAPIs {
		add("/apis", "name at most "+strconv.Itoa(maxAPIs))
	}
	for i, name := range r.APIs {
		if !validAPI(name) {
			add("/apis/"+strconv.Itoa(i), `is no name of an API; for example "sales.read"`)
		}
	}
	if r.PerMinute < 0 || r.PerMinute > MaxPerMinute {
		add("/perMinute", "allowed are 0 to "+strconv.Itoa(MaxPerMinute)+"; 0 leaves it to the rule for all apps")
	}
	if r.PerDay < 0 || r.PerDay > MaxPerDay {
		add("/perDay", "allowed are 0 to "+strconv.Itoa(MaxPerDay)+"; 0 leaves it to the rule for all apps")
	}
	if len(wrong.Fields) > 0 {
		return wrong
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return unicode.Is(unicode.C, r) || unicode.In(r, unicode.Zl, unicode.Zp) }) < 0
}

// Change changes an app.
func (a *Apps) Change(ctx context.Context, who, id, why string, c Change) (App, error) {
	return a.act(ctx, Act{Who: who, Act: "app.change", Why: why}, id, func(r *row) error {
		put(&r.Name, c.Name)
		put(&r.Description, c.Description)
		put(&r.PerMinute, c.PerMinute)
		put(&r.PerDay, c.PerDay)
		if c.APIs != nil {
			r.APIs = c.APIs
		}
		err := valid(&r.App)
		r.APIs = sorted(r.APIs)
		return err
	})
}

func put[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Enable lets an app call again.
func (a *Apps) Enable(ctx context.Context, who, id, why string) (App, error) {
	return a.act(ctx, Act{Who: who, Act: "app.enable", Why: why}, id, func(r *row) error {
		r.Enabled, r.Why = true, ""
		return nil
	})
}

// Disable refuses an app, its signatures and its tokens, until it is enabled.
func (a *Apps) Disable(ctx context.Context, who, id, why string) (App, error) {
	return a.act(ctx, Act{Who: who, Act: "app.disable", Why: why}, id, func(r *row) error {
		r.Enabled, r.Why = false, "disabled by "+who
		return nil
	})
}

// Rotation is how a secret is replaced: of which use, and how long the one before it lives on (0 to [MaxOverlap]).
type Rotation struct {
	Use     Use
	Overlap time.Duration
}

// Rotate gives the app a new secret, which is shown this one time. The one before it lives on beside it for the overlap; any
// older one of that use ends now.
func (a *Apps) Rotate(ctx context.Context, who, id, why string, n Rotation) (App, Secret, error) {
	if n.Use != OAuth2 && n.Use != Signing {
		return App{}, Secret{}, errs.New(errs.Invalid, "use is %q; it is %s or %s", n.Use, OAuth2, Signing)
	}
	if n.Overlap < 0 || n.Overlap > MaxOverlap {
		return App{}, Secret{}, errs.New(errs.Invalid, "the overlap is %v; allowed are 0 to %v", n.Overlap, MaxOverlap)
	}
	now := a.o.Clock.Now().Truncate(time.Millisecond)
	k, s, err := a.fresh(id, n.Use, now)
	if err != nil {
		return App{}, Secret{}, err
	}
	app, err := a.act(ctx, Act{Who: who, Act: "app.rotate", Why: why}, id, func(r *row) error {
		r.kept = rotated(r.kept, k, now, n.Overlap)
		return nil
	})
	if err != nil {
		return App{}, Secret{}, err
	}
	return app, s, nil
}

// EndSecret ends a secret now, and the tokens issued for it.
func (a *Apps) EndSecret(ctx context.Context, who, id, secret, why string) (App, error) {
	return a.act(ctx, Act{Who: who, Act: "app.end-secret", Why: why}, id, func(r *row) error {
		all := live(r.kept, a.o.Clock.Now())
		r.kept = slices.DeleteFunc(slices.Clone(all), func(k kept) bool { return k.ID == secret })
		if len(r.kept) == len(all) {
			return notFound()
		}
		return nil
	})
}

// Delete removes an app for good. Its orders stay.
func (a *Apps) Delete(ctx context.Context, who, id, why string) error {
	r, err := a.row(ctx, id)
	if err == nil {
		err = a.o.Audit(ctx, Act{Who: who, Act: "app.delete", Object: object(id), Why: why, Before: told(&r), ID: "app.delete/" + id})
	}
	if err != nil {
		return err
	}
	err = a.db.Do(ctx, changes, func(tx sqldb.Tx) error {
		rev, err := next(tx)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE partner_apps SET rev=?, deleted=1, enabled=0, secrets=?, changed_at=? WHERE id=? AND deleted=0`, rev, []byte("[]"), a.o.Clock.Now().UnixMilli(), id)
		return err
	})
	if err == nil {
		a.refreshed(ctx)
	}
	return err
}

// act changes an app. The trail is written before; a change that another one came before is made on what that left.
func (a *Apps) act(ctx context.Context, t Act, id string, change func(*row) error) (App, error) {
	r, err := a.row(ctx, id)
	if err != nil {
		return App{}, err
	}
	t.Object, t.Before = object(id), told(&r)
	if err := change(&r); err != nil {
		return App{}, err
	}
	t.After, t.ID = told(&r), t.Act+"/"+id+"/"+rand.Text()
	if err := a.o.Audit(ctx, t); err != nil {
		return App{}, err
	}
	err = a.db.Do(ctx, changes, func(tx sqldb.Tx) error {
		if r, err = rowIn(tx, id); err != nil {
			return err
		}
		if err := change(&r); err != nil {
			return err
		}
		r.Version, r.ChangedAt = r.Version+1, a.o.Clock.Now().Truncate(time.Millisecond)
		return update(tx, &r)
	})
	if err != nil {
		return App{}, err
	}
	a.refreshed(ctx)
	return a.shown(r), nil
}

func object(id string) string { return "app/" + id }

// told is an app as the trail keeps it: of secrets their ids and ends only.
func told(r *row) string {
	text, _ := json.Marshal(map[string]any{ // always has a JSON form
		"name": r.Name, "enabled": r.Enabled, "sandbox": r.Sandbox, "apis": r.APIs, "perMinute": r.PerMinute, "perDay": r.PerDay, "version": r.Version,
		"secrets": secretIDs(r.kept),
	})
	return string(text)
}

func secretIDs(all []kept) map[string]string {
	out := map[string]string{}
	for _, k := range all {
		out[k.ID] = ""
		if !k.Until.IsZero() {
			out[k.ID] = k.Until.UTC().Format(time.RFC3339)
		}
	}
	return out
}
