// Package draw is the arithmetic of a draw that nobody can steer and anybody can recompute.
//
// Before entrants may come, the shop publishes a commitment to a secret. When the pot has closed, the list of entrants and its
// hash are published; after that, a public value that nobody could know before. Then, with ‖ for concatenation of bytes,
//
//	commitment = SHA-256(secret)                                      secret: 32 bytes
//	entrant    = SHA-256(salt ‖ user)                                 salt: 16 bytes, told to that user only
//	listHash   = SHA-256("penstock draw 1\n" ‖ J ‖ "\n" ‖ each entrant in hex, ascending, with "\n" behind it)
//	             J: the JSON list [sale, sku, closesAt, commitment, publicSource, listedAt] as JSON.stringify writes it
//	seed       = SHA-256(secret ‖ listHash ‖ publicValue in UTF-8)
//	ticket     = HMAC-SHA-256(key: seed, entrant)
//
// and the order is that of the tickets, ascending. Who knows the secret does not know the value, and who supplies the value
// does not know the secret. A document has one spelling, so that one altered byte shows. The package keeps nothing and draws no
// random numbers.
package draw

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// States of a draw.
const (
	Collecting = "collecting"
	Closed     = "closed" // waits for the public value
	Drawn      = "drawn"
)

// Document is what is published of the draw of one SKU. Hashes are in hex. The members of later states are empty before.
type Document struct {
	Version      int      `json:"version"`
	Sale         string   `json:"sale"`
	SKU          string   `json:"sku"`
	State        string   `json:"state" enum:"collecting,closed,drawn"`
	ClosesAt     string   `json:"closesAt" doc:"RFC 3339 in UTC with milliseconds"`
	Commitment   string   `json:"commitment"`
	PublicSource string   `json:"publicSource" doc:"where the public value will come from; empty if the draw needs none"`
	ListedAt     string   `json:"listedAt" doc:"when the list was published: before the public value was known"`
	ListHash     string   `json:"listHash"`
	Entrants     []string `json:"entrants" nullable:"false" doc:"ascending"`
	PublicValue  string   `json:"publicValue"`
	Secret       string   `json:"secret"`
	Seed         string   `json:"seed"`
	Order        []int    `json:"order" nullable:"false" doc:"indexes of entrants, in the order drawn"`
}

// Documents are the draws of a sale, one for each SKU.
type Documents struct {
	Draws []Document `json:"draws" nullable:"false"`
}

const momentLayout = "2006-01-02T15:04:05.000Z"

// Moment writes a time as documents do.
func Moment(t time.Time) string { return t.UTC().Format(momentLayout) }

// Commit returns the commitment to a secret.
func Commit(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:])
}

// Entrant returns the hash that stands for a user.
func Entrant(salt []byte, user string) string {
	sum := sha256.Sum256(append(slices.Clone(salt), user...))
	return hex.EncodeToString(sum[:])
}

// Close puts the list into the document, published at a moment as Moment writes it; entrants are sorted in place.
func (d *Document) Close(listedAt string, entrants []string) {
	slices.Sort(entrants)
	d.State, d.ListedAt, d.Entrants = Closed, listedAt, entrants
	h := sha256.New()
	io.WriteString(h, "penstock draw 1\n")
	h.Write(spell([]string{d.Sale, d.SKU, d.ClosesAt, d.Commitment, d.PublicSource, d.ListedAt}))
	io.WriteString(h, "\n")
	for _, e := range entrants {
		io.WriteString(h, e+"\n")
	}
	d.ListHash = hex.EncodeToString(h.Sum(nil))
}

// Draw draws a closed list. The error says that an entrant or the hash of the list is not hex.
func (d *Document) Draw(secret []byte, value string) error {
	list, err := hex.DecodeString(d.ListHash)
	if err != nil {
		return fmt.Errorf("the hash of the list is %q: %w", d.ListHash, err)
	}
	seed := sha256.Sum256(append(append(slices.Clone(secret), list...), value...))
	tickets := make([][]byte, len(d.Entrants))
	order := make([]int, len(d.Entrants))
	mac := hmac.New(sha256.New, seed[:])
	for i, e := range d.Entrants {
		leaf, err := hex.DecodeString(e)
		if err != nil {
			return fmt.Errorf("entrant %d is %q: %w", i, e, err)
		}
		mac.Reset()
		mac.Write(leaf)
		tickets[i], order[i] = mac.Sum(nil), i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(tickets[a], tickets[b]) })
	d.State, d.Order = Drawn, order
	d.Secret, d.PublicValue, d.Seed = hex.EncodeToString(secret), value, hex.EncodeToString(seed[:])
	return nil
}

// Spell writes documents in their one spelling.
func (d Documents) Spell() []byte { return spell(d) }

// Version tells documents apart by little: the lists, which may be long, stay out, since listHash and seed stand for them.
func (d Documents) Version() string {
	short := Documents{Draws: slices.Clone(d.Draws)}
	for i := range short.Draws {
		short.Draws[i].Entrants, short.Draws[i].Order = nil, nil
	}
	sum := sha256.Sum256(spell(short))
	return hex.EncodeToString(sum[:16])
}

