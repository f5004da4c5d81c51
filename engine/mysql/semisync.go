package mysql

import (
	"context"
	"strings"
)

// SemiSync reports whether a commit waits, at present, until at least one replica has it in its log: only then does an answer
// survive the loss of the server. A server falls back to not waiting by itself when its replicas are slow or gone, so ask often.
func SemiSync(ctx context.Context, db *DB) (bool, error) {
	rows, err := db.QueryContext(ctx, "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_%'")
	if err != nil {
		return false, err
	}
	defer rows.Close()
	var waits, replicas bool
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return false, err
		}
		switch strings.ToLower(name) { // MySQL 8 says source where MariaDB says master
		case "rpl_semi_sync_master_status", "rpl_semi_sync_source_status":
			waits = waits || value == "ON"
		case "rpl_semi_sync_master_clients", "rpl_semi_sync_source_clients":
			replicas = replicas || value != "0"
		}
	}
	return waits && replicas, rows.Err()
}
