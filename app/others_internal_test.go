package app

import (
	"context"
	"errors"
	"testing"
)

// peers is a shared stock as far as the other processes go.
type peers struct {
	sharedStock
	n   int
	err error
}

func (p peers) Others(context.Context) (int64, int, error) { return 0, p.n, p.err }

// The cockpit is told how many processes answer beside the one whose figures it has: none alone, and none where nobody can say.
func TestOtherProcessesAreTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shared sharedStock
		want   int
	}{{nil, 0}, {peers{n: 3}, 3}, {peers{n: 3, err: errors.New("away")}, 0}} {
		if got := (&App{stockDB: stockDB{shared: c.shared}}).others(t.Context()); got != c.want {
			t.Errorf("%+v: %d others, want %d", c.shared, got, c.want)
		}
	}
}
