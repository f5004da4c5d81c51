// Package problems carries the pages of the problem types inside the binary: one <code>.md beside this file for each code of
// package errs. The server shows them under the type URI of its problems. Read-only; safe for concurrent use.
package problems

import "embed"

// Pages holds <code>.md for every code.
//
//go:embed *.md
var Pages embed.FS
