// Package shard says where an order lives: in which of eight databases, and in which of their thirty-two tables.
//
// The route of an order is its id's virtual slot (package ident: a hash of the user) looked up in a versioned [Map], so that
// an id alone finds its row, all orders of a user share a table, and databases can be added by moving slots. A [Strategy] is a
// way to deal orders over databases; those that are a function of the slot make maps. docs/sharding.md tells which to use when.
//
// The package opens nothing: the drivers of order/driver keep the rows. Its values never change and are safe for concurrent use.
package shard
