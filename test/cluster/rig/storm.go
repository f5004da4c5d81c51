package rig

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"penstock/order/shard"
	"penstock/storm"
)

// Offer puts a sale on that has begun and lasts an hour, and returns when every process with role sale knows of it.
func (c *Cluster) Offer(id string, stock int, window time.Duration) error {
	now := time.Now().UTC()
	code, body, err := c.Admin(http.MethodPost, "/admin/v1/sales", map[string]any{
		"id": id, "title": id, "startsAt": now.Add(-time.Second), "endsAt": now.Add(time.Hour),
		"paymentWindowSeconds": int(window.Seconds()), "graceSeconds": 5,
		"items": []map[string]any{{"sku": "sku-1", "title": "one", "price": 199, "currency": "EUR", "stock": stock, "limitPerUser": 1}},
	})
	if err == nil && code != http.StatusCreated && code != http.StatusOK {
		err = fmt.Errorf("create the sale: %d %s", code, body)
	}
	for _, n := range c.Nodes {
		if err == nil && slices.Contains(n.roles, "sale") {
			err = c.shown(n, id)
		}
	}
	return err
}

// shown waits until a process shows a sale.
func (c *Cluster) shown(n *Node, sale string) error {
	for deadline := time.Now().Add(10 * time.Second); ; {
		resp, err := http.Get("http://" + n.Addresses().Public + "/v1/sales/" + sale)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("%s answers %d", n.Name, resp.StatusCode)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("sale %s is not shown: %w", sale, err)
		}
		time.Sleep(20 * time.Millisecond)
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
	go func() {
		defer close(done)
		if trouble != nil {
			trouble(ctx)
		}
	}()
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
