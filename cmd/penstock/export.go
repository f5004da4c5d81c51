package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// exports are the names of API.md §3.
func exports() []string {
	return []string{"orders", "order-events", "claims", "stock-ledger", "waiting", "line", "payments", "balances", "outbox", "dead-letters", "audit"}
}

func newExport(e *env) *cobra.Command {
	var file string
	return act{
		use: "export NAME", short: "stream everything of one kind as NDJSON: " + strings.Join(exports(), ", "), args: []string{"NAME"},
		flags: func(c *cobra.Command) {
			c.Flags().StringVarP(&file, "output", "o", "", "write to this file, which appears only when it is whole; else standard output")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if err := oneOf("NAME", given[0], exports()); err != nil {
				return err
			}
			resp, err := o.send(ctx, call{method: http.MethodGet, path: "/admin/v1/export/" + given[0]})
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if file == "" {
				return receive(e.out, resp.Body)
			}
			return receiveFile(file, resp.Body)
		},
	}.command(e)
}

// receive copies a stream. A server that cannot finish breaks the connection, so a stream that ends properly is whole.
func receive(w io.Writer, r io.Reader) error {
	broken := &reader{r: r}
	if _, err := io.Copy(w, broken); err != nil {
		if broken.err != nil {
			return unreachable("what was written so far is not whole; run it again", "the export broke off: %w", err)
		}
		return err
	}
	return nil
}

// reader remembers that it was reading, not writing, that failed.
type reader struct {
	r   io.Reader
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

func receiveFile(path string, r io.Reader) error {
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return usage("-o names a file in a directory that exists", "the export cannot be written: %w", err)
	}
	err = receive(f, r)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(part)
		return err
	}
	return os.Rename(part, path)
}
