// Package exchange is the wire form of the token endpoint: OAuth 2.0 token requests and answers (RFC 6749, section 5),
// token exchange (RFC 8693), resource indicators (RFC 8707), rich authorization requests (RFC 9396), proofs of possession
// (RFC 9449), and deferred answers (draft-ietf-oauth-deferred-token-response).
//
// On the server's side, [ReadForm] or [ParseForm] reads a request body, [FormCredential] finds whose it is, [Parse] makes a
// tokenboundary.Request of it, [Proof] adds the proof that came in its header, and [Response] and [AsError] write what the
// Governor answers. On the client's side, [Client] asks a token endpoint and refuses an answer that grants more than was
// asked for.
//
// Nothing here decides. What is refused here is what has no meaning as a request; everything else is for the Governor.
package exchange
