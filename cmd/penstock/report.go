package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// newReport fetches the report of a sale; the ending of the file says in which form.
func newReport(e *env) *cobra.Command {
	var sale, out string
	return act{
		use: "report", short: "write the report of a sale: a page (.html), its figures (.json) or its orders (.xlsx)",
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&sale, "sale", "", "id of the sale")
			c.Flags().StringVarP(&out, "out", "o", "", "file to write")
		},
		run: func(ctx context.Context, o *operator, _ []string) error {
			format := strings.TrimPrefix(filepath.Ext(out), ".")
			if sale == "" || !slices.Contains([]string{"html", "json", "xlsx"}, format) {
				return usage("for example --sale flash -o report.html", "--sale and a file that ends in .html, .json or .xlsx are needed")
			}
			return fetchReport(ctx, o, call{method: http.MethodGet, path: "/admin/v1/sales/" + url.PathEscape(sale) + "/report." + format}, out)
		},
	}.command(e)
}

// fetchReport writes beside the file and renames, so that what stands there is whole.
func fetchReport(ctx context.Context, o *operator, c call, out string) (err error) {
	resp, err := o.send(ctx, c)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+"-*")
	if err != nil {
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err // without the name of the file beside it
		}
		return usage("name a file in a directory that can be written", "%s cannot be written: %w", out, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err = io.Copy(f, resp.Body); err != nil {
		return errors.Join(unreachable("try again", "the report broke off: %w", err), f.Close())
	}
	if err = errors.Join(f.Chmod(0o640), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), out)
}
