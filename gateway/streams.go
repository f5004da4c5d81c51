package gateway

// Streams is told by whoever answers with a stream, once its head is certain: from then on the call has been served as far as others
// wait for it. It gives its place back, since it would hold it for hours, and its breaker hears how it began. What bounds the number of
// streams is what opens them. It is called by the goroutine that serves the call; a second call does nothing.
func (c *Call) Streams() {
	c.leave()
	if c.judge != nil {
		c.judge(nil)
	}
}

// leave gives the place of the call back, once.
func (c *Call) leave() {
	if free := c.place; free != nil {
		c.place = nil
		free()
	}
}
