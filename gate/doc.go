// Package gate governs token endpoints that the boundary cannot be built into: servers that are not written in Go, and
// services of others.
//
// # Hooks
//
// A Hook answers a server that asks before it mints: Hydra's token hook, Okta's inline hook, an Auth0 Action, or, by
// Generic, whatever can send JSON. What such a server cannot do by itself it cannot be told to do: a decision that would
// narrow what it cannot narrow becomes a denial, and is recorded as one. A server that can make a second call, after it has
// minted, is recorded in two steps (tokenboundary.Governor.Record); for all others an allow is recorded, as unconfirmed,
// when it is given.
//
// # Gate
//
// A Gate stands in front of a token endpoint that asks nobody. It authenticates the client, decides on the form, forwards
// what was granted and nothing else, checks what comes back, records it, and only then releases it. What the answer holds
// beyond the decision is discarded, and revoked where the server has an endpoint for that.
//
// What each of them can and cannot enforce is in docs/hooks.md.
//
// # Failure
//
// Nothing here decides: every answer is that of a Governor. Where none can be had, or the call has no meaning, the server is
// answered with an error that it does not take for a permission. Secrets and tokens are in no error and no log.
package gate
