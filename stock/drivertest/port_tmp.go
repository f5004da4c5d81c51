package drivertest

type port interface{}

func PortCases() []Case { return nil }
