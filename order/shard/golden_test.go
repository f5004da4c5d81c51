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
