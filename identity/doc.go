// Package identity knows the people of the back office: users with a role, their passwords and second factors, and the sessions
// that they log in to. Package identity/oidc lets other systems use the same login, package identity/web shows the pages.
//
// It promises:
//   - a password is kept as argon2id only, and never leaves; a one-time code and a recovery code are accepted once;
//   - login says the same, after the same work, for a wrong password, an unknown user and a disabled one;
//   - guesses are slowed by address, by address and account, and by account, while a browser that logged in before is slowed by its
//     own failures only: nobody locks somebody else out of a known browser (see throttle.go);
//   - a session that was ended, or whose user was disabled, is refused on every instance within 5 s: the snapshot of users and
//     sessions in memory is refreshed each second, and without a refresh for 4 s no session is accepted at all.
//
// The check of a session asks memory. Not promised: that a session survives the loss of the database, and a login while the
// database is away. Nothing is ever deleted from the users, so a name never passes to another person.
//
// Everything is safe for concurrent use, also by several processes on one MySQL database.
package identity
