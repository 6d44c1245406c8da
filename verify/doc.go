// Package verify is for resource servers. A Verifier decides whether a token of the boundary may be relied on at one
// resource: it checks the signature, the audience and the times with the boundary's public keys, and whether the token was
// revoked with what it knows of the boundary's revocation feed. It asks the boundary itself only where the token and the
// feed together cannot answer. Require puts it in front of HTTP handlers; StepUp says how recent an authentication must be.
//
// # What is known
//
// Run follows the feed. What a token says of itself (jti, lin, task, txn, sid, sub, act, client_id, and the kid) is
// matched with the entries as the boundary would match its record. Two kinds of entry cannot be matched like that: those
// of a connection or a path, which no token names, and those of a client, a key, a subject or an actor that may stand
// behind a token that was derived. A token issued before such an entry is introspected, once, and the answer counts until
// the next such entry. A token with a recheck claim is introspected when its time is over, and once per such interval.
// Where the boundary cannot be asked then, the token is refused.
//
// What no token says is which token of the boundary its actor presented, and which approval released it. The end of such a
// token, of its task, grant or session, is seen where the token is introspected, and by the expiry of the token; a policy
// that must see it earlier sets recheck.
//
// # When the feed is away
//
// The Verifier knows everything that was revoked more than Config.MaxStale ago, or its state is unknown: before the feed
// was read once, while the feed cannot be read for so long, after a position that is gone, and after an answer that does
// not continue the one before. Config.FeedLost says what happens then: by default every token is refused (503); with
// UntilExpiry tokens are accepted until they expire unless an entry that was seen says otherwise.
//
// # Keys that are proved
//
// A token that is bound to a key (RFC 9449) is accepted only beside a proof of that key, under the scheme DPoP, and only
// where Config.Proofs is set. A proof is good once at each Verifier: where several processes answer at one address, each
// remembers its own, and what bounds the others is how recent a proof has to be.
package verify
