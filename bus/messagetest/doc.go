// Package messagetest has the tests of the whole way of a message: from a room's transaction through the relay and the bus into
// the effects of a handler, on every engine, with poison in it and with members and brokers killed meanwhile.
//
// PENSTOCK_MESSAGES=100000 makes the storm as large as it says; without it the storm has a few thousand messages.
package messagetest
