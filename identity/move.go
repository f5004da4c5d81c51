package identity

import "penstock/engine/sqldb"

// Tables are what a store holds, for sqldb.Copy. The version is left out: each store counts its own changes.
func Tables() []sqldb.Table {
	return []sqldb.Table{
		{Name: "identity_users", Columns: "name,role,display,email,password,disabled,totp,totp_last,created,changed", Key: 1},
		{Name: "identity_recovery", Columns: "user,code", Key: 2},
		{Name: "identity_enrolments", Columns: "user,totp,recovery,began", Key: 1},
		{Name: "identity_sessions", Columns: "id,user,pending,created,auth,seen,ends,address,agent,methods", Key: 1},
		{Name: "identity_throttle", Columns: "id,failures,last,until", Key: 1},
		{Name: "identity_oidc_keys", Columns: "kid,alg,public,sealed,created,retired", Key: 1},
		{Name: "identity_oidc_clients", Columns: "id,doc,secret,created", Key: 1},
		{Name: "identity_oidc_grants", Columns: "id,client,user,session,doc,ends,revoked", Key: 1},
		{Name: "identity_oidc_tokens", Columns: "id,kind,grant_id,ends,used", Key: 1},
	}
}
