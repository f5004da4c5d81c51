// Package policy reads the gateway's policy from one YAML file and brings it into use while calls go on.
//
// It promises that a policy is used as a whole or not at all: a file is read, checked and built to its last value before any
// call sees a part of it, and a file that is bad in one place changes nothing. Errors name the line, the key, the value and a
// value that would work. What has not changed keeps its state: the counts of a limit, an open breaker, the shedder's limit.
//
// It does not decide anything about a call; package gateway does, by the [gateway.Policy] that comes from here. [Live] is safe
// for concurrent use.
package policy
