// Package endpoint puts a Governor behind HTTP: the token endpoint (RFC 6749, RFC 8693), introspection (RFC 7662),
// revocation (RFC 7009), metadata (RFC 8414), tasks, approvals, signals, reports of use, lineage and the revocation feed.
//
// A [Handler] parses, calls the Governor and encodes its answer. It makes no decision: who may do what is checked by
// the verb that is called. All answers but the empty one of a revocation are JSON, errors included.
//
// Every path hangs below the path of the issuer. Serve the handler over TLS: requests carry credentials.
package endpoint
