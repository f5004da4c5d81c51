package sheet

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// The format takes 1,048,576 rows a sheet and 32,767 characters a cell.
const (
	sheetRows = 1_000_000
	cellRunes = 32_000
)

// book writes XLSX. Rows go to a temporary file once they are many, so memory stays bounded.
type book struct {
	f       *excelize.File
	w       io.Writer
	heading []any
	out     *excelize.StreamWriter
	sheets  int
	at      int
}

func (b *book) row(cells []any) error {
	if b.out == nil || b.at >= sheetRows {
		if err := b.sheet(); err != nil {
			return err
		}
	}
	for i, v := range cells {
		if text, ok := v.(string); ok {
			cells[i] = fit(text)
		}
	}
	return b.put(cells)
}

func (b *book) put(cells []any) error {
	b.at++
	name, err := excelize.CoordinatesToCellName(1, b.at)
	if err != nil {
		return err
	}
	return b.out.SetRow(name, cells)
}

// fit cuts what does not fit into a cell, and says so.
func fit(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if utf8.RuneCountInString(text) <= cellRunes {
		return text
	}
	return string([]rune(text)[:cellRunes]) + " (cut)"
}

// sheet begins a further sheet with its heading, which stays in sight.
func (b *book) sheet() error {
	if b.out != nil {
		if err := b.out.Flush(); err != nil {
			return err
		}
	}
	b.sheets++
	name := "Sheet1"
	var err error
	if b.sheets > 1 {
		name = fmt.Sprint("Sheet", b.sheets)
		_, err = b.f.NewSheet(name)
	}
	if err == nil {
		b.out, err = b.f.NewStreamWriter(name)
	}
	if err == nil {
		err = b.out.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
	}
	if err != nil {
		return err
	}
	b.at = 0
	return b.put(b.heading)
}

func (b *book) end() error {
	if b.out == nil {
		if err := b.sheet(); err != nil {
			return err
		}
	}
	if err := b.out.Flush(); err != nil {
		return err
	}
	if err := b.f.Write(b.w); err != nil {
		return err
	}
	return b.f.Close()
}
