package auth

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"penstock/errs"
)

// An admission pass says what it was made for, until it ends; no altered byte, no other kind, and no other ring's pass verifies.
func TestAdmissionPass(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	want := Grant{User: "zoë", Sale: "flash", SKU: "lamp", Number: 7<<40 | 9, Expires: start.Add(time.Minute)}
	text, err := b.ring.MintAdmission(want, start)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := b.ring.MintAdmission(want, start.Add(time.Second)); again != text {
		t.Error("the same grant gives another pass")
	}
	got, err := b.ring.VerifyAdmission(text, start)
	if err != nil || got != want || !IsAdmission(text) || IsPass(text) {
		t.Fatalf("read back %+v, %v", got, err)
	}
	challenge, err := b.ring.MintChallenge(want, start)
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string]string{"a challenge": challenge, "relabelled challenge": "p2" + challenge[2:], "empty": "p2.", "no mac": strings.TrimRight(text, "."), "long": text + "A"} {
		if bad == text {
			continue
		}
		if _, err := b.ring.VerifyAdmission(bad, start); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%s verifies: %v", what, err)
		}
	}
	for i := range text {
		if _, err := b.ring.VerifyAdmission(text[:i]+string(text[i]^1)+text[i+1:], start); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("byte %d altered: %v", i, err)
		}
	}
	if _, err := b.ring.VerifyAdmission(text, want.Expires); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("at its end: %v", err)
	}
	if _, _, err := b.ring.VerifyPass("p1"+text[2:], start); err == nil {
		t.Error("an admission pass verifies as a pass")
	}
}

// No app stands in line as a person: such a pass would have no app that could be disabled, no quota and no sandbox. One that was
// made all the same opens nothing.
func TestAdmissionIsForPeople(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	g := Grant{User: "app:a1", Sale: "flash", SKU: "lamp", Number: 9, Expires: start.Add(time.Minute)}
	if text, err := b.ring.MintAdmission(g, start); !errs.Is(err, errs.Forbidden) {
		t.Errorf("an admission pass for an app: %q, %v", text, err)
	}
	if text, err := b.ring.MintChallenge(g, start); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a challenge for an app: %q, %v", text, err)
	}
	g.User = "bpp:a1"
	text, err := b.ring.MintAdmission(g, start)
	if err != nil {
		t.Fatal(err)
	}
	k := b.ring.set.Load().minter
	payload, err := base64.RawURLEncoding.DecodeString(text[len(admissionPrefix):strings.LastIndexByte(text, '.')])
	if err != nil {
		t.Fatal(err)
	}
	payload[admissionHeader] = 'a'
	if who, err := b.ring.Verify(k.seal(admissionPrefix, payload)); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("an app's pass speaks for %+v, %v", who, err)
	}
}
