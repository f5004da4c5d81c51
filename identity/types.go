package identity

import (
	"context"
	"regexp"
	"strings"
	"time"

	"penstock/errs"
)

// User is a person of the back office.
type User struct {
	// Name is what the user logs in with, and the subject of tokens: 1 to 64 of a-z, 0-9, '.', '_', '@', '+', '-', beginning
	// with a letter or a digit. It never changes and never passes to another person.
	Name string
	// Display and Email are shown to other systems; both may be "".
	Display, Email string
	Role           Role
	Disabled       bool
	// TOTP says whether a second factor is asked for.
	TOTP    bool
	Created time.Time
	Changed time.Time
}

// Session is a login. ID is the public name of the session; what the cookie holds cannot be computed from it.
type Session struct {
	ID, User string
	// Pending is a session that waits for its second factor: it opens nothing.
	Pending bool
	// Created is when it began, Auth when the user proved last who he is, Seen about when it was used last.
	Created, Auth, Seen time.Time
	// Ends is when it ends at the latest.
	Ends           time.Time
	Address, Agent string
	// Methods are those of RFC 8176: pwd, otp.
	Methods []string
}

// Who is what a good session says.
type Who struct {
	Session Session
	User    User
}

// Act is what the audit trail is told. Object is "user/NAME", "session/ID", "oidc-client/ID" or "address/A".
type Act struct{ Who, Act, Object, Why, Before, After string }

// Audit records an act. An error is the caller's, who has then done the act without a record of it.
type Audit func(ctx context.Context, a Act) error

var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@+-]{0,63}$`)

func checkName(name string) error {
	if !userName.MatchString(name) {
		return invalid("/name", "1 to 64 of a-z 0-9 . _ @ + -, beginning with a letter or a digit")
	}
	return nil
}

func (u User) check() error {
	if err := checkName(u.Name); err != nil {
		return err
	}
	if !u.Role.Valid() {
		return invalid("/role", "one of viewer, support, operator, admin")
	}
	if len(u.Display) > 200 || len(u.Email) > 200 || strings.ContainsFunc(u.Display+u.Email, control) {
		return invalid("/display", "display and email have at most 200 bytes and no control characters")
	}
	local, domain, at := strings.Cut(u.Email, "@")
	if u.Email != "" && (!at || local == "" || domain == "" || strings.ContainsAny(u.Email, " <>,") || strings.Contains(domain, "@")) {
		return invalid("/email", "one address, such as ann@shop.example, or nothing")
	}
	return nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }

func invalid(pointer, detail string) error {
	e := errs.New(errs.Invalid, "%s: %s", strings.TrimPrefix(pointer, "/"), detail)
	e.Fields = []errs.Field{{Pointer: pointer, Detail: detail}}
	return e
}

func noUser(name string) error { return errs.New(errs.NotFound, "no such user: %s", name) }
