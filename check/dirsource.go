package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"penstock/check/ndjson"
)

// Dir returns a source that reads exports saved as files: <name>.ndjson for each of [Exports], and the rows of the snapshot in
// sales.ndjson and stock.ndjson. A file that is not there is an error: absence is not emptiness.
func Dir(dir string) Source {
	export := func(_ context.Context, name string, w io.Writer) (err error) {
		f, err := os.Open(filepath.Join(dir, name+".ndjson"))
		if err != nil {
			return missing(err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		_, err = io.CopyBuffer(struct{ io.Writer }{w}, f, make([]byte, 256<<10))
		return err
	}
	snapshot := func(ctx context.Context) (Snapshot, error) {
		var s Snapshot
		sales := rows(&s.Sales)
		stock := rows(&s.Stock)
		err := errors.Join(lines(ctx, export, "sales", sales), lines(ctx, export, "stock", stock))
		return s, err
	}
	return Source{Export: export, Snapshot: snapshot}
}

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}

func rows[T any](into *[]T) func([]byte) error {
	return func(line []byte) error {
		var row T
		if err := json.Unmarshal(line, &row); err != nil {
			return err
		}
		*into = append(*into, row)
		return nil
	}
}

func lines(ctx context.Context, export func(context.Context, string, io.Writer) error, name string, f func([]byte) error) error {
	s := ndjson.NewSplitter(name, f)
	if err := export(ctx, name, s); err != nil {
		return err
	}
	return s.Close()
}
