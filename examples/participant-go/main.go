// Command participant-go is a service that takes part in Penstock's transactions: it gives out loyalty points. Copy it.
//
//	participant-go -listen 127.0.0.1:7000 -data points.db -secret whsec_… -points 1000
//
// It answers POST /try, /confirm and /cancel as docs/transactions.md says: 200 when the effect is durable, 409 for a definite
// no. One row per branch is the barrier: a cancel before its try is remembered, a try after its cancel is refused, a repeat is
// answered as before. GET /points shows what is free, held and taken.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the database driver
)

const schema = `PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;
CREATE TABLE IF NOT EXISTS points (id INTEGER PRIMARY KEY, free INTEGER NOT NULL, held INTEGER NOT NULL, taken INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS branches (tx TEXT NOT NULL, branch TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (tx, branch));`

type service struct {
	db  *sql.DB
	key []byte
}

// call is the body of a request.
type call struct {
	Transaction, Branch, Op string
	Payload                 struct{ Points int64 }
}

var errRefused = errors.New("refused")

func main() {
	listen := flag.String("listen", "127.0.0.1:7000", "address")
	data := flag.String("data", "points.db", "database file")
	secret := flag.String("secret", os.Getenv("PARTICIPANT_SECRET"), "Standard Webhooks secret, whsec_…")
	points := flag.Int64("points", 1000, "points to give out, when the file is new")
	flag.Parse()
	if err := run(*listen, *data, *secret, *points); err != nil {
		log.Fatal(err)
	}
}

func run(listen, data, secret string, points int64) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < 24 {
		return errors.New("-secret is whsec_ and the base64 of at least 24 bytes")
	}
	db, err := sql.Open("sqlite", data)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // one writer: what is read in a transaction stays true until its end
	if _, err = db.Exec(schema); err == nil {
		_, err = db.Exec(`INSERT INTO points VALUES (1, ?, 0, 0) ON CONFLICT DO NOTHING`, points)
	}
	if err != nil {
		return err
	}
	s := &service{db, key}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{op}", s.serve)
	mux.HandleFunc("GET /points", s.show)
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println("listening on", l.Addr())
	return (&http.Server{Handler: mux, ReadTimeout: 10 * time.Second}).Serve(l)
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	var c call
	switch {
	case err != nil || !s.genuine(r.Header, body):
		http.Error(w, "the signature does not match", http.StatusUnauthorized)
		return
	case json.Unmarshal(body, &c) != nil || c.Transaction == "" || c.Branch == "" || c.Op != r.PathValue("op"):
		http.Error(w, "want transaction, branch, op as in the path, payload {points}", http.StatusBadRequest)
		return
	}
	switch err := s.act(r.Context(), c); {
	case errors.Is(err, errRefused):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		log.Print(err)
		http.Error(w, "not known", http.StatusServiceUnavailable) // it will be asked again
	default:
		fmt.Fprintln(w, `{"state":"done"}`)
	}
}

// genuine verifies a Standard Webhooks signature: HMAC-SHA256 over id.timestamp.body, not older than five minutes.
func (s *service) genuine(h http.Header, body []byte) bool {
	id, at := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	sec, err := strconv.ParseInt(at, 10, 64)
	if age := time.Since(time.Unix(sec, 0)); err != nil || age > 5*time.Minute || age < -5*time.Minute {
		return false
	}
	m := hmac.New(sha256.New, s.key)
	fmt.Fprintf(m, "%s.%s.", id, at)
	m.Write(body)
	want := "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
	for _, have := range strings.Fields(h.Get("Webhook-Signature")) {
		if hmac.Equal([]byte(have), []byte(want)) {
			return true
		}
	}
	return false
}

// act has the effect of a call and remembers it in one transaction.
func (s *service) act(ctx context.Context, c call) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after the commit
	var state string
	err = tx.QueryRowContext(ctx, `SELECT state FROM branches WHERE tx=? AND branch=?`, c.Transaction, c.Branch).Scan(&state)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	after, effect := "", ""
	switch c.Op + " " + state {
	case "try ":
		after, effect = "tried", `UPDATE points SET free=free-?, held=held+? WHERE free>=?`
	case "confirm tried":
		after, effect = "confirmed", `UPDATE points SET held=held-?, taken=taken+? WHERE held>=?`
	case "cancel tried":
		after, effect = "cancelled", `UPDATE points SET held=held-?, free=free+? WHERE held>=?`
	case "cancel ":
		after = "cancelled" // it came before its try, which will be refused
	case "try tried", "try confirmed", "confirm confirmed", "cancel cancelled":
		return nil // a repeat
	default:
		return fmt.Errorf("%w: %s, but the branch is %q", errRefused, c.Op, state)
	}
	if effect != "" {
		n := c.Payload.Points
		if n < 1 {
			return fmt.Errorf("%w: points is %d", errRefused, n)
		}
		res, err := tx.ExecContext(ctx, effect, n, n, n)
		if err != nil {
			return err
		}
		if changed, err := res.RowsAffected(); err != nil || changed == 0 {
			return fmt.Errorf("%w: too few points", errRefused)
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO branches VALUES (?,?,?) ON CONFLICT DO UPDATE SET state=excluded.state`, c.Transaction, c.Branch, after)
	if err != nil {
		return err
	}
	return tx.Commit()
}

func (s *service) show(w http.ResponseWriter, r *http.Request) {
	var free, held, taken int64
	if err := s.db.QueryRowContext(r.Context(), `SELECT free, held, taken FROM points`).Scan(&free, &held, &taken); err != nil {
		http.Error(w, "not known", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(w, `{"free":%d,"held":%d,"taken":%d}`+"\n", free, held, taken)
}
