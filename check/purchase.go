package check

import (
	"penstock/internal/ident"
)

// purchase is what the exports say about one order id. Times are ns since 1970; the hashes are sums of lineHash.
type purchase struct {
	id   ident.ID
	key  uint64 // hash of (sale, user, key)
	user uint64

	claimed, held, soldLines, freed, ordered uint64

	seq                                uint64 // of the first hold
	soldAt                             int64
	payBefore, releaseAt               int64
	amount, captured, refunded         int64
	givenBack                          int64 // what the order says was refunded; -1 where it does not say
	due                                int64 // what its claim is to cost, where priced says that the claim tells
	version, lastEvent                 int32
	sale                               uint32 // shelf of the first line; its sale is the purchase's
	state                              claimState
	order, lastTo                      orderState
	hasClaim, hasHold, wasPaid, refund bool // refund: a refund is on its way
	orders                             uint8
	mismatch, priced, refunds          bool  // refunds: its payments tell their refunds
	asked                              int64 // what of them was asked for and went back

	tx uint64 // hash of the transaction across services that holds it, or 0

	again ident.ID // the expired order that this claim was made for, or 0
	// heir is the number, plus one, of the claim that late money made and that was sold; revived says that the order went from
	// expired to paid, waits that its late money waits for an operator.
	heir           uint32
	revived, waits bool
}

// purchases keeps records in blocks, so that growing copies nothing.
type purchases struct {
	n      uint32
	blocks [][]purchase
	byID   map[ident.ID]uint32
}

const blockSize = 1 << 14

func newPurchases() purchases { return purchases{byID: map[ident.ID]uint32{}} }

func (p *purchases) at(i uint32) *purchase { return &p.blocks[i/blockSize][i%blockSize] }

// get returns the record of an order id and its number, making it if there is none.
func (p *purchases) get(id ident.ID) (*purchase, uint32) {
	i, ok := p.byID[id]
	if !ok {
		i = p.n
		if i%blockSize == 0 {
			p.blocks = append(p.blocks, make([]purchase, blockSize))
		}
		p.n++
		p.byID[id] = i
		*p.at(i) = purchase{id: id, givenBack: -1}
	}
	return p.at(i), i
}

func (p *purchases) each(f func(*purchase)) {
	for i := range p.n {
		f(p.at(i))
	}
}

type claimState uint8

const (
	claimNone claimState = iota
	claimHeld
	claimSold
	claimReleased
)

var claimStates = map[string]claimState{"held": claimHeld, "sold": claimSold, "released": claimReleased}

func (s claimState) String() string { return [...]string{"missing", "held", "sold", "released"}[s] }

type orderState uint8

const (
	orderNone orderState = iota
	orderAccepted
	orderPending
	orderPaid
	orderFulfilled
	orderCancelled
	orderExpired
	orderRefunded
)

var orderStates = map[string]orderState{
	"": orderNone, "accepted": orderAccepted, "pending_payment": orderPending, "paid": orderPaid, "fulfilled": orderFulfilled,
	"cancelled": orderCancelled, "expired": orderExpired, "refunded": orderRefunded,
}

func (s orderState) String() string {
	return [...]string{"none", "accepted", "pending_payment", "paid", "fulfilled", "cancelled", "expired", "refunded"}[s]
}

// legal holds the edges of an order's life.
var legal = map[[2]orderState]bool{
	{orderNone, orderAccepted}: true, {orderAccepted, orderPending}: true,
	{orderAccepted, orderCancelled}: true, {orderAccepted, orderExpired}: true,
	{orderPending, orderCancelled}: true, {orderPending, orderExpired}: true,
	{orderPending, orderPaid}: true, {orderPaid, orderFulfilled}: true,
	{orderPaid, orderRefunded}: true, {orderFulfilled, orderRefunded}: true,
	{orderExpired, orderPaid}: true, // judgeLate asks for the claim that allows it
}

// taken reports whether an order in this state must have its units.
func (s orderState) taken() bool { return s == orderPaid || s == orderFulfilled }

// gone reports whether an order in this state must have given its units back.
func (s orderState) gone() bool { return s == orderCancelled || s == orderExpired }
