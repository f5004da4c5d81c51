// Package upstream sends calls to other services and brings their answers back: which service, which of its processes, in which
// protocol, how often, and what is said when it does not answer.
//
// It promises:
//   - A call whose method is not idempotent is sent once, unless it surely never left or its route allows repeats under an
//     Idempotency-Key. Whatever may have been executed and was not answered ends as unknown-outcome, never as a failure; what
//     surely was not executed says so.
//   - Retries and hedges of an upstream together stay within its budget, whatever fails.
//   - Callers cannot set what upstreams are told about them (X-User, X-Forwarded-For and so on), and learn nothing of hosts,
//     servers and errors behind.
//   - Every status of 400 and above that is made here is a problem of ours; what an upstream answers passes as it is, unless the
//     route says problems: wrap.
//
// It knows nothing of the chain: [New] makes a handler for each route, and what it needs to know of callers comes by [Deps].
// Bodies of requests are in memory (the chain bounds them); answers stream, unless they are converted. A [Set] is never changed;
// a new one takes over the connections, health and budgets of the upstreams that stay as they are. Safe for concurrent use.
package upstream
