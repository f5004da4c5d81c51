package sale

import (
	"errors"

	"penstock/errs"
	"penstock/stock/driver"
)

// Preview checks a definition as Create does and returns the sale that it would make, without making it. An id that is taken is a
// finding too. A mistake is errs.Invalid with a pointer each.
func (s *Sales) Preview(d Definition) (Detail, error) {
	taken := d.ID != "" && s.gate.Sale(d.ID) != nil
	doc, offers, err := s.build(&d)
	if taken {
		var f findings
		if e, ok := errors.AsType[*errs.Error](err); ok {
			f = e.Fields
		}
		f.add("/id", "there is a sale %q already", d.ID)
		err = f.err("the sale")
	}
	if err != nil {
		return Detail{}, err
	}
	out := s.detail(&doc, nil)
	out.State = stateAt(&doc, s.opt.Clock.Now())
	for i, item := range doc.Items {
		l := driver.Stock{Sale: doc.ID, SKU: item.SKU, Offered: offers[item.SKU], Available: offers[item.SKU]}
		out.Levels, out.Items[i].Availability = append(out.Levels, l), availability(&l)
	}
	return out, nil
}
