package mysqlstock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"penstock/engine/mysql"
)

// Durability is what the server was found to promise at Open.
type Durability struct {
	// SemiSync says that a commit is answered only after a replica has it, as long as one keeps up.
	SemiSync bool
	// OrderedLog says that nothing is visible before it is synced, because the binary log is. Without it a reader may see, for
	// the time of one sync, a commit that a crash of the server in that moment takes back.
	OrderedLog bool
}

// Durability returns what the server was found to promise at Open.
func (d *DB) Durability() Durability { return d.dura }

func (d *DB) durability(ctx context.Context) (Durability, error) {
	if d.db.Flavour == mysql.TiDB {
		return Durability{OrderedLog: true}, nil // visible is what a majority of replicas has
	}
	var found Durability
	var binlog bool
	var syncBinlog int64
	if err := d.db.QueryRowContext(ctx, "SELECT @@global.log_bin, @@global.sync_binlog").Scan(&binlog, &syncBinlog); err != nil {
		return found, err
	}
	found.OrderedLog = binlog && syncBinlog == 1
	on, replicas := false, false
	err := query(ctx, d.db, "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync%'", func(rows *sql.Rows) error {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		switch strings.ToLower(name) {
		case "rpl_semi_sync_master_status", "rpl_semi_sync_source_status":
			on = on || strings.EqualFold(value, "ON")
		case "rpl_semi_sync_master_clients", "rpl_semi_sync_source_clients":
			replicas = replicas || value != "0"
		}
		return nil
	})
	found.SemiSync = on && replicas
	return found, err
}

// promise says what is promised, and refuses what was required and is not there.
func (d *DB) promise() error {
	for _, w := range d.db.Warnings {
		d.opt.Logger.Warn("stock database: " + w)
	}
	if !d.dura.OrderedLog {
		d.opt.Logger.Warn("stock database: the binary log is off or not synced, so a reader may see a commit a moment before it is durable; " +
			"set log_bin and sync_binlog = 1")
	}
	switch {
	case d.dura.SemiSync:
		d.opt.Logger.Info("stock database: semi-synchronous replication is on: an answer is on a replica too, until the server times out waiting for one")
	case d.db.Flavour == mysql.TiDB:
	case d.opt.RequireSemiSync:
		return errors.New("semi-synchronous replication is required and not active: set rpl_semi_sync_master_enabled " +
			"(MySQL 8.4: rpl_semi_sync_source_enabled) = 1 on the primary and connect a semi-synchronous replica, or do not require it")
	default:
		d.opt.Logger.Info("stock database: answers survive a crash of this server; not promised to survive a failover, because no semi-synchronous replica is connected")
	}
	return nil
}

// checkTables refuses tables that were made or altered into what does not lock rows or compare bytes.
func (d *DB) checkTables(ctx context.Context) error {
	var wrong []string
	err := query(ctx, d.db, `SELECT table_name, COALESCE(engine, ''), COALESCE(table_collation, '') FROM information_schema.tables
		WHERE table_schema = DATABASE() AND table_name IN ('head','sale','stock','allowance','attempt','journal','offer','audit','node','lease')`,
		func(rows *sql.Rows) error {
			var name, engine, collation string
			if err := rows.Scan(&name, &engine, &collation); err != nil {
				return err
			}
			if !strings.EqualFold(engine, "InnoDB") {
				wrong = append(wrong, fmt.Sprintf("table %s has the engine %s: ALTER TABLE %s ENGINE=InnoDB", name, engine, name))
			}
			if !strings.HasPrefix(collation, "utf8mb4") {
				wrong = append(wrong, fmt.Sprintf("table %s has the collation %s: ALTER TABLE %s CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
					name, collation, name))
			}
			return nil
		})
	if err != nil {
		return err
	}
	err = query(ctx, d.db, `SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = DATABASE()
		AND table_name IN ('stock','allowance','attempt','offer','sale','audit') AND column_name IN ('sale','sku','user','akey','id')
		AND data_type NOT IN ('varbinary','bigint')`,
		func(rows *sql.Rows) error {
			var table, column, kind string
			err := rows.Scan(&table, &column, &kind)
			wrong = append(wrong, fmt.Sprintf("column %s.%s is %s and would not compare as bytes: ALTER TABLE %s MODIFY %s VARBINARY(255) NOT NULL",
				table, column, kind, table, column))
			return err
		})
	if err == nil && len(wrong) > 0 {
		err = errors.New(strings.Join(wrong, "; "))
	}
	return err
}
