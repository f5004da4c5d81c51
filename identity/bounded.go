package identity

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// failuresAudited is how many failed logins an instance writes down in a minute, one by one. The others are counted, and the
// count is written when the minute is over: a guesser must not fill the trail.
const failuresAudited = 30

// bounded is an audit that cannot be flooded.
type bounded struct {
	audit Audit
	now   func() time.Time

	mu      sync.Mutex
	began   time.Time
	written int
	left    int
}

func (b *bounded) tell(ctx context.Context, a Act) error {
	b.mu.Lock()
	now := b.now()
	if now.Sub(b.began) >= time.Minute && b.left == 0 {
		b.began, b.written = now, 0
	}
	over := b.written >= failuresAudited
	if over {
		b.left++
	} else {
		b.written++
	}
	b.mu.Unlock()
	if over {
		return nil
	}
	return b.audit(ctx, a)
}

// flush writes how many were left out of a minute that is over.
func (b *bounded) flush(ctx context.Context) error {
	b.mu.Lock()
	left := b.left
	if left == 0 || b.now().Sub(b.began) < time.Minute {
		b.mu.Unlock()
		return nil
	}
	b.began, b.written, b.left = b.now(), 0, 0
	b.mu.Unlock()
	return b.audit(ctx, Act{Who: "identity", Act: "login.failed", Object: "logins", After: `{"more":` + strconv.Itoa(left) + `}`, Why: "more failed logins than are written down one by one"})
}
