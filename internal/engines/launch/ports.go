package launch

import (
	"errors"
	"math/rand/v2"
	"net"
)

// Ports below the range from which the kernel takes the local ends of outgoing connections: a server that is killed finds
// its port free when it starts again.
const (
	lowestPort  = 12000
	highestPort = 32000
)

// FreePorts names n different loopback ports on which nothing listens.
func FreePorts(n int) ([]int, error) {
	var ports []int
	taken := map[int]bool{}
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		if !taken[port] && Free(port) {
			taken[port] = true
			ports = append(ports, port)
		}
	}
	return nil, errors.New("no free loopback port found")
}

// Free reports whether a server could listen on the port.
func Free(port int) bool {
	l, err := net.Listen("tcp", Loopback(port))
	if err != nil {
		return false
	}
	_ = l.Close() // it accepted nothing
	return true
}
