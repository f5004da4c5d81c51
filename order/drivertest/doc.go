// Package drivertest is the contract of order/driver in executable form: every driver runs it on its own engine.
package drivertest
