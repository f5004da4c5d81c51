package api

import (
	"net/http"
	"slices"
	"strconv"
	"sync"

	"penstock/line/draw"
)

// spelledMost bounds the bodies that are kept, in bytes; the one that was made last is kept in any case.
const spelledMost = 64 << 20

// spelled keeps the bodies of draws. Anybody may look at a draw, at the moment it is drawn everybody does, and its list is megabytes:
// it is written once for each version.
type spelled struct {
	mu     sync.Mutex
	bodies []spelledDraw // the oldest first
	bytes  int
	made   int // how many were written
}

type spelledDraw struct {
	sale, version string
	body          []byte
}

// of returns the body of a sale's draws, which nobody may change.
func (k *spelled) of(sale, version string, all draw.Documents) []byte {
	k.mu.Lock() // while it is written too: whoever asks meanwhile wants the same
	defer k.mu.Unlock()
	at := slices.IndexFunc(k.bodies, func(b spelledDraw) bool { return b.sale == sale })
	if at >= 0 && k.bodies[at].version == version {
		return k.bodies[at].body
	}
	if at >= 0 {
		k.drop(at)
	}
	for k.bytes > spelledMost {
		k.drop(0)
	}
	body := all.Spell()
	k.bodies, k.bytes, k.made = append(k.bodies, spelledDraw{sale, version, body}), k.bytes+len(body), k.made+1
	return body
}

func (k *spelled) drop(at int) {
	k.bytes -= len(k.bodies[at].body)
	k.bodies = slices.Delete(k.bodies, at, at+1)
}

// draws answers with the published documents of a sale.
func (s *surface) draws(kept *spelled, w http.ResponseWriter, r *http.Request) {
	sale := r.PathValue("sale")
	all, err := s.d.Lines.Draws(r.Context(), sale)
	if err != nil {
		fail(r, err)
		return
	}
	version := all.Version()
	tag, h := `"`+version+`"`, w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "public, max-age=1")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := kept.of(sale, version, all)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
