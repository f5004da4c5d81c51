// Package consoles opens a thousand live streams of operators on one Penstock, over HTTP, and looks at what they are told, what they
// hold, and what is left when they have gone.
package consoles
