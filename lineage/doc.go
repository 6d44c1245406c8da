// Package lineage is what the boundary records: who was allowed what, by which decision, and what it came from.
//
// A [Record] is an immutable node. Its address, the [ID], is the hash of its envelope; the envelope names the parents,
// the ancestors and the digest of the body, so a token whose id is a record's address commits to its whole ancestry
// the way a git commit does. [VerifyChain] detects any change on the way up from the token's id alone.
//
// Nothing here decides. [Authority] is the algebra of narrowing: [Authority.Meet] is the only way two authorities are
// combined, and nothing combines them into more than either. [Selector] and [Revocation] say what is cut: a record
// carries its own selectors and all of its ancestors', so whether it is dead is a handful of look-ups, whatever the
// size of the tree.
//
// The package imports no third party. Its encoding is versioned; see [FormatVersion].
package lineage
