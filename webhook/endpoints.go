package webhook

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
)

// rows reads every endpoint.
func (h *Hooks) rows(ctx context.Context) ([]row, error) {
	rows, err := h.db.Query(ctx, `SELECT `+endpointColumns+` FROM webhook_endpoints ORDER BY created_at, id`)
	return collect(rows, err, scanEndpoint)
}

// List returns every endpoint, oldest first.
func (h *Hooks) List(ctx context.Context) ([]Endpoint, error) {
	rows, err := h.rows(ctx)
	all := make([]Endpoint, len(rows))
	for i, r := range rows {
		all[i] = h.shown(r)
	}
	return all, err
}

// Get returns an endpoint, or errs.NotFound.
func (h *Hooks) Get(ctx context.Context, id string) (Endpoint, error) {
	r, err := h.row(ctx, id)
	return h.shown(r), err
}

func (h *Hooks) row(ctx context.Context, id string) (row, error) {
	r, err := scanEndpoint(h.committed(ctx, `SELECT `+endpointColumns+` FROM webhook_endpoints WHERE id=?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound()
	}
	return r, err
}

// shown adds the ages of the secrets; those that cannot be read have none.
func (h *Hooks) shown(r row) Endpoint {
	if all, err := h.seal.open(r.ID, r.sealed, h.o.Clock.Now()); err == nil {
		r.Secrets = infos(all)
	}
	return r.Endpoint
}

// Create makes an endpoint and returns its secret, which is shown this one time.
func (h *Hooks) Create(ctx context.Context, who string, d Definition) (Endpoint, string, error) {
	now := h.o.Clock.Now()
	r := row{Endpoint: Endpoint{
		ID: "wh_" + strings.ToLower(rand.Text()[:20]), URL: d.URL, Description: d.Description, Events: d.Events, Rate: cmp.Or(d.Rate, 50),
		Concurrency: cmp.Or(d.Concurrency, 4), Enabled: true, Version: 1, CreatedAt: now, ChangedAt: now,
	}, nextSeq: 1}
	if err := h.valid(&r.Endpoint); err != nil {
		return Endpoint{}, "", err
	}
	k, err := fresh(now)
	if err == nil {
		r.sealed, err = h.seal.seal(r.ID, []kept{k})
	}
	if err == nil {
		err = h.o.Audit(ctx, Act{Who: who, Act: "webhook.create", Object: object(r.ID), After: told(r.Endpoint), ID: r.ID})
	}
	if err != nil {
		return Endpoint{}, "", err
	}
	err = h.db.Do(ctx, slot(""), func(tx txn) error {
		var n int
		if err := tx.Scan(`SELECT count(*) FROM webhook_endpoints`, nil, &n); err != nil {
			return err
		}
		if n >= maxEndpoints {
			return errs.New(errs.Conflict, "there are %d webhook endpoints; no more are allowed", n)
		}
		events, err := json.Marshal(r.Events)
		if err != nil {
			return err
		}
		_, err = tx.Insert(`INSERT INTO webhook_endpoints (`+endpointColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, 1, '', 1, 0, 0, 0, 1, '', 0, ?, ?)`,
			r.ID, r.URL, r.Description, string(events), r.sealed, r.Rate, r.Concurrency, now.UnixMilli(), now.UnixMilli())
		return err
	})
	return h.shown(r), k.Secret, err
}

