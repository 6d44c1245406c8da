// Package canon holds the canonical forms of everything the boundary compares, and the limits it puts on input.
//
// Two spellings of one thing are a security defect: a check passes on the first and acts on the second. What enters
// the boundary is therefore brought into the one form defined here, or refused. The package depends on the standard
// library alone and does no I/O.
package canon

// Limits on what enters the boundary. They are checked before any work that grows with the input.
const (
	MaxBody      = 256 << 10 // bytes of an HTTP request body
	MaxToken     = 16 << 10  // bytes of a presented token
	MaxMinted    = 8 << 10   // bytes of a token that the boundary mints
	MaxScopes    = 128       // scopes in one request
	MaxScope     = 256       // bytes of one scope
	MaxResources = 16        // resources in one request
	MaxResource  = 2048      // bytes of one resource indicator
	MaxDetails   = 32 << 10  // bytes of authorization_details
	MaxChain     = 16        // act entries, and ancestors of one record
	MaxName      = 512       // bytes of an identifier: subject, client, connection, session, key id
	MaxNesting   = 32        // levels of a JSON value
)
