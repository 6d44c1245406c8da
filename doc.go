// Package tokenboundary decides authorisation when a token is issued, exchanged or refreshed, and not after an agent
// already holds it.
//
// # Model
//
// A [Governor] is one issuer's boundary. Every path to a token runs through it, in one order:
//
//	Request ─ authenticate ─ ancestry ─ chain ─ decide ─ seal ─ sign ─ commit ─ release
//
// Authentication turns credentials into principals: each [IdentitySource] is asked in order. Ancestry looks up what the subject
// token came from and whether all of it is still alive; the chain is who acts for whom. [Policy] sees the verified
// [Facts] and answers with a [Verdict]. The Governor takes the meet of the verdict with everything above it, and seals
// it; nothing later can widen the result.
// The decision is recorded as a [lineage.Record], whose address is the token's jti, and only when the record is
// durable does the token leave.
//
// Four laws follow: every token was decided, never exceeds anything it came from, is recorded before it is released,
// and dies with anything it came from. Revoking a token, task, grant, session, key, subject, actor, client, connection
// or policy path is one write, whatever the number of descendants.
//
// # Use
//
// An auth server that mints its own tokens calls [Governor.Decide], mints, and then [Governor.Record]. One that lets
// the boundary mint gives Config a [Minter] (package mint) and calls [Governor.Issue]; package endpoint puts that
// behind HTTP.
//
// # Failure
//
// Zero values deny. A decision is data, and only trouble with infrastructure is an error; no token ever comes with an
// error. If the store, the policy or a clock fails, nothing is released and nothing is spent. A derivation is spent only
// with an allow, a single-use credential also with a refusal. Errors match the sentinels of this package with errors.Is
// and never contain a credential; types that hold one redact themselves in logs.
package tokenboundary
