// Package web shows the pages of the login and carries its cookies: /login and /logout, and the session of a request to the admin
// API.
//
// It promises that every byte that came from outside is escaped, that a page runs no script at all and loads nothing (a CSP with
// a nonce for its one style sheet), that a form is accepted from its own page only, and that a login leads nowhere but to a path
// of this server. Cookies are __Host-… with Secure, HttpOnly and SameSite=Lax; only where the browser talks plain HTTP to
// loopback they go without the prefix and Secure, because not every browser would send them back.
//
// The pages answer HTML, also to what went wrong: they are for people. Everything is safe for concurrent use.
package web
