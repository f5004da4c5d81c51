package api

import (
	"context"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"penstock/stock/driver"
)

// AuditQuery chooses acts. What is left out lets all through; the others must all hold.
type AuditQuery struct {
	PageQuery
	Who    string    `query:"who" maxLength:"255"`
	Act    string    `query:"act" maxLength:"64" doc:"an act, or a part before a dot: sale takes sale.create too"`
	Object string    `query:"object" maxLength:"255" doc:"a part of the object, as it is written"`
	From   time.Time `query:"from" doc:"at this time or later"`
	To     time.Time `query:"to" doc:"before this time"`
	Newest bool      `query:"newest" doc:"newest first"`
}

// auditWidth is how many rows one call looks through at most.
const auditWidth, auditPiece = 5000, 500

func (q *AuditQuery) lets(a *driver.Audit) bool {
	return (q.Who == "" || q.Who == a.Who) && (q.Act == "" || q.Act == a.Act || strings.HasPrefix(a.Act, q.Act+".")) &&
		strings.Contains(a.Object, q.Object) && (q.From.IsZero() || !a.At.Before(q.From)) && (q.To.IsZero() || a.At.Before(q.To))
}

// trail reads one page. It may be short, or empty, and yet have a next.
func (s *surface) trail(ctx context.Context, q *AuditQuery) (rows []driver.Audit, next string, err error) {
	at, err := afterCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	if q.Newest && q.Cursor == "" {
		if at, err = s.lastAct(ctx); err != nil {
			return nil, "", err
		}
		at++
	}
	for looked := 0; looked < auditWidth; looked += auditPiece {
		piece, end, err := s.piece(ctx, q.Newest, at)
		if err != nil {
			return nil, "", err
		}
		for i := range piece {
			at = piece[i].Seq
			if q.lets(&piece[i]) {
				rows = append(rows, piece[i])
			}
			if len(rows) == q.Limit {
				return rows, strconv.FormatUint(at, 10), nil
			}
		}
		if end {
			return rows, "", nil
		}
		if q.Newest && len(piece) == 0 { // numbers that were never given
			at -= min(at, auditPiece)
		}
	}
	return rows, strconv.FormatUint(at, 10), nil
}

// piece reads the rows after a number, or those before it, newest first. end says that there are no more.
func (s *surface) piece(ctx context.Context, newest bool, at uint64) (rows []driver.Audit, end bool, err error) {
	if !newest {
		rows, err = s.d.Audit.Audit(ctx, at, auditPiece)
		return rows, len(rows) < auditPiece, err
	}
	if at <= 1 {
		return nil, true, nil
	}
	after := at - 1 - min(at-1, auditPiece)
	rows, err = s.d.Audit.Audit(ctx, after, auditPiece)
	rows = slices.DeleteFunc(rows, func(a driver.Audit) bool { return a.Seq >= at })
	slices.Reverse(rows)
	return rows, after == 0, err
}

// lastAct finds the number of the newest row by halving: the trail is read forwards only.
func (s *surface) lastAct(ctx context.Context) (last uint64, err error) {
	none := sort.Search(62, func(bit int) bool { return s.noneAfter(ctx, 1<<bit, &err) })
	from := uint64(0)
	if none > 0 {
		from = 1 << (none - 1)
	}
	width := uint64(1)<<none - from
	return from + uint64(sort.Search(int(width), func(n int) bool { return s.noneAfter(ctx, from+uint64(n), &err) })), err
}

func (s *surface) noneAfter(ctx context.Context, at uint64, err *error) bool {
	if *err != nil {
		return true
	}
	rows, e := s.d.Audit.Audit(ctx, at, 1)
	*err = e
	return e == nil && len(rows) == 0
}
