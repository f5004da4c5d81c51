// Package cluster runs Penstock as several processes with single roles on real engines, breaks things in the middle of a
// stampede and asks whether it kept its word.
//
// Three processes decide (sale), two write orders and take money (order), one does the rest. They share one MariaDB, one Redis
// and one Kafka broker; buyers reach them through a router that sends each path to a process with the role, as a load balancer
// would. Penstock is known only from outside: command line, HTTP, exports. The verdict comes from package storm (what the buyers
// were told) and package check (what the server shows).
//
// Each run prints its seed. CLUSTER_SEEDS=5 makes five runs of a test, with the seeds after the first; CLUSTER_SEED sets the first.
package cluster
