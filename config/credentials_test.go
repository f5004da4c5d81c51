package config

import (
	"fmt"
	"strings"
	"testing"
)

// A token of a participant is taken in and told nowhere: not shown, not in an error, not by printing the configuration.
func TestBearersStayHidden(t *testing.T) {
	t.Parallel()
	load := func(bearers string) (Config, error) {
		return Load(Sources{Environ: []string{"PENSTOCK_TRANSACTIONS_PARTICIPANTS=shipping=http://shipping/tcc", "PENSTOCK_TRANSACTIONS_BEARERS=" + bearers}})
	}
	c, err := load("shipping=hunter2==")
	if err != nil || len(c.Transactions.Bearers) != 1 || c.Transactions.Bearers[0].Token != "hunter2==" {
		t.Fatalf("%v %v", c.Transactions.Bearers, err)
	}
	if told := c.Show() + fmt.Sprint(c) + fmt.Sprintf("%+v", c); strings.Contains(told, "hunter2") {
		t.Error("the token is told")
	}
	for _, bad := range []string{"hunter2", "shipping=hunter2 x", "shipping=hunter2,shipping=hunter2", "Shipping=hunter2"} {
		if _, err := load(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
