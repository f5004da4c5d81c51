// Package balance keeps what users have with the shop, in a ledger of double entry.
//
// Each user has one account per currency and one more for what is held; cash and revenue are the shop's. Every movement is one
// transaction of two entries that add up to zero, in integer minor units, durable when it is answered:
//
//	top-up      cash ──► user          payment  user ──► revenue        hold       user ──► held
//	withdrawal  user ──► cash          refund   revenue ──► user        take       held ──► revenue
//	                                                                    give-back  held ──► user
//
// It promises: an account is the sum of its entries; no user's account goes below zero, or below the credit that an operator
// allowed it; a key moves money once, whatever is asked how often by whom; an answer that never came is found under its key. It
// does not audit what operators do, which its caller does, and it runs nothing in the background.
//
// The book of a slot (see [penstock/engine/sqldb]) has the accounts of its users and cash and revenue of its own, so that a
// movement locks one slot, and users of other slots never wait for it. Its transactions are numbered without gaps.
//
// Package till lets a balance pay for orders; [Participant] lets it take part in transactions across services. All types are
// safe for concurrent use.
package balance
