package mysql

import "strings"

// NowMicros is an expression for the server's clock in microseconds since 1970: one clock for all who share the database.
const NowMicros = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"

// Placeholders returns the value lists of a bulk insert, such as "(?,?),(?,?)" for two rows of two columns.
func Placeholders(rows, cols int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", cols), ",") + ")"
	return strings.TrimSuffix(strings.Repeat(row+",", rows), ",")
}
