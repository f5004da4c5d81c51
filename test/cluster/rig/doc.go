// Package rig runs Penstock as several processes on shared engines, with a router before them, for tests that know it only from
// outside: command line, HTTP, exports.
//
// Everything it starts ends with the test. Its types are for one test at a time; what says so is for any goroutine.
package rig
