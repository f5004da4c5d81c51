package shard

// golden is where some users' orders live under map version 1.
var golden = map[string]string{
	"alice":             "orders_2.db orders_0073",
	"bob":               "orders_1.db orders_0059",
	"buyer@example.com": "orders_2.db orders_0071",
	"u-1":               "orders_3.db orders_0106",
	"u-1000000":         "orders_6.db orders_0195",
	"用户":                "orders_4.db orders_0138",
}

// goldenStrategies is the databases of alice, bob, u-1 and 用户 under each strategy.
var goldenStrategies = map[string]string{"mod": "1322", "month": "3333", "region": "2000", "ring": "2317"}
