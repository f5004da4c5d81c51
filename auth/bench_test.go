package auth

import (
	"testing"
	"time"
)

// BenchmarkVerifyPass is one pass check, as the attempt path does it.
func BenchmarkVerifyPass(b *testing.B) {
	s := setup(b, Options{})
	text, err := s.ring.MintPass("user-123456", "flash-1", start, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.ring.VerifyPass(text, start); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyToken is one token check: remembered, or cold with each algorithm.
func BenchmarkVerifyToken(b *testing.B) {
	for _, alg := range []string{EdDSA, HS256} {
		s := setup(b, Options{})
		if _, err := s.ring.Rotate(alg); err != nil {
			b.Fatal(err)
		}
		text := s.token(b, "user-123456", "")
		b.Run(alg+"/remembered", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.ring.Verify(text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg+"/cold", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.ring.verifyCold(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
