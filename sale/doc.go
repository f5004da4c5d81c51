// Package sale is the business of a flash sale around the stock decision: what an operator defines and does, what a buyer
// sees, and the way of an attempt through throttle and gate to the decision and back.
//
// Replay comes before every refusal: whatever a filter says, a key that is bound or being decided gets its own answer.
//
// All methods of [Sales] are safe for concurrent use.
package sale
