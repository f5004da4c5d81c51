// Package shard keeps the orders: eight SQLite files of thirty-two order tables each, and the map that says which of them an
// order lives in.
//
// The route of an order is its id's virtual slot (package ident: a hash of the user) looked up in a versioned [Map], so that
// an id alone finds its row, all orders of a user share a table, and databases can be added by moving slots. Which map a
// directory was written with is stored in every one of its files; a directory is never opened with another.
//
// The package knows how to route and to open. What is written in the tables, and when, is package order's business. A [Map]
// never changes; a [Store] is safe for concurrent use.
package shard
