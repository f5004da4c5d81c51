package outbox

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"penstock/engine/sqldb"
)

// page is how many rows one statement numbers or removes.
const page = 500

// number gives numbers to committed rows that have none. It does nothing on SQLite, where the numbers are given in order of
// commit because there is one writer.
//
// Whoever numbers holds the row of the topic in message_outbox_head, and looks for rows only then: it sees all that a
// transaction before it has numbered, and all rows that were committed by then.
func (s *Source) number(ctx context.Context) error {
	if !s.db.Shared() {
		return nil
	}
	for {
		ids, err := s.ids(ctx, s.db, unnumbered, s.topic)
		if err != nil || len(ids) == 0 {
			return err
		}
		err = s.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error { return s.numberPage(ctx, tx) })
		if err != nil {
			return err
		}
	}
}

const unnumbered = `SELECT id FROM message_outbox WHERE topic = ? AND seq = 0 ORDER BY id LIMIT 500`

func (s *Source) numberPage(ctx context.Context, tx sqldb.Tx) error {
	var last int64
	if err := tx.Scan(tx.Locking(`SELECT last FROM message_outbox_head WHERE topic = ?`), []any{s.topic}, &last); err != nil {
		return fmt.Errorf("the head of the topic: %w", err)
	}
	ids, err := s.ids(ctx, inTx{tx}, unnumbered, s.topic)
	if err != nil || len(ids) == 0 {
		return err
	}
	list := strings.Join(ids, ",")
	n, err := tx.Exec(`UPDATE message_outbox SET seq = ? + FIELD(id, `+list+`) WHERE seq = 0 AND id IN (`+list+`)`, last)
	if err != nil {
		return err
	}
	if n != int64(len(ids)) {
		return fmt.Errorf("%d rows were numbered, wanted %d", n, len(ids))
	}
	_, err = tx.Exec(`UPDATE message_outbox_head SET last = ? WHERE topic = ?`, last+n, s.topic)
	return err
}

// Sent removes what every group has got and is old enough. It may be called again with the same number.
func (s *Source) Sent(ctx context.Context, upto uint64) error {
	key := "seq"
	if s.db.Shared() {
		key = "id"
	}
	before := s.opt.Clock.Now().Add(-max(s.opt.Keep, 0)).UnixNano()
	old := `SELECT ` + key + ` FROM message_outbox WHERE topic = ? AND seq > 0 AND seq <= ? AND at <= ? ORDER BY seq LIMIT ` + strconv.Itoa(page)
	for told := false; ; told = true {
		ids, err := s.ids(ctx, s.db, old, s.topic, upto, before)
		if err != nil {
			return err
		}
		if told && len(ids) == 0 {
			return nil
		}
		err = s.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
			if len(ids) > 0 {
				if _, err := tx.Exec(`DELETE FROM message_outbox WHERE ` + key + ` IN (` + strings.Join(ids, ",") + `)`); err != nil {
					return err
				}
			}
			_, err := tx.Exec(`UPDATE message_outbox_head SET sent = ? WHERE topic = ? AND sent < ?`, upto, s.topic, upto)
			return err
		})
		if err != nil || len(ids) < page {
			return err
		}
	}
}
