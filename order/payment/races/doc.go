// Package races has no code, only a test: what may happen to an order at the same moment, a thousand times over, with the real
// stock, the real orders and the real payments on each engine, judged by package check as a stranger would.
package races
