package gateway

// fixed are header values that many answers share. They are made once, and nobody writes to them: a handler that wants another
// value sets another slice.
type fixed struct {
	nosniff, referrer, content, same, transport []string
	noStore, final, vary                        []string
}

func newFixed() fixed {
	one := func(s string) []string { return []string{s}[:1:1] }
	return fixed{
		nosniff: one("nosniff"), referrer: one("no-referrer"), content: one("default-src 'none'; frame-ancestors 'none'"), same: one("same-origin"),
		transport: one("max-age=31536000"), noStore: one(noStore), final: one(finalFor), vary: one(finalVary),
	}
}

// protect gives the answer headers that are right for data: nothing may guess its type, run or frame it, or load it into another
// site; nothing may keep it. Pages, which need more, and answers that may be kept replace what does not fit. Whether a name is
// reached by TLS only is known here where this process ends it; a proxy that does it in front says so itself.
func (g *Gateway) protect(c *Call) {
	h := c.W.Header()
	h["X-Content-Type-Options"] = g.fixed.nosniff
	h["Referrer-Policy"] = g.fixed.referrer
	h["Content-Security-Policy"] = g.fixed.content
	h["Cross-Origin-Resource-Policy"] = g.fixed.same
	h["Cache-Control"] = g.fixed.noStore
	if !c.attempt { // it concerns documents only, and one name more would make the header of every win a larger map
		h["Cross-Origin-Opener-Policy"] = g.fixed.same
	}
	if c.R.TLS != nil {
		h["Strict-Transport-Security"] = g.fixed.transport
	}
}

// yield lets a service behind this one decide for its own pages: where it has said something beside what [Gateway.protect] says, ours
// is taken away.
func (c *Call) yield() {
	h := c.W.Header()
	for _, name := range [...]string{
		"X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy",
		"Cache-Control", "Strict-Transport-Security",
	} {
		if v := h[name]; len(v) > 1 {
			h[name] = v[1:]
		}
	}
}
