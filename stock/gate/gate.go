// Package gate turns hopeless attempts away before the decision, with one look into memory.
//
// A gate only narrows: it may say no, never yes. What it knows is what the last commit said, so a wrong gate costs someone a
// second, never a unit. It says the final "sold out" only when the committed row says that nothing is available and nothing is
// held; every other no can be tried again with the same key.
//
// [Memory] is the gate of one process. Alone beside its own stock database it learns everything from its own commits; where
// several processes share the database, a [Resync] beside it reads what the others did, at least once a second: until then
// what changed elsewhere (stock added or released, a pause, a new sale) is not seen here. Package redisgate is built over both
// and narrows for all processes together.
//
// All methods are safe for concurrent use; reads take no lock.
package gate

import "penstock/stock"

// Say is what a gate says of an attempt.
type Say uint8

// What a gate says. Replay comes before every refusal, hence four words and not two.
const (
	// Pass means that other filters may still refuse the attempt.
	Pass Say = iota
	// Replay means that this very key was admitted before: no filter may refuse it, the decision knows or settles it.
	Replay
	// Ask means refuse, unless a look-up finds the key bound or in flight.
	Ask
	// Refuse means refuse without a look-up: nothing of this user's can be bound or in flight.
	Refuse
)

func (s Say) String() string { return [...]string{"pass", "replay", "ask", "refuse"}[s&3] }

// Verdict is what a gate says of an attempt, with the answer if it is refused. A refusal binds nothing to the key.
type Verdict struct {
	Say    Say
	Answer stock.Answer
}
