// Package agent is the agent's door to a boundary: a Session is one task of the agent, and hands out a narrow token for
// each call that the task makes.
//
// # Model
//
// Start asks the boundary for a task and keeps the task token to itself. Session.Token derives from it, for each Call, a
// token for one resource and exactly the scopes of the call, and keeps that for as long as it may be used. When the
// context of Start ends, or at Session.Complete, the task is completed at the boundary, and every token that was made
// for it is dead.
//
// Session.TokenSource serves code that knows golang.org/x/oauth2, and Session.Transport an http.Client: it puts the right
// token on each request. Wrap starts a session from the broad token of an oauth2.TokenSource, which then leaves the
// wrapper for the boundary only.
//
// The boundary is a Local (a tokenboundary.Governor in this process) or a Remote (its endpoints over HTTP, RFC 8693).
//
// # What is refused
//
// Nothing here decides; the boundary does. But what it answers is not believed beyond what was asked for: a token with
// fewer scopes than the call needs is an *InsufficientScopeError before any request is made with it, and one with more, for
// another audience, without an end, of type N_A, or bound to a key or not bound otherwise than was asked for is refused.
// What a token says itself (audience, scopes, task, key, end) can be compared only where it is an access token of RFC 9068;
// nothing can be seen inside an opaque one, and no signature is verified here. That is the resource's part.
//
// # Failure
//
// Errors match the sentinels of the root package: ErrDenied where the boundary refused, ErrUnavailable where it could not
// be asked or did not answer what was asked, ErrInvalid for a Call that cannot be one; ErrEnded and ErrSuspended are of this
// package. No error, log line or text of a value of this package contains a token; an oauth2.Token, of course, does.
package agent
