// Package messagetest has the tests of the whole way of a message: from a room's transaction through the relay and the bus into
// the effects of a handler, on every engine, with poison in it and with members and brokers killed meanwhile. In TestStormOn…
// members are cut off within the process of the test; in TestStormKilled… they are processes of their own, which SIGKILL ends,
// and so are the servers.
//
// MESSAGES=100000 makes each storm as large as it says; without it a storm has a few thousand messages.
package messagetest
