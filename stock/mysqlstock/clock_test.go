package mysqlstock_test

import (
	"testing"
	"time"
)

// A process whose clock is days ahead ends nobody's payment window early, and one whose clock is behind ends those that are over.
func dueByTheDatabase(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	p := e.process(t, url, slow())
	p.sell(t, 2, 0)
	p.buy("ann", "k")
	over := p.buy("bob", "k").Attempt.ID
	must(t, e.admin(t, url), "UPDATE attempt SET release_at = 1 WHERE id = ?", int64(over))
	for _, now := range []time.Time{time.Unix(0, 1), time.Now(), time.Now().AddDate(0, 0, 2)} {
		if ids, err := p.Due(t.Context(), now, 10); err != nil || len(ids) != 1 || ids[0] != over {
			t.Errorf("due at %v by the asker's clock: %v, %v, want the one that is over", now, ids, err)
		}
	}
}
