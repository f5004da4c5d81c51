package mysqlstock

import (
	"context"
	"errors"
)

func (d *DB) loadImport(ctx context.Context) error {
	return errors.Join(ctx.Err())
}
