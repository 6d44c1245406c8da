// Package broker holds the credentials of systems that know nothing of the boundary's tokens, and uses them for whoever
// presents a token.
//
// A broker is a resource: agents present access tokens to it that are for its resource, and the Governor decides whether the
// broker may hold a credential for one ([tokenboundary.Governor.Attach]). What it then holds is a lease: a node of the lineage
// below the token, which has no more scopes, lives no longer, and dies with anything that the token comes from.
//
// The secret stays with the broker. Code of the same process uses it by [Lease.Use]; only what was asked for to be delivered, by
// rules that say deliver, can be had by [Lease.Deliver].
//
// # What survives what
//
// A lease is in the book, as an intent, before its secret is fetched, and is held only when what takes it back is in the book.
// So whatever a crash interrupts is found again: Run of this or of any other process of the same registration takes back what
// is not held by the time that its intent is over, and what is not alive any more. A credential that could not be taken back
// stays in the book, is tried again, and is counted by [Broker.Outstanding] until it is done.
//
// A suspended task's leases are taken back as those of one that has ended: what is outside cannot be suspended.
//
// # Secrets
//
// Secret and Lease hide themselves. Of an error of a provider nothing is shown but which of a few kinds it is, because the
// text may hold anything.
package broker
