// Package saga runs transactions across services: TCC (try, confirm, cancel) over named participants, and sagas (steps with
// compensation) as values.
//
//	         all tried              all confirmed
//	trying ───────────► confirming ──────────────► confirmed
//	   │  \_ saga: all steps done ________________/    ▲
//	   │                   │ first confirm refused     │ resolve
//	   │ refused, late,    ▼                           │
//	   └───────────► cancelling ──► cancelled      needs_human
//	                       └── tries used up, refused ──┘
//
// It promises: every step is durable before the call that follows from it; a transaction ends with all effects, with none, or
// as needs_human, which spells out what each branch holds and what it took; whoever coordinates may die at any moment, and
// another process takes the transaction over; calls to participants are many, effects once (package saga/barrier).
// It does not promise isolation: between try and the end, others see what is held as held.
//
// A [Coordinator] is safe for concurrent use. DESIGN.md tells why it is a room of its own and what a crash does at each step.
package saga
