package redisgate_test

import (
	"fmt"
	"testing"
	"time"

	"penstock/stock/gate/redisgate"
)

// stated is for how long at most a wrong gate turns somebody away: Every, plus a snapshot, plus what a busy machine is slow.
const stated = 15 * time.Second

// Wrong content costs seconds at most, and never a unit or an answer.
func TestPlanted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		plant func(t *testing.T, s *server)
	}{
		{"free count too low", func(t *testing.T, s *server) { s.do(t, "HSET", keyG, "stea", "1 0 0") }},
		{"free count too low, same version", func(t *testing.T, s *server) {
			kept := s.do(t, "HGET", keyG, "stea")
			v, err := kept.ToString()
			must(t, err)
			var version, available, free int64
			_, err = fmt.Sscan(v, &version, &available, &free)
			must(t, err)
			s.do(t, "HSET", keyG, "stea", fmt.Sprint(version, " 0 0"))
		}},
		{"free count too low, version from the future", func(t *testing.T, s *server) { s.do(t, "HSET", keyG, "stea", "999999999 0 0") }},
		{"free count too high", func(t *testing.T, s *server) { s.do(t, "HSET", keyG, "stea", "999999999 1000000 1000000") }},
		{"free count not a number", func(t *testing.T, s *server) { s.do(t, "HSET", keyG, "stea", "many") }},
		{"marks missing", func(t *testing.T, s *server) { s.do(t, "DEL", keyM) }},
		{"marks of another type", func(t *testing.T, s *server) { s.do(t, "DEL", keyM); s.do(t, "SET", keyM, "x") }},
		{"content of another type", func(t *testing.T, s *server) { s.do(t, "DEL", keyG); s.do(t, "LPUSH", keyG, "x") }},
		{"a foreign build", func(t *testing.T, s *server) { s.do(t, "HSET", keyG, "t", "99-foreign", "stea", "9 0 0", "u", "0") }},
		{"a build before all builds", func(t *testing.T, s *server) { s.do(t, "HSET", keyG, "t", "0-old", "stea", "9 0 0") }},
		{"a build beyond all builds", func(t *testing.T, s *server) {
			s.do(t, "HSET", keyG, "t", "9223372036854775807-x", "q", "9223372036854775807", "stea", "9 0 0")
		}},
		{"a lock that nobody holds", func(t *testing.T, s *server) {
			s.do(t, "SET", "penstock:gate:{s}:b", "nobody", "PX", "1000")
			s.do(t, "DEL", keyG)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			r := open(t, 2, redisgate.Options{Attempt: 100 * time.Millisecond}, s.URL())
			r.create("s", 10, 1)
			r.useful("s")
			for i := range 4 {
				r.want("before", r.buy(i%2, fmt.Sprint("early", i), "k"), "won")
			}
			c.plant(t, s)
			planted := time.Now()
			for i := range 4 {
				r.want("a winner", r.buy((i+1)%2, fmt.Sprint("early", i), "k"), "won+")
			}
			for i := range 6 {
				user := fmt.Sprint("late", i)
				r.within(stated-time.Since(planted), "a buyer gets in while there are units", func() bool { return r.buy(i%2, user, "k") == "won" })
			}
			t.Logf("somebody was turned away for %v at most", time.Since(planted))
			r.want("nothing is left", r.buy(0, "nobody", "k"), "stock-held")
			r.within(patience, "redis judges again and stays believed", func() bool {
				for _, in := range r.instances {
					in.said.Store("")
				}
				r.want("nothing is left", r.buy(0, "nobody", "k"), "stock-held")
				r.want("nothing is left", r.buy(1, "nobody", "k"), "stock-held")
				return r.instances[0].said.Load() == "admit" && r.instances[1].said.Load() == "admit" && r.instances[0].gate.State() == redisgate.Ready
			})
			if l := r.level("s"); l.Held != 10 || l.Available != 0 {
				t.Errorf("the truth is %+v", l)
			}
		})
	}
}
