// Package webhook tells other systems over HTTP what the bus says: Standard Webhooks that carry CloudEvents 1.0.
//
// What it promises. Every message of the bus that an enabled endpoint asked for is delivered to it at least once, or shows as
// given up after a schedule of retries that takes about three days. All deliveries of one message, replays included, carry
// the same webhook-id. Messages of one user reach an endpoint in the order of the bus: a later one waits until the earlier one
// was taken or given up. Endpoints never wait for one another, and the bus waits for none of them: what is to be sent is in a
// queue in SQL first.
//
// What it does not promise. A delivery may come twice, and a replay comes late. There is no order between users. An endpoint
// gets nothing of the time when it was disabled, unless an operator replays it.
//
// No request leaves for an address that is not public (see [egress.Guard]), redirects are refused, and of an answer nothing but its
// status and Retry-After is used. Secrets are kept encrypted; neither they nor URLs are logged.
//
// All methods of [Hooks] are safe for concurrent use. Several processes may share a store: each endpoint is worked by one of
// them at a time. DESIGN.md beside this file tells how, and what a crash does.
package webhook
