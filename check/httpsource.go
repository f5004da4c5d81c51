package check

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// ErrUnreachable says that the records could not be read, so that nothing can be said about them.
var ErrUnreachable = errors.New("source unreachable")

// HTTP returns a source that reads a running server through its admin API. base is the admin listener's URL, token an operator's
// bearer token. A nil client means http.DefaultClient.
func HTTP(base, token string, client *http.Client) Source {
	if client == nil {
		client = http.DefaultClient
	}
	a := &adminAPI{base: strings.TrimRight(base, "/"), token: token, client: client}
	return Source{Export: a.export, Snapshot: a.snapshot, InFlight: a.inFlight}
}

type adminAPI struct {
	base, token string
	client      *http.Client
}

func (a *adminAPI) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, fmt.Errorf("%w: %s", ErrUnreachable, refused(a.base, path, resp))
}

// refused says in a sentence why an answer is no success, and what the address may be instead.
func refused(base, path string, resp *http.Response) string {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var p struct{ Title, Detail string }
	if err != nil || json.Unmarshal(body, &p) != nil {
		p.Title = ""
	}
	switch why := cmp.Or(p.Detail, p.Title); {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed:
		return fmt.Sprintf("%s does not know %s; is it the admin listener of a Penstock, and not the public one?", base, path)
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return fmt.Sprintf("%s does not let this token read %s (%d): %s", base, path, resp.StatusCode, cmp.Or(why, "an operator's is needed"))
	case why != "":
		return fmt.Sprintf("%s refused GET %s (%d): %s", base, path, resp.StatusCode, why)
	}
	return fmt.Sprintf("%s answered GET %s with %d and nothing that Penstock says", base, path, resp.StatusCode)
}

func (a *adminAPI) decode(ctx context.Context, path string, into any) error {
	resp, err := a.get(ctx, path)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("%w: GET %s: %w", ErrUnreachable, path, err)
	}
	return nil
}

func (a *adminAPI) export(ctx context.Context, name string, w io.Writer) error {
	resp, err := a.get(ctx, "/admin/v1/export/"+name)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.CopyBuffer(w, resp.Body, make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("export %s: %w", name, err)
	}
	return nil
}

func (a *adminAPI) snapshot(ctx context.Context) (Snapshot, error) {
	var s Snapshot
	for cursor, first := "", true; first || cursor != ""; first = false {
		var page struct {
			Items []Sale `json:"items"`
			Next  string `json:"next"`
		}
		path := "/admin/v1/sales?limit=100"
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		if err := a.decode(ctx, path, &page); err != nil {
			return s, err
		}
		s.Sales = append(s.Sales, page.Items...)
		cursor = page.Next
	}
	var rows struct {
		Items []StockRow `json:"items"`
	}
	err := a.decode(ctx, "/admin/v1/stock", &rows)
	s.Stock = rows.Items
	return s, err
}

func (a *adminAPI) inFlight(ctx context.Context) (map[string]int64, error) {
	var d struct {
		Drained  bool             `json:"drained"`
		InFlight map[string]int64 `json:"inFlight"`
	}
	if err := a.decode(ctx, "/admin/v1/drained", &d); err != nil {
		return nil, err
	}
	if !d.Drained && sum(d.InFlight) == 0 {
		return map[string]int64{"unnamed": 1}, nil
	}
	if d.Drained {
		return nil, nil
	}
	return d.InFlight, nil
}

func sum(m map[string]int64) (total int64) {
	for _, n := range m {
		total += n
	}
	return total
}
