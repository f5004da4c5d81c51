package order

import "penstock/errs"

// Edge is one legal step.
type Edge struct{ From, To State }

// edges is the whole state machine. The step into Accepted makes the order. Only a claim that was made anew for late money takes
// an order from Expired to Paid.
var edges = [...]Edge{
	{"", Accepted},
	{Accepted, PendingPayment}, {Accepted, Cancelled}, {Accepted, Expired},
	{PendingPayment, Paid}, {PendingPayment, Cancelled}, {PendingPayment, Expired},
	{Paid, Fulfilled}, {Paid, Refunded},
	{Fulfilled, Refunded},
	{Expired, Paid},
}

// Edges returns every legal step; the caller may keep the slice.
func Edges() []Edge { return append([]Edge(nil), edges[:]...) }

// Legal reports whether an order may step from one state to the other.
func Legal(from, to State) bool {
	for _, e := range edges {
		if e.From == from && e.To == to {
			return true
		}
	}
	return false
}

// path returns the steps that bring an order from where it is to where its claim is: none when it is there or beyond, more
// than one when it missed some. errs.IllegalTransition means that order and claim contradict each other.
func path(from, to State) ([]State, error) {
	switch {
	case from == to, to == PendingPayment && from != Accepted, to == Paid && (from == Fulfilled || from == Refunded):
		return nil, nil
	case Legal(from, to) && from != Expired:
		return []State{to}, nil
	}
	// What is still on the way to the end it has missed steps of goes through them.
	for _, via := range [...]Edge{{Accepted, PendingPayment}, {PendingPayment, Paid}} {
		if from == via.From && (to == Paid || to == Refunded) {
			rest, err := path(via.To, to)
			return append([]State{via.To}, rest...), err
		}
	}
	return nil, illegal(from, to)
}

// latePath is path for a claim that was made for late money, of an order that had expired. One that is not sold, or that was
// not sold when it was released, changes nothing.
func latePath(from, to State) ([]State, error) {
	switch {
	case to != Paid && to != Refunded:
		return nil, nil
	case from == Expired && to == Paid:
		return []State{Paid}, nil
	case from == Expired:
		return []State{Paid, Refunded}, nil
	case from == Accepted || from == PendingPayment: // what let go of the first claim is on its way
		rest, err := latePath(Expired, to)
		return append([]State{Expired}, rest...), err
	}
	return path(from, to)
}

// wasExpired reports whether an order in this state and version has been expired on its way: paying an order in time makes it
// version 3, and paying it late version 4. A refund can hide the difference; then it is taken for late.
func wasExpired(now State, version int64) bool {
	return now == Paid && version >= 4 || (now == Fulfilled || now == Refunded) && version >= 5
}

func illegal(from, to State) error {
	return errs.New(errs.IllegalTransition, "an order that is %s cannot become %s", from, to)
}
