package partner

import "penstock/engine/sqldb"

// Tables are what a store holds, for sqldb.Copy.
func Tables() []sqldb.Table {
	return []sqldb.Table{
		{Name: "partner_apps", Columns: "id,rev,deleted,name,description,enabled,why,sandbox,apis,per_minute,per_day,secrets,version,created_at,changed_at", Key: 1},
		{Name: "partner_nonces", Columns: "id,until", Key: 1},
	}
}
