package redisgate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"
)

// Content returns what Redis has for each SKU of a sale, as "version available free"; nil when there is no build. An error means
// that Redis could not be read.
func (g *Gate) Content(ctx context.Context, sale string) (map[string]string, error) {
	fields, err := g.fields(ctx, sale)
	if err != nil || fields == nil || parse(fields).token == "" {
		return nil, err
	}
	levels := map[string]string{}
	for name, v := range fields {
		if sku, ok := strings.CutPrefix(name, fieldSKU); ok {
			levels[sku] = v
		}
	}
	return levels, nil
}

// Rebuild replaces the content of a sale by what memory knows. It fails when Redis cannot be reached or another process is
// building; what was there is not believed here until it was compared again.
func (g *Gate) Rebuild(ctx context.Context, sale string) error {
	fields, err := g.fields(ctx, sale)
	if err != nil {
		return err
	}
	f := found{garbled: true}
	if fields != nil {
		f = parse(fields)
	}
	l := g.lane(sale)
	l.build.Store(nil)
	defer g.nudge()
	if !g.rebuild(l, f) {
		return errors.New("the gate could not be rebuilt now: Redis is away, or another process is building")
	}
	return nil
}

// fields reads the hash of a sale; nil when it is of another type.
func (g *Gate) fields(ctx context.Context, sale string) (map[string]string, error) {
	c, err := g.redis.Redis()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.patience())
	defer cancel()
	fields, err := c.Do(ctx, c.B().Hgetall().Key(g.lane(sale).keys[0]).Build()).AsStrMap()
	if _, answered := rueidis.IsRedisErr(err); answered && strings.HasPrefix(err.Error(), "WRONGTYPE") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the gate of sale %s: %w", sale, err)
	}
	return fields, nil
}
