package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"penstock/check"
	"penstock/config"
	"penstock/engine/sqlite"
)

// lookThenOpen looks at the files of a directory, and opens it if they are whole. A source without exports says that they are not.
func lookThenOpen(ctx context.Context, e *env, cfg config.Config, f *checkFlags) (check.Source, func() error, error) {
	files, err := verified(ctx, cfg.Data, f.opt.Progress)
	if err != nil {
		return check.Source{}, nil, err
	}
	if slices.ContainsFunc(files, func(f check.File) bool { return len(f.Wrong) > 0 }) {
		return check.Source{Files: files}, func() error { return nil }, nil
	}
	src, done, err := openDirectory(ctx, e, cfg)
	src.Files = files
	return src, done, err
}

// verified looks at every database file of a directory.
func verified(ctx context.Context, data string, progress func(string)) (files []check.File, err error) {
	for _, pattern := range []string{"*.db", "orders/*.db"} {
		names, err := fs.Glob(os.DirFS(data), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			path := filepath.Join(data, filepath.FromSlash(name))
			if progress != nil {
				progress("looking at " + path)
			}
			wrong, err := sqlite.Verify(ctx, path)
			if err != nil {
				return nil, err
			}
			files = append(files, check.File{Path: path, Wrong: wrong})
		}
	}
	return files, nil
}
