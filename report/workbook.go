package report

import (
	"context"
	"fmt"
	"io"

	"github.com/xuri/excelize/v2"

	"penstock/check/ndjson"
)

// sheetRows is how many orders go into one sheet; the format takes 1,048,576 rows.
const sheetRows = 1_000_000

// Workbook writes the orders of a sale as XLSX, a row each, in the order of the export. Rows go to a temporary file once they are
// many, so memory stays bounded. Everything is written as text or number, never as a formula.
func Workbook(ctx context.Context, src Source, sale string, w io.Writer) error {
	f := excelize.NewFile()
	defer f.Close()
	b := &book{f: f, sale: sale}
	if err := b.sheet(); err != nil {
		return err
	}
	s := ndjson.NewSplitter("orders", b.order)
	err := src.Export(ctx, "orders", s)
	if err == nil {
		err = s.Close()
	}
	if err == nil {
		err = b.out.Flush()
	}
	if err != nil {
		return fmt.Errorf("report: workbook: %w", err)
	}
	return f.Write(w)
}

type book struct {
	f      *excelize.File
	out    *excelize.StreamWriter
	sale   string
	sheets int
	row    int
}

// sheet begins a further sheet with its heading, which stays in sight.
func (b *book) sheet() error {
	if b.out != nil {
		if err := b.out.Flush(); err != nil {
			return err
		}
	}
	b.sheets++
	name := "Orders"
	var err error
	if b.sheets == 1 {
		err = b.f.SetSheetName("Sheet1", name)
	} else {
		name = fmt.Sprint("Orders ", b.sheets)
		_, err = b.f.NewSheet(name)
	}
	if err == nil {
		b.out, err = b.f.NewStreamWriter(name)
	}
	if err == nil {
		err = b.out.SetColWidth(1, 10, 18)
	}
	if err == nil {
		err = b.out.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
	}
	if err != nil {
		return err
	}
	b.row = 1
	return b.out.SetRow("A1", []any{"Order", "User", "State", "SKU", "Quantity", "Price (minor units)", "Order amount (minor units)", "Refunded (minor units)", "Currency", "Created (UTC)", "Pay before (UTC)"})
}

// order writes a row for each item of an order; the amounts of the order stand in its first row only, so that columns add up.
func (b *book) order(line []byte) error {
	o, err := readOrder(line)
	if err != nil || o.Sale != b.sale {
		return err
	}
	for i, it := range o.Items {
		if b.row > sheetRows {
			if err := b.sheet(); err != nil {
				return err
			}
		}
		b.row++
		cell, err := excelize.CoordinatesToCellName(1, b.row)
		if err != nil {
			return err
		}
		var amount, refunded any
		if i == 0 {
			amount, refunded = o.Amount, o.Refunded
		}
		const layout = "2006-01-02 15:04:05.000"
		if err := b.out.SetRow(cell, []any{o.ID, o.User, o.State, it.SKU, it.Quantity, it.Price, amount, refunded, o.Currency, o.CreatedAt.UTC().Format(layout), o.PayBefore.UTC().Format(layout)}); err != nil {
			return err
		}
	}
	return nil
}
