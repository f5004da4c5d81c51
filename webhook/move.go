package webhook

import "penstock/engine/sqldb"

// Tables are what a store holds, for sqldb.Copy. What was delivered goes along, so that nothing is delivered twice because of a move.
func Tables() []sqldb.Table {
	return []sqldb.Table{
		{Name: "webhook_endpoints", Columns: "id,url,description,events,secrets,rate,concurrency,enabled,why,version,failing_since,paused_until,failures,next_seq,owner,beat,created_at,changed_at", Key: 1},
		{Name: "webhook_events", Columns: "id,topic,type,user,at,seen,body", Key: 1},
		{Name: "webhook_deliveries", Columns: "endpoint,seq,event,type,user,state,tries,replays,status,error,at,tried_at,next_at", Key: 2},
	}
}