// spell writes JSON as JSON.stringify does.
func spell(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // text and numbers always have a JSON form
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	out = bytes.ReplaceAll(out, []byte(`\u2028`), []byte("\u2028"))
	return bytes.ReplaceAll(out, []byte(`\u2029`), []byte("\u2029"))
}

// ErrDisagrees says that a document is not what its own secret, list and value give.
var ErrDisagrees = errors.New("the draw disagrees")

// ErrNotDrawn says that a draw has no value yet, so that there is nothing to verify. It comes together with [ErrDisagrees].
var ErrNotDrawn = errors.New("nothing is drawn yet")

// Verify recomputes every draw of a text that Spell wrote. committed, if not nil, holds the documents as they were published
// before the value was known: what they promised, and the list if it was there, must not have changed. Errors wrap [ErrDisagrees] and name the member.
func Verify(text []byte, committed *Documents) (Documents, error) {
	var told Documents
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&told); err != nil {
		return told, fmt.Errorf("%w: it cannot be read: %w", ErrDisagrees, err)
	}
	if len(told.Draws) == 0 {
		return told, fmt.Errorf("%w: it holds no draw", ErrDisagrees)
	}
	for i := range told.Draws {
		if err := told.Draws[i].verify(); err != nil {
			return told, fmt.Errorf("%w: sale %q, SKU %q: %w", ErrDisagrees, told.Draws[i].Sale, told.Draws[i].SKU, err)
		}
	}
	if !bytes.Equal(told.Spell(), bytes.TrimSuffix(text, []byte("\n"))) {
		return told, fmt.Errorf("%w: it is spelled in another way than it was published", ErrDisagrees)
	}
	if committed == nil {
		return told, nil
	}
	return told, promised(committed.Draws, told.Draws)
}

func (d *Document) verify() error {
	if d.Version != 1 {
		return fmt.Errorf("its version is %d, want 1", d.Version)
	}
	if d.State != Drawn {
		return fmt.Errorf("%w: the state is %q", ErrNotDrawn, d.State)
	}
	secret, err := hex.DecodeString(d.Secret)
	if err != nil || len(secret) != sha256.Size {
		return fmt.Errorf("secret is %q, want 32 bytes in hex", d.Secret)
	}
	if d.PublicSource == "" || d.PublicValue == "" {
		return errors.New("it names no public source or has no value from it: who knew the secret could try out lists")
	}
	closes, err := moment(d.ClosesAt)
	listed, err2 := moment(d.ListedAt)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if listed.Before(closes) {
		return fmt.Errorf("the list was published at %s, before the pot closed", d.ListedAt)
	}
	for i, e := range d.Entrants {
		if raw, err := hex.DecodeString(e); err != nil || len(raw) != sha256.Size || hex.EncodeToString(raw) != e {
			return fmt.Errorf("entrant %d is %q, want 32 bytes in hex", i, e)
		}
		if i > 0 && d.Entrants[i-1] >= e {
			return fmt.Errorf("entrant %d is twice there or not in its place", i)
		}
	}
	own := *d
	own.Close(d.ListedAt, slices.Clone(d.Entrants))
	if err := own.Draw(secret, d.PublicValue); err != nil {
		return err
	}
	switch {
	case Commit(secret) != d.Commitment:
		return fmt.Errorf("the secret is not the one committed to")
	case own.ListHash != d.ListHash:
		return fmt.Errorf("the hash of the list is %s, not %s", own.ListHash, d.ListHash)
	case own.Seed != d.Seed:
		return fmt.Errorf("the seed is %s, not %s", own.Seed, d.Seed)
	case !slices.Equal(own.Order, d.Order):
		return fmt.Errorf("the order is another")
	}
	return nil
}

// moment reads what Moment wrote.
func moment(text string) (time.Time, error) {
	t, err := time.Parse(momentLayout, text)
	if err == nil && Moment(t) != text {
		err = fmt.Errorf("%q is not spelled as a moment", text)
	}
	return t, err
}

// promised compares with what was published before.
func promised(before, now []Document) error {
	for _, b := range before {
		i := slices.IndexFunc(now, func(d Document) bool { return d.Sale == b.Sale && d.SKU == b.SKU })
		switch {
		case i < 0:
			return fmt.Errorf("%w: SKU %q was published before and is missing", ErrDisagrees, b.SKU)
		case now[i].Commitment != b.Commitment || now[i].ClosesAt != b.ClosesAt || now[i].PublicSource != b.PublicSource:
			return fmt.Errorf("%w: SKU %q: commitment, closesAt or publicSource changed after they were published", ErrDisagrees, b.SKU)
		case b.ListHash != "" && now[i].ListHash != b.ListHash:
			return fmt.Errorf("%w: SKU %q: the list of entrants changed after it was published", ErrDisagrees, b.SKU)
		}
	}
	return nil
}
