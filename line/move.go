package line

import "penstock/engine/sqldb"

// Tables are what a store holds, for sqldb.Copy: lines with their secrets, who is in them at which place, and what became of whom. Who
// was seen lately is not among them: everybody is there or is not, as after a start.
func Tables() []sqldb.Table {
	return []sqldb.Table{
		{Name: "line_lines", Columns: "id,sale,sku,draw,next_seq,changes,pot,closed_at,secret,salt,source,value,valued_at,caller,caller_until,listed_at", Key: 1},
		{Name: "line_entries", Columns: "line,seq,user,live,state,joined_at,joined_n,expires_at", Key: 2},
		{Name: "line_moves", Columns: "line,n,seq,state,at,expires_at,units", Key: 3},
	}
}
