package rig

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"penstock/order/shard"
	"penstock/storm"
)

// Offer puts a sale on that has begun and lasts an hour.
func (c *Cluster) Offer(id string, stock int, window time.Duration) {
	c.t.Helper()
	now := time.Now().UTC()
	code, body := c.Admin(http.MethodPost, "/admin/v1/sales", map[string]any{
		"id": id, "title": id, "startsAt": now.Add(-time.Second), "endsAt": now.Add(time.Hour),
		"paymentWindowSeconds": int(window.Seconds()), "graceSeconds": 5,
		"items": []map[string]any{{"sku": "sku-1", "title": "one", "price": 199, "currency": "EUR", "stock": stock, "limitPerUser": 1}},
	})
	if code != http.StatusCreated && code != http.StatusOK {
		c.t.Fatalf("create the sale: %d %s", code, body)
	}
}

// Stampede runs a storm of buyers who have these tokens to its verdict; trouble runs beside it.
func (c *Cluster) Stampede(cfg storm.Config, tokens []string, trouble func(ctx context.Context)) (storm.Report, error) {
	cfg.URL, cfg.AdminURL, cfg.AdminToken, cfg.Users = c.URL, c.AdminURL(), c.Operator, len(tokens)
	cfg.Identity = func(n int) (storm.Identity, error) {
		return storm.Identity{User: fmt.Sprintf("buyer-%d", n+1), Token: tokens[n]}, nil
	}
	cfg.Route = shard.First().Route
	ctx, cancel := context.WithTimeout(c.t.Context(), 8*time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); trouble(ctx) }()
	rep, err := storm.Run(ctx, cfg)
	<-done
	return rep, err
}

// Broken says what a stampede that must sell exactly so many units did wrong; nothing means that all is well.
func Broken(rep storm.Report, sold int64) (wrong []string) {
	for _, inv := range rep.Invariants {
		if inv.Verdict == "fail" {
			wrong = append(wrong, fmt.Sprintf("%s %s: %+v", inv.ID, inv.Name, inv))
		}
	}
	if rep.Verdict != "pass" || rep.Unresolved != 0 {
		wrong = append(wrong, fmt.Sprintf("verdict %s, %d unresolved, notes %v", rep.Verdict, rep.Unresolved, rep.Notes))
	}
	if got := rep.Stock.Held + rep.Stock.Sold; got != sold {
		wrong = append(wrong, fmt.Sprintf("%d units are held or sold, want exactly %d: %+v", got, sold, rep.Stock))
	}
	return wrong
}
