// Package mint makes and verifies the boundary's own tokens: JWT access tokens of RFC 9068, and nothing else.
//
// # Keys
//
// [Open] gives a [Mint], which implements tokenboundary.Minter. Private keys stay with the node, as files or behind a
// crypto.Signer; public keys are kept in the store, so that all nodes on one store trust the same keys. A key's id is
// its thumbprint (RFC 7638), and it is used with one algorithm all its life (RFC 8725, section 3.1).
//
// A key is published one JWKS cache time before it is first used. When its successor takes over it is retired: it
// signs no more, and is verified for the configured overlap. A key that was revoked (selector key:<kid>) signs and
// verifies nothing from then on, and no key that is gone ever comes back.
//
// Only a node that has no usable key breaks the first rule: it publishes one and uses it at once. That is the first
// start of a set, a node that joins with a directory of its own, and the rotation that a revocation forces. A verifier
// that looks for newer keys when it sees an unknown kid is not disturbed by it.
//
// # Tokens
//
// A token has exactly one spelling. Its header is a constant of its key, and its payload is, byte for byte, what
// encoding/json makes of its claims; whatever differs is refused, and with it duplicate, unknown and missing members.
//
// A [Verifier] is for those who have only the JWKS. It works offline and so knows nothing of revocation.
package mint
