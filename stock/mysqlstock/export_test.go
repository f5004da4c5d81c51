package mysqlstock

// Waits returns how often somebody has waited for a connection of the pool.
func (d *DB) Waits() int64 { return d.db.Stats().WaitCount }
