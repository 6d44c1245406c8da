// Package zitadel governs a server that is built on github.com/zitadel/oidc: the server authenticates clients, signs and
// keeps tokens as before, and every client_credentials, token exchange and refresh is decided and recorded by a Governor
// before a token leaves. It stands at the level of op.Server, which its project calls experimental.
//
//	import governed "github.com/tokenboundary/tokenboundary/hosts/zitadel"
//
//	server, err := governed.New(op.NewLegacyServer(provider, *op.DefaultEndpoints), boundary, governed.Config{Operator: operator})
//	…
//	handler := op.RegisterLegacyServer(server, op.AuthorizeCallbackHandler(provider))
//
// Only this handler is governed. The provider is a handler too, which must not be served.
//
// # Tokens
//
// An access token is a JWT, whatever the client's AccessTokenType is. Its jti is the id that the storage gave it, which is
// also its handle at the boundary; the claim decision_id names the decision. Scopes, audience and end are those that were
// decided, and the claims act, task, txn and lin are as in a token of the boundary. It is recorded after it was signed and
// before it is answered. What cannot be recorded does not leave.
//
// The storage is asked for each token as before (CreateAccessToken, CreateAccessAndRefreshTokens). It finds the decision by
// DecisionFrom. What it adds to tokens by GetPrivateClaimsFromRequest or GetPrivateClaimsFromScopes stays, except for claims
// that follow from a decision.
//
// Subject and actor tokens that the server minted for a decision are verified, and then looked up by it: one that the
// boundary has revoked is refused, although the server verifies no more than the signature. Other tokens go to the identity
// sources of the Governor.
//
// An exchange that asks for a refresh token (requested_token_type) gets one beside the access token, where a rule permits it.
// The storage keeps a scope with it, urn:tokenboundary:family:…, which is in no token and no answer. Each refresh is decided
// anew, and one that is refused, or cannot be recorded, leaves the refresh token as it was.
//
// Introspection answers inactive for what the boundary finds so, userinfo is closed to it, and a revocation also revokes at
// the boundary, with everything that came from the token.
//
// # Limits
//
//   - A grant of another kind is refused unless Config.Undecided names it. Then the server answers for its tokens, and they
//     are no subject of an exchange; an ID token is, by an identity source that trusts the server. The claim decision_id must
//     not be in them.
//   - A refresh token from before the server was governed is one of an undecided grant.
//   - The op.TokenExchangeStorage of the storage is not asked: the boundary alone decides who may exchange what. It is what
//     makes the discovery document list the grant.
//   - A public client gets no token of a governed grant: whoever sends its id passes for it.
//   - A refresh answers without an ID token.
//   - A request cannot be deferred: an answer of the server has no place for a deferral code, nor for a Retry-After. What
//     needs an approval is held back.
//   - The answer has no task_id; the token's task claim does.
//   - The server knows no proof of possession. What is bound to a key cannot be exchanged here.
//   - What the storage revokes by itself, without the revocation endpoint, is revoked at its own introspection only, until it
//     is revoked at the boundary too.
//   - At the end of a recheck interval introspection and userinfo have a token decided anew; a resource that reads the JWT by
//     itself has not.
//   - If the storage fails between the record of a refresh and the answer, the client may have lost its refresh token, as it
//     may without the boundary.
package zitadel
