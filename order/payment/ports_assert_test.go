package payment_test

import (
	"penstock/order"
	"penstock/order/payment"
	"penstock/stock"
)

var (
	_ payment.Orders = (*order.Orders)(nil)
	_ payment.Claims = (*stock.Stock)(nil)
)
