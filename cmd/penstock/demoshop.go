package main

import (
	"context"
	"errors"
	"time"
)

// stockShop puts sales into the shop that its visitors can try by hand, after the stampede has taken everything else: one that is open, with
// a last unit to fight for and a waiting list, and one that soon opens with a line.
func (d *demo) stockShop(ctx context.Context) error {
	now := time.Now().UTC()
	item := func(sku, title string, price, stock, limit int) map[string]any {
		return map[string]any{"sku": sku, "title": title, "price": price, "currency": "EUR", "stock": stock, "limitPerUser": limit}
	}
	shop := func(id, title string, opens time.Duration, more map[string]any, items ...map[string]any) error {
		sale := map[string]any{
			"id": id, "title": title, "startsAt": now.Add(opens), "endsAt": now.Add(demoLife), "paymentWindowSeconds": int(demoWindow.Seconds()), "items": items,
		}
		for k, v := range more {
			sale[k] = v
		}
		return d.create(ctx, sale)
	}
	return errors.Join(
		shop("cups", "Cups and a lantern, for you to try", -time.Second, map[string]any{"waitingList": true},
			item("cup", "Stoneware cup", 1250, 500, 5), item("lantern", "The last lantern: open a second browser and race", 9900, 1, 1)),
		shop("kettles", "Kettles, by a line, in two minutes", 2*time.Minute, map[string]any{"admission": "line"},
			item("kettle", "Copper kettle", 7900, 5, 1)),
	)
}
