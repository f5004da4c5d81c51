package history

import (
	"errors"
	"io"
	"time"

	"penstock/check/ndjson"
)

// Scan calls f for each record of a history, in order. The record is reused between calls. A last line that was cut short (the
// generator was killed while it wrote) is left out; any other broken line is an error.
func Scan(r io.Reader, f func(*Record) error) error {
	var rec Record
	var broken error
	err := ndjson.Read("history", r, func(line []byte) error {
		if broken != nil {
			return broken
		}
		rec = Record{}
		switch err := rec.parse(line); {
		case errors.Is(err, ndjson.ErrSyntax):
			broken = err
			return nil
		case err != nil:
			return err
		}
		return f(&rec)
	})
	return err
}

func (r *Record) parse(line []byte) error {
	return ndjson.Fields(line, func(name []byte, v ndjson.Value) (err error) {
		var n int64
		switch string(name) {
		case "phase":
			r.Phase = Phase(v.Text())
		case "seed", "client", "call", "qty", "status", "amount":
			if n, err = v.Int(); err == nil {
				r.setNumber(string(name), n)
			}
		case "t_send":
			if n, err = v.Nanos(); err == nil {
				r.TSend = time.Unix(0, n).UTC()
			}
		case "t_recv":
			if n, err = v.Nanos(); err == nil {
				r.TRecv = time.Unix(0, n).UTC()
			}
		case "replayed":
			r.Replayed = v.True()
		default:
			r.setText(string(name), v.Text())
		}
		return err
	})
}

func (r *Record) setNumber(name string, n int64) {
	switch name {
	case "seed":
		r.Seed = n
	case "client":
		r.Client = int(n)
	case "call":
		r.Call = uint64(n)
	case "qty":
		r.Qty = n
	case "status":
		r.Status = int(n)
	case "amount":
		r.Amount = n
	}
}

func (r *Record) setText(name, s string) {
	switch name {
	case "sale":
		r.Sale = s
	case "user":
		r.User = s
	case "key":
		r.Key = s
	case "op":
		r.Op = Op(s)
	case "sku":
		r.SKU = s
	case "order":
		r.Order = s
	case "problem":
		r.Problem = s
	case "state":
		r.State = s
	}
}
