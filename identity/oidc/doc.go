// Package oidc is an OpenID Connect provider over the logins of package identity: one login for several back-office systems.
//
// It implements the code flow and nothing else: PKCE with S256 for every client, exact redirect URIs, codes for one minute and one
// use, refresh tokens that are replaced at each use, opaque access tokens for the userinfo call only. A code or a refresh token
// that comes a second time ends everything that was granted through it. A grant ends with the session it was given in: logout,
// logout everywhere and a disabled user end it too, at the next call of the client. Clients are the house's own systems, so nobody
// is asked for consent.
//
// Followed: OpenID Connect Core 1.0 (code flow), Discovery 1.0, RP-Initiated Logout 1.0, RFC 6749, 7636, 9207, 9700. Not here:
// implicit and hybrid flows, request objects, dynamic registration, front- and back-channel logout, CORS.
//
// Everything is safe for concurrent use, also by several processes on one database.
package oidc
