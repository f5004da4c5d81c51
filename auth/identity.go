package auth

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Operator is the role that may use the admin listener.
const Operator = "operator"

// MaxUser is the longest user id in bytes, after normalisation.
const MaxUser = 128

// Identity is who a token or a pass speaks for.
type Identity struct {
	// User is the canonical user id: NFC-normalised, compared as bytes, never case-folded.
	User string
	// Role is "" or [Operator].
	Role string
	// App is the third-party app that calls as itself, without its prefix; User is then "app:" and App. "" for people.
	App string
	// Sale is the only sale that a pass is good for; "" for a token.
	Sale string
	// Scopes are the names of the APIs that an app's token is good for, separated by spaces; "" for people and for signed calls.
	Scopes string
	// Secret is the id of the app's secret that the call was signed with, or that its token was issued for.
	Secret string
	// Sandbox says that the app may reach sandbox things only. No token says so: it is known from the app.
	Sandbox bool
	// Admission is what a pass of a sale's line or draw admits to; zero for everything else.
	Admission Admission
	// Expires is when the token or the pass ends.
	Expires time.Time
}

// AppPrefix begins the user id of an app that calls as itself. No human user id begins so.
const AppPrefix = "app:"

// SandboxSales begins the ids of the sales that an identity with Sandbox may reach, and SandboxPayment is its only way to pay.
const (
	SandboxSales   = "sandbox-"
	SandboxPayment = "sandbox"
)

// Canonical returns the canonical form of a user id, or an error saying what is wrong with it.
func Canonical(user string) (string, error) {
	if user == "" {
		return "", fmt.Errorf("user id is empty")
	}
	if len(user) > 4*MaxUser || !utf8.ValidString(user) {
		return "", fmt.Errorf("user id is too long or not UTF-8")
	}
	user = norm.NFC.String(user)
	if len(user) > MaxUser {
		return "", fmt.Errorf("user id has %d bytes, at most %d are allowed", len(user), MaxUser)
	}
	for _, r := range user {
		if unicode.Is(unicode.C, r) && !unicode.Is(unicode.Co, r) && r != '\u200c' && r != '\u200d' || unicode.In(r, unicode.Zl, unicode.Zp) {
			return "", fmt.Errorf("user id has the control character %U", r)
		}
	}
	return user, nil
}
