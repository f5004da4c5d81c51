// Package storm is an open-loop stampede: buyers arrive by a schedule that does not wait for answers, behave as buyers do (click
// twice, lose patience or not, pay, cancel, walk away), and write down what they asked and what they were told. The verdict comes
// from that history and from what the server lets the outside see, through package check.
//
// What it promises: latency counts from the moment a buyer was due, so that a stalled server (or generator) is not flattered;
// when the machine or the cap of calls in flight keeps buyers from arriving on time, the report says so (achieved below offered);
// a call without an answer counts as unknown, and every unknown is asked about until it is settled or the time is up. The server
// may die and come back in the middle.
//
// The life of a buyer, as steps that the schedule runs when they are due:
//
//	attempt ──► won ──► think ──► pay | cancel | walk away
//	   ▲  │
//	   │  ├──► lost (a final no)
//	   └──┴──► not final: a patient buyer asks again with the same key, the others leave
//
// After the arrivals, patient buyers go on for a while (Linger). Then unknowns are settled, and whoever was last refused for lack
// of stock gets one last call, so that sold = min(stock, willing buyers) can be judged. [Run] may be called concurrently.
package storm