// valid finds everything that is wrong with an endpoint.
func (h *Hooks) valid(e *Endpoint) error {
	bad := errs.New(errs.Invalid, "the webhook endpoint cannot be used")
	add := func(pointer, detail string) {
		bad.Fields = append(bad.Fields, errs.Field{Pointer: pointer, Detail: detail})
	}
	if err := h.o.Guard.Check(e.URL); err != nil {
		add("/url", err.Error())
	}
	if len(e.Description) > 500 {
		add("/description", "has more than 500 bytes")
	}
	if len(e.Events) == 0 || len(e.Events) > maxEvents {
		add("/events", "name 1 to "+strconv.Itoa(maxEvents)+` types, such as "stock.sold", "stock.*" or "*"`)
	}
	for i, p := range e.Events {
		if wrong := h.legal(p); wrong != "" {
			add("/events/"+strconv.Itoa(i), wrong)
		}
	}
	if e.Rate < 1 || e.Rate > maxRate {
		add("/rate", "allowed are 1 to "+strconv.Itoa(maxRate)+" a second")
	}
	if e.Concurrency < 1 || e.Concurrency > maxConcurrency {
		add("/concurrency", "allowed are 1 to "+strconv.Itoa(maxConcurrency))
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

// Change changes an endpoint.
func (h *Hooks) Change(ctx context.Context, who, id, why string, c Change) (Endpoint, error) {
	r, err := h.act(ctx, Act{Who: who, Act: "webhook.change", Why: why}, id, func(r *row) error {
		put(&r.URL, c.URL)
		put(&r.Description, c.Description)
		put(&r.Rate, c.Rate)
		put(&r.Concurrency, c.Concurrency)
		if c.Events != nil {
			r.Events = c.Events
		}
		return h.valid(&r.Endpoint)
	})
	return h.shown(r), err
}

func put[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Enable lets an endpoint be tried again, now and with a clean slate; Disable ends that. What waits goes on waiting.
func (h *Hooks) Enable(ctx context.Context, who, id, why string) (Endpoint, error) {
	r, err := h.act(ctx, Act{Who: who, Act: "webhook.enable", Why: why}, id, func(r *row) error {
		r.Enabled, r.Why, r.failures, r.FailingSince, r.PausedUntil = true, "", 0, time.Time{}, time.Time{}
		return nil
	})
	return h.shown(r), err
}

// Disable stops deliveries to an endpoint. What happens while it is disabled is not queued for it.
func (h *Hooks) Disable(ctx context.Context, who, id, why string) (Endpoint, error) {
	r, err := h.act(ctx, Act{Who: who, Act: "webhook.disable", Why: why}, id, func(r *row) error {
		r.Enabled, r.Why = false, "disabled by "+who
		return nil
	})
	return h.shown(r), err
}

// Rotate gives the endpoint a new secret, which is shown this one time. The old ones go on signing beside it for overlap.
func (h *Hooks) Rotate(ctx context.Context, who, id, why string, overlap time.Duration) (Endpoint, string, error) {
	if overlap < 0 || overlap > maxOverlap {
		return Endpoint{}, "", errs.New(errs.Invalid, "the overlap is %v; allowed are 0 to %v", overlap, maxOverlap)
	}
	now := h.o.Clock.Now()
	k, err := fresh(now)
	if err != nil {
		return Endpoint{}, "", err
	}
	r, err := h.act(ctx, Act{Who: who, Act: "webhook.rotate", Why: why}, id, func(r *row) error {
		all, err := h.seal.open(id, r.sealed, now)
		if err != nil {
			return err
		}
		next := []kept{k}
		for _, old := range all {
			if end := now.Add(overlap); overlap > 0 && len(next) < 4 {
				if old.Until.IsZero() || old.Until.After(end) {
					old.Until = end
				}
				next = append(next, old)
			}
		}
		r.sealed, err = h.seal.seal(id, next)
		r.Secrets = infos(next)
		return err
	})
	return h.shown(r), k.Secret, err
}

// Delete removes an endpoint with its deliveries.
func (h *Hooks) Delete(ctx context.Context, who, id, why string) error {
	r, err := h.row(ctx, id)
	if err == nil {
		err = h.o.Audit(ctx, Act{Who: who, Act: "webhook.delete", Object: object(id), Why: why, Before: told(r.Endpoint), ID: "webhook.delete/" + id})
	}
	if err != nil {
		return err
	}
	return h.db.Do(ctx, slot(id), func(tx txn) error {
		if _, err := tx.Exec(`DELETE FROM webhook_deliveries WHERE endpoint=?`, id); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM webhook_endpoints WHERE id=?`, id)
		return err
	})
}

// act changes an endpoint. The trail is written before; a change that another one came before is made on what that left.
func (h *Hooks) act(ctx context.Context, a Act, id string, change func(*row) error) (row, error) {
	r, err := h.row(ctx, id)
	if err != nil {
		return r, err
	}
	a.Object, a.Before = object(id), told(r.Endpoint)
	if err = change(&r); err != nil {
		return r, err
	}
	a.After, a.ID = told(r.Endpoint), a.Act+"/"+id+"/"+rand.Text()
	if err = h.o.Audit(ctx, a); err != nil {
		return r, err
	}
	err = h.db.Do(ctx, slot(id), func(tx txn) error {
		if r, err = scanEndpoint(inTx(tx, `SELECT `+endpointColumns+` FROM webhook_endpoints WHERE id=?`, id)); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				err = notFound()
			}
			return err
		}
		if err := change(&r); err != nil {
			return err
		}
		r.Version, r.ChangedAt = r.Version+1, h.o.Clock.Now()
		return write(tx, &r)
	})
	h.nudge(id)
	return r, err
}

func write(tx sqldb.Tx, r *row) error {
	events, err := json.Marshal(r.Events)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE webhook_endpoints SET url=?, description=?, events=?, secrets=?, rate=?, concurrency=?, enabled=?, why=?, version=?,
		failures=?, failing_since=?, paused_until=?, changed_at=? WHERE id=?`, r.URL, r.Description, string(events), r.sealed, r.Rate, r.Concurrency, r.Enabled,
		r.Why, r.Version, r.failures, unix(r.FailingSince), unix(r.PausedUntil), unix(r.ChangedAt), r.ID)
	return err
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func object(id string) string { return "webhook/" + id }

// told is an endpoint as the trail keeps it: of the URL only the host, for the rest may hold what is not for everyone.
func told(e Endpoint) string {
	host := ""
	if u, err := url.Parse(e.URL); err == nil {
		host = u.Host
	}
	text, _ := json.Marshal(map[string]any{ // always has a JSON form
		"host": host, "events": e.Events, "rate": e.Rate, "concurrency": e.Concurrency, "enabled": e.Enabled, "version": e.Version, "secrets": len(e.Secrets),
	})
	return string(text)
}
