package cache

// Idle reports whether no load is under way.
func (c *Cache[V]) Idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting == 0 && len(c.refreshing) == 0
}
