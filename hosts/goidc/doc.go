// Package goidc governs a server that is built on github.com/luikyv/go-oidc: the provider authenticates clients, mints and
// keeps grants as before, and every client_credentials, token exchange and refresh is decided and recorded by a Governor
// before a token leaves. The package has the name of go-oidc's own; import it under another one.
//
//	import governed "github.com/tokenboundary/tokenboundary/hosts/goidc"
//
//	opts = append(opts, governed.Options(boundary, governed.Config{RefreshTokens: grants})...)
//	op, err := provider.New(issuer, grants, jwks, opts...)
//	…
//	http.ListenAndServe(addr, op.Handler(governed.Middleware))
//
// # Tokens
//
// A token is a JWT whose jti is the id of its decision, with the scopes, the audience and the end that were decided, and the
// claims act, task, txn and lin as in a token of the boundary. It is recorded after it was signed and before it is answered.
// What cannot be recorded does not leave.
//
// Subject and actor tokens that the provider minted are verified by the provider, and then looked up by their jti: one that
// the boundary has revoked is refused, although the provider finds it active. Other tokens go to the identity sources of the
// Governor.
//
// A refresh token is issued where it is asked for (requested_token_type) and a rule permits it. Each refresh is decided anew,
// and one that is refused, or cannot be recorded, leaves the refresh token as it was. The grant of the provider stays what
// was granted first: what one refresh narrows, the next may have again.
//
// With Config.Operator, the provider's introspection answers inactive for what the boundary finds so, and its revocation
// also revokes at the boundary, with everything that came from the token.
//
// # Limits
//
//   - Only JWTs. A provider that chooses another form gets an error in place of a token.
//   - A grant of another kind (authorization_code, device code, …) is refused unless Config.Undecided names it. Then the
//     provider answers for its tokens; Config.Subject says what they carry in an exchange.
//   - A grant from before the provider was governed makes no further token.
//   - An exchange for a refresh token answers without an access token, as the provider does; the first one comes from a
//     refresh. Its decision is recorded all the same.
//   - A public client gets no token of a governed grant: whoever sends its id passes for it.
//   - A request cannot be deferred: an answer of the provider has no place for a deferral code. What needs an approval is held
//     back.
//   - The answer has no task_id; the token's task claim does.
//   - A token that is bound to a certificate is no subject: the boundary knows keys by their JWK thumbprint only.
//   - The userinfo endpoint looks at the provider's own state of a token only, and Provider.MakeToken makes none.
//   - At the end of a recheck interval introspection has a token decided anew; a resource that reads the JWT by itself has not.
//   - If the provider fails between the record of a refresh and its answer, the client has lost its refresh token, as it has
//     without the boundary.
package goidc
