package order

import (
	"context"
	"fmt"
	"testing"

	"penstock/engine/mysql"
	"penstock/internal/engines"
	"penstock/order/mysqlorder"
	"penstock/order/shard"
)

// What orders promise holds on a real server as it does on files.
func TestOnMariaDB(t *testing.T) {
	t.Parallel()
	srv := engines.MariaDB(t)
	url := srv.Database(t)
	config, err := mysqlorder.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	s, err := mysqlorder.Open(t.Context(), config, mysqlorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, run := range map[string]func(*testing.T, setupFunc){
		"heldBecomesAnOrder":             heldBecomesAnOrder,
		"injectedRowFailureCostsOneRow":  injectedRowFailureCostsOneRow,
		"failedCommitIsTriedAgain":       failedCommitIsTriedAgain,
		"untellableStepCostsOnlyItself":  untellableStepCostsOnlyItself,
		"othersOrdersDoNotExist":         othersOrdersDoNotExist,
		"listsPageThroughEverythingOnce": listsPageThroughEverythingOnce,
		"exports":                        exports,
		"actsMaterialise":                actsMaterialise,
		"refunds":                        refunds,
		"lateClaim":                      lateClaim,
		"cancel":                         cancel,
		"anyOrderOfDeliveryEndsTheSame":  anyOrderOfDeliveryEndsTheSame,
		"racesHaveOneWinner":             racesHaveOneWinner,
		"told": func(t *testing.T, setup setupFunc) {
			told(t, setup(t, Options{}), s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			empty(t, url)
			run(t, func(t testing.TB, opt Options) *bundle {
				b := newBundle(t)
				b.on(s, opt)
				return b
			})
		})
	}
}

// empty deletes all orders.
func empty(t *testing.T, url string) {
	t.Helper()
	c, err := mysql.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	base := c.Database()
	db, err := mysql.Open(context.Background(), c, mysql.Options{Pool: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for n := range shard.Databases {
		tables := []string{"order_event"}
		for i := range shard.Tables {
			tables = append(tables, shard.TableName(n, i))
		}
		for _, table := range tables {
			if _, err := db.Exec(fmt.Sprintf("DELETE FROM `%s_orders_%d`.%s", base, n, table)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
