// Package fosite puts a tokenboundary.Governor in front of every token of an ory/fosite server (v0.49): client_credentials,
// refresh, and token exchange (RFC 8693), which fosite does not have.
//
// # Use
//
// The package has the name of the one that it governs; import it as governed:
//
//	b, err := governed.New(governed.Config{
//		Governor: g, Operator: ops, Session: func() fosite.Session { return &oauth2.JWTSession{} },
//	})
//	…
//	provider := compose.Compose(config, storage, strategy,
//		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2RefreshTokenGrantFactory,
//		compose.OAuth2TokenIntrospectionFactory,
//		b.Factory) // the last one
//
// The handlers of the server stay as they are, with NewAccessRequest and NewAccessResponse. Factory comes last, so that it
// decides on what the other handlers have verified; it takes the place of compose.OAuth2TokenRevocationFactory, and Compose
// panics where that one is there as well, or Factory twice. Where Factory is not the last, no token of a governed grant
// leaves.
//
// # What happens
//
// A request is decided when fosite has authenticated the client and, in a refresh, found the refresh token. The requester
// then carries what was granted and nothing else: scopes, audience, expiry, and in the session the claims of the decision:
// jti (its id), sub, client_id, txn, lin, act, task and authorization_details. The token is delivered once the decision is
// recorded, with the id of the fosite request as its handle. If it cannot be, or the host has changed the request since, the
// sessions are deleted and the answer is an error. A refresh is recorded before the refresh token is rotated: if it cannot
// be, the client still has the one that it came with.
//
// What the boundary has revoked is inactive in fosite's introspection, of a resource as well as of the server itself; what
// a client revokes at the server (RFC 7009) is cut in the boundary first, with all that came from it.
//
// # The host's part
//
//   - The session is an oauth2.JWTSession, a fosite.DefaultSession, or one that has what these have: claims of type
//     *jwt.JWTClaims or live extra claims, and SetSubject. Any other gets no token.
//   - A client is registered twice, in fosite's storage and as one of Config.Clients of the Governor; it can do what both
//     permit. The audiences of fosite's client are the resources that it may have tokens for.
//   - A refresh token comes where a policy rule says refresh, the client may use the grant, and one of fosite's
//     RefreshTokenScopes was granted. These are offline and offline_access; an empty, non-nil list wants none.
//   - The policy's Recheck interval bounds the lifetime: a resource that reads a JWT by itself asks nobody again.
//   - An error of the token endpoint wraps a *tokenboundary.DeniedError where the boundary has refused; it is for the
//     host's log. What fosite or the client's registration there refuses is not in the lineage, nor is a token that
//     the authorization endpoint refuses (Config.Undecided).
//   - An identity source of the Governor that trusts the server's own keys must insist on an audience that access tokens do
//     not have.
//
// Not supported: deferred requests (what needs an approval is held back), and tokens that are bound to a key. Fosite has no
// place for Retry-After; an exchange of a task whose derivations are spent is answered like a decision that no longer holds,
// temporarily_unavailable; and where a revocation cannot be cut in the boundary the answer is invalid_request, because fosite
// answers any other error with a success. The client can then repeat it.
package fosite
