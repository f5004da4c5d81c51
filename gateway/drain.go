package gateway

import "sync"

// Drain says that the process is about to stop: readiness turns false, answers ask for the connection to be closed, streams
// end. It cannot be taken back.
type Drain struct {
	once sync.Once
	done chan struct{}
}

// NewDrain returns a drain that has not begun.
func NewDrain() *Drain { return &Drain{done: make(chan struct{})} }

// Begin begins it. Idempotent.
func (d *Drain) Begin() { d.once.Do(func() { close(d.done) }) }

// Begun reports whether it has begun.
func (d *Drain) Begun() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// Done is closed when it begins.
func (d *Drain) Done() <-chan struct{} { return d.done }
