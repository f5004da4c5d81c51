// Package telemetry is how a Penstock tells what it does: JSON logs, Prometheus metrics, traces and health.
//
// Everything belongs to an instance; nothing is registered globally, so two Penstocks in one process do not mix. What the
// attempt path calls is bound beforehand and costs a few atomic operations; it never allocates a label, and label values are
// route templates, results and names from the configuration, never ids of users, orders or keys. Secrets are masked in logs
// by the name of their key.
//
// It does not promise that every log line or span arrives: spans are dropped, and counted, when their writer cannot keep up.
// All exported methods are safe for concurrent use unless they say otherwise.
package telemetry
