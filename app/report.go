package app

import (
	"context"
	"io"

	"penstock/errs"
	"penstock/report"
)

// saleReports writes the story of a sale.
type saleReports struct{ *App }

// Write writes the report of a sale as "html", "json" or "xlsx".
func (a saleReports) Write(ctx context.Context, sale, format, nonce string, w io.Writer) error {
	src := report.Source{Source: a.Source(), Answers: a.answers, Clock: a.opt.Clock}
	if format == "xlsx" {
		if _, err := a.sales.Detail(ctx, sale); err != nil {
			return err
		}
		return report.Workbook(ctx, src, sale, w)
	}
	r, err := report.Collect(ctx, src, sale)
	if err != nil {
		return err
	}
	switch format {
	case "html":
		return report.HTML(w, &r, nonce)
	case "json":
		return report.JSON(w, &r)
	}
	return errs.New(errs.NotFound, "no such form of a report")
}

// answers counts the answers to attempts of this process, by result.
func (a *App) answers() map[string]int64 {
	families, err := a.metrics.Registry().Gather()
	if err != nil {
		a.log.Warn("the report lacks some metrics", "error", err.Error())
	}
	out := map[string]int64{}
	for _, f := range families {
		if f.GetName() != "penstock_attempts_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "result" {
					out[l.GetValue()] = int64(m.GetCounter().GetValue())
				}
			}
		}
	}
	return out
}
