// Package mysqlstock keeps the stock database on MySQL 8, MariaDB or TiDB, where several processes decide on the same sale at
// once.
//
// It promises the contract of package stock/driver, and beyond it: what one process commits, every other decides by; entries
// of the journal appear in commit order over all processes; a hold never commits after a close or a pause of its sale; a
// number in ids belongs to one process at a time, and a process that was paused past its lease makes no id under it. It does
// not promise what the server does not: whether a failover keeps a commit is the server's replication ([DB.Durability]).
//
// Decisions of one process run one at a time; processes meet in the rows they lock: stock rows first, sorted, and the row of
// table head last. DESIGN.md says why, and what a failure does. Keys and allowances of closed sales stay in their tables,
// which grow with what was ever decided. All methods are safe for concurrent use.
package mysqlstock
